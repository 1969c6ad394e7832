import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const DIST = new URL('../dist/', import.meta.url);

/** Flags of Node that `npm start` gives the gateway. */
export const NODE_FLAGS = /exec node (.*) dist/.exec(startScript())[1].split(' ');

function startScript() {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).scripts.start;
}

/** Path of a file of the built gateway: what is measured is what runs. @throws Error when nothing is built */
export function builtPath(file) {
  const path = fileURLToPath(new URL(file, DIST));
  if (!existsSync(path)) throw new Error(`${path} is missing: npm run build`);
  return path;
}

/** A module of the built gateway, `built('audio/g711.js')`. */
export function built(file) {
  builtPath(file);
  return import(new URL(file, DIST).href);
}

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const DIST = new URL('../dist/', import.meta.url);

const [, environment, flags] = /exec env (\S+) node (--.*) dist/.exec(startScript());
/** What `npm start` gives the gateway: flags of Node, and variables. */
export const NODE_FLAGS = flags.split(' ');
export const ENVIRONMENT = Object.fromEntries([environment.split('=')]);

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

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { forkChild } from '../../../src/workers/child.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

const given = [...process.execArgv];

afterEach(() => {
  process.execArgv = given;
});

test('a worker runs with the flags of Node that the front was started with', async () => {
  const folder = tempFolder('worker');
  const entry = join(folder, 'worker.mjs');
  writeFileSync(entry, 'process.send(process.execArgv)');
  process.execArgv = ['--max-semi-space-size=4', '--enable-source-maps'];
  const child = forkChild(pathToFileURL(entry));
  const flags = await new Promise((resolve) => {
    child.onMessage = resolve;
  });
  expect(flags).toEqual(['--max-semi-space-size=4', '--enable-source-maps']);
  const gone = new Promise<string>((resolve) => {
    child.onExit = resolve;
  });
  child.release();
  await gone;
  removeFolder(folder);
});

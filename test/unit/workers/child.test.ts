import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { forkChild } from '../../../src/workers/child.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

const ours = [...process.execArgv];

afterEach(() => {
  process.execArgv = ours;
  vi.unstubAllEnvs();
});

test('a worker runs with the flags of Node that the front was started with, and its setting of glibc', async () => {
  const folder = tempFolder('worker');
  const entry = join(folder, 'worker.mjs');
  writeFileSync(entry, 'process.send([...process.execArgv, process.env.MALLOC_ARENA_MAX])');
  vi.stubEnv('MALLOC_ARENA_MAX', '1');
  process.execArgv = ['--max-semi-space-size=4', '--enable-source-maps'];
  const child = forkChild(pathToFileURL(entry));
  const given = await new Promise((resolve) => {
    child.onMessage = resolve;
  });
  expect(given).toEqual(['--max-semi-space-size=4', '--enable-source-maps', '1']);
  const gone = new Promise<string>((resolve) => {
    child.onExit = resolve;
  });
  child.release();
  await gone;
  removeFolder(folder);
});

// `npm test`: every test once, and the files with real sockets that failed once more, each alone. Time on a shared machine stands still now and
// then, and a test that hears audio cannot tell that from a slow gateway; what fails alone as well is a failure. A second try is never silent.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Only tests that live in real time are tried again. */
const REAL_TIME = ['live', 'scenario', 'attack', 'interop'].map((project) => join(root, 'test', project, '/'));

/** More files than this (one in forty) do not fail by chance. */
const MOST_RETRIED = 10;

const given = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'ringdown-tests-'));
process.exitCode = run();
rmSync(folder, { recursive: true, force: true });

function run() {
  const first = vitest('first', given);
  if (first.status === 0) return 0;
  const failed = failedFiles(first.report);
  if (failed.length === 0 || failed.length > MOST_RETRIED || !failed.every(isRealTime)) return first.status;
  const names = failed.map((file) => relative(root, file));
  say(`trying once more, one at a time: ${names.join(', ')}`);
  const second = vitest('second', ['--no-file-parallelism', ...names]);
  if (second.status === 0) say(`passed at the second try only: ${names.join(', ')}`);
  return second.status;
}

function vitest(name, args) {
  const report = join(folder, `${name}.json`);
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { status, signal } = spawnSync(process.execPath, [program, 'run', ...reporters, ...args], { cwd: root, stdio: 'inherit' });
  if (signal) process.kill(process.pid, signal);
  return { status: status ?? 1, report };
}

/** What failed; empty when it cannot be told, as after a crash. */
function failedFiles(report) {
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
    return testResults.filter(({ status }) => status === 'failed').map(({ name }) => name);
  } catch {
    return [];
  }
}

function isRealTime(file) {
  return REAL_TIME.some((project) => file.startsWith(project));
}

function say(text) {
  process.stderr.write(`ringdown: ${text}\n`);
}

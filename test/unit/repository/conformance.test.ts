import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

const folder = tempFolder('conformance');
afterAll(() => removeFolder(folder));

function run(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['scripts/conformance.mjs', '--print', ...args], { encoding: 'utf8' });
}

/** Of a program that is started anew, on a machine that has others to run. */
const SLOW_MS = 60_000;

describe('the matrix of conformance', () => {
  test('names tests that are there, and its page is what `npm run conformance` writes', { timeout: SLOW_MS }, () => {
    const { status, stdout, stderr } = run();
    expect([status, stderr]).toEqual([0, '']);
    expect(readFileSync('docs/conformance.md', 'utf8'), 'run npm run conformance and commit').toBe(stdout);
  });

  test('takes titles and cases of tests that stand there, and refuses every other row', { timeout: SLOW_MS }, () => {
    const rows: readonly (readonly [string, string?])[] = [
      ['tests: ["unit/sip/tcp: gets a pong for its ping"]'],
      ['tests: ["unit/sip/refusals: %s: %s > MESSAGE", "interop/sipp: as in scenario %s > options"]'],
      ['tests: ["unit/sip/nowhere: x"]', 'there is no test "unit/sip/nowhere: x"'],
      ['tests: ["unit/sip/tcp: gets a"]', 'there is no test "unit/sip/tcp: gets a"'],
      ['tests: ["unit/sip/tcp: a connection"]', 'there is no test "unit/sip/tcp: a connection"'], // a describe block
      ['tests: ["unit/sip/refusals: %s: %s > nobody"]', 'there is no test "unit/sip/refusals: %s: %s > nobody"'],
      ['state: "no", tests: []', 'why is missing'],
      ['level: maybe, tests: []', 'level maybe is none of must, should'],
      ['drachtio: shown, tests: []', 'drachtio is shown, but its tests do not run over drachtio'],
    ];
    const file = join(folder, 'rows.yaml');
    writeFileSync(file, `- rfc: 3261\n  title: SIP\n  rows:\n${rows.map(([row]) => `    - { at: §1, what: w, ${row} }\n`).join('')}`);
    const { status, stdout, stderr } = run(file);
    const expected = rows.flatMap(([, fault]) => (fault === undefined ? [] : [`RFC 3261 §1, "w": ${fault}`]));
    expect([status, stdout, stderr.trimEnd().split('\n')]).toEqual([1, '', expected]);
  });
});

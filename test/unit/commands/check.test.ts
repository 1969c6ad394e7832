import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkCommand } from '../../../src/command-check.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';

const folder = tempFolder('check');
afterAll(() => removeFolder(folder));

let files = 0;

function checked(yaml: string, ...flags: readonly string[]): { readonly lines: string[]; readonly code: number } {
  files += 1;
  const file = join(folder, `${files}.yaml`);
  writeFileSync(file, yaml);
  const { text, code } = checkCommand(['--config', file, ...flags]);
  return { lines: text.split('\n').map((line) => line.replace(`${file}:`, 'file:')), code };
}

describe('what is right and most likely not meant', () => {
  test('nothing: said in one line', () => {
    expect(checked('log-level: warn\n')).toEqual({ lines: ['The configuration is right: 0 trunks, 0 users, 0 routes.'], code: 0 });
  });

  test('trunks that hide each other, and lists that let everything be dialled', () => {
    const { lines, code } = checked(`trunks:
  - name: wide
    peer: 10.0.0.1
    addresses: [10.0.0.0/24]
    destinations: ["*"]
  - name: narrow
    peer: 10.0.0.9
`);
    expect(lines).toEqual([
      'file:5: trunks.wide.destinations: * lets any number be dialled: name the countries that are wanted',
      'file:7: trunks.narrow.peer: every call from there is taken for trunk wide, which stands before it',
      'The configuration is right: 2 trunks, 0 users, 0 routes, and 2 remarks.',
    ]);
    expect(code).toBe(0);
  });

  test('routes that are never taken, or name nobody', () => {
    const { lines } = checked(`routes:
  - number: "+1*"
    answer: {}
  - number: "+1555"
    answer: {}
  - number: "15550001234"
    answer: {}
`);
    expect(lines).toEqual([
      'file:4: routes[1]: never taken: routes[0] fits every call that this one fits',
      'file:6: routes[2].number: trunks that send +15550001234 do not fit it: "*15550001234" fits both',
      'The configuration is right: 0 trunks, 0 users, 3 routes, and 2 remarks.',
    ]);
  });

  test('with --strict a remark is a failure', () => {
    expect(checked('routes:\n  - answer: {}\n  - answer: {}\n', '--strict').code).toBe(1);
  });

  test('a key that others can read', () => {
    const key = join(folder, 'cluster.key');
    writeFileSync(key, `1:${'k'.repeat(44)}\n`);
    chmodSync(key, 0o644);
    const { lines } = checked(`roles: sip\nnode:\n  id: 1\n  cluster-key-file: ${key}\n  nodes: 1=127.0.0.1:3481,2=127.0.0.1:3482\n`);
    expect(lines[0]).toContain('node.cluster-key-file: can be read by others of this machine');
  });

  test('what is wrong is told as at a start, all at once', () => {
    expect(() => checked('sip:\n  port: 99999\nbind: nowhere\n')).toThrow(/sip\.port[\s\S]*bind/);
  });
});

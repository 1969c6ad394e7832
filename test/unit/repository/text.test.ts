import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

const tracked = execFileSync('git', ['ls-files'], { encoding: 'utf8', maxBuffer: 1 << 24 })
  .split('\n')
  .filter((path) => path !== '' && existsSync(path));
const code = tracked.filter((path) => /^(?:src|test|bench|scripts|web|examples)\/.*\.(?:ts|mjs|js|sh)$/.test(path));

/** `path:line: text` of every line that matches. */
function linesWith(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

describe('the code', () => {
  test('has no notes to do something later', () => {
    // Written apart, so that this line is none of them.
    const words = [
      ['TO', 'DO'],
      ['FIX', 'ME'],
      ['XX', 'X'],
      ['HA', 'CK'],
    ].map((parts) => parts.join(''));
    const note = new RegExp(`\\b(?:${words.join('|')})\\b`);
    expect(linesWith(code, note)).toEqual([]);
  });

  test('reads the environment in one place', () => {
    const readers = linesWith(
      code.filter((path) => path.startsWith('src/') && path !== 'src/config/load.ts'),
      /process\.env/,
    );
    expect(readers).toEqual([]);
  });

  test('names every outside program of the tests in the script that installs them', () => {
    const peers = /const NAMES = \{(.*?)\} as const/s.exec(readFileSync('test/support/peers.ts', 'utf8'))?.[1] ?? '';
    const names = [...peers.matchAll(/^\s*'?([\w-]+)'?: \[/gm)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(3);
    const script = readFileSync('scripts/install-peers.sh', 'utf8');
    for (const name of names) expect(script, `${name} in scripts/install-peers.sh`).toMatch(new RegExp(`^${name}:`, 'm'));
  });
});

describe('pages', () => {
  test('hold no conflict of a merge', () => {
    const texts = tracked.filter((path) => /\.(?:md|ya?ml|json|html|css|ts|mjs|sh)$/.test(path));
    expect(linesWith(texts, /^(?:<{7}|>{7}) /)).toEqual([]);
  });

  test('link to files that are there', () => {
    const dead = tracked
      .filter((path) => path.endsWith('.md'))
      .flatMap((page) =>
        [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
          .map(([, target = '']) => join(dirname(page), target))
          .filter((target) => !existsSync(target))
          .map((target) => `${page}: ${target}`),
      );
    expect(dead).toEqual([]);
  });

  test('docs/configuration.md is what `npm run docs` writes', () => {
    const page = execFileSync('node_modules/.bin/tsx', ['scripts/config-docs.mjs', '--print'], { encoding: 'utf8' });
    expect(readFileSync('docs/configuration.md', 'utf8'), 'run npm run docs and commit').toBe(page);
  });
});

test('scripts that are run by name are executable', () => {
  for (const path of ['.ci/run', 'scripts/install-peers.sh']) expect(statSync(path).mode & 0o111, path).not.toBe(0);
});

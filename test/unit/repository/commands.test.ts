import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CONFIG_FLAG, options, QUESTIONS } from '../../../src/config/flags.ts';
import { loadConfig } from '../../../src/config/load.ts';

const scripts = (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }).scripts;
const flags = [...options.map((option) => `--${option.flag}`), ...QUESTIONS.map((name) => `--${name}`), `--${CONFIG_FLAG}`];

/** The commands in the fenced `sh` blocks of a page, comments left out. */
function commands(page: string): string[] {
  const blocks = readFileSync(page, 'utf8').matchAll(/^```(?:sh|bash)\n(.*?)^```/gms);
  return [...blocks]
    .flatMap(([, block = '']) => block.split('\n').map((line) => line.replace(/\s+#.*$/, '').trim()))
    .filter((line) => line && !line.startsWith('#'));
}

describe.each(['README.md', 'CONTRIBUTING.md'])('%s', (page) => {
  test('shows only npm commands that exist', () => {
    const shown = commands(page).flatMap((line) => [...line.matchAll(/\bnpm (?:run )?([\w:-]+)/g)].map(([, name = '']) => name));
    expect(shown.length).toBeGreaterThan(0);
    for (const name of shown.filter((each) => !['ci', 'install'].includes(each))) expect(scripts, `npm run ${name}`).toHaveProperty([name]);
  });

  test('starts the gateway only with settings it takes', () => {
    for (const line of commands(page)) {
      const given = /(?:npm (?:start|run dev) --|^ringdown) (.*)$/.exec(line)?.[1];
      if (given === undefined) continue;
      const words = given.split(/\s+/);
      for (const word of words.filter((each) => each.startsWith('--'))) expect(flags, line).toContain(word.split('=')[0]);
      expect(() => loadConfig(words, { env: {}, directory: '/nonexistent' }), line).not.toThrow();
    }
  });
});

test('every script of package.json runs a file that is there', () => {
  for (const [name, command] of Object.entries(scripts)) {
    const files = [...command.matchAll(/(?:node|sh|tsx|--config|-p)(?: --[\w-]+)* ([\w./-]+\.(?:mjs|sh|ts|json))/g)].map(
      ([, file = '']) => file,
    );
    for (const file of files) expect(existsSync(file), `npm run ${name}: ${file}`).toBe(true);
  }
});

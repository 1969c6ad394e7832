import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/*
 * The linter is only as good as its rules: this plants violations in a tree of its own and looks whether each is caught, and
 * whether the table in docs/architecture.md says the same as the linter.
 */

interface Row {
  readonly folder: string;
  readonly mayImport: readonly string[];
}

/** The rows "| folder | what | may import | packages |" of the architecture page. */
function architectureTable(): Row[] {
  const rows = readFileSync('docs/architecture.md', 'utf8').matchAll(/^\| ([a-z]+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$/gm);
  return [...rows]
    .filter(([, folder]) => folder !== 'folder')
    .map(([, folder = '', imports = '']) => ({ folder, mayImport: imports.split(',').map((word) => word.trim()) }));
}

const table = architectureTable();
const folders = table.map(({ folder }) => folder);
let root: string;
let found: Map<string, string[]>;

function plant(path: string, text: string): void {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
}

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'ringdown-lint-'));
  for (const file of ['biome.jsonc', '.gitignore']) copyFileSync(file, join(root, file));
  for (const folder of folders) {
    plant(`src/${folder}/noun.ts`, 'export const noun = 1;\n');
    for (const other of folders) {
      if (other === folder) continue;
      plant(`src/${folder}/imports-${other}.ts`, `import { noun } from '../${other}/noun.ts';\nexport const planted = noun;\n`);
      plant(`src/${folder}/deep/imports-${other}.ts`, `import { noun } from '../../${other}/noun.ts';\nexport const planted = noun;\n`);
    }
  }
  plant('src/webrtc/stun/noun.ts', 'export const noun = 1;\n');
  plant('src/relay/imports-stun.ts', "import { noun } from '../webrtc/stun/noun.ts';\nexport const planted = noun;\n");
  plant('src/sip/imports-ws.ts', "import { WebSocket } from 'werift';\nexport const planted = WebSocket;\n");
  plant('src/sip/timer.ts', 'export const planted = setTimeout;\n');
  plant('src/sip/date.ts', 'export const planted = () => Date.now();\n');
  plant('src/sip/default.ts', 'export default 1;\n');
  plant('src/sip/enumeration.ts', 'export enum Planted {\n  A,\n}\n');
  plant('src/sip/barrel.ts', "export * from './noun.ts';\n");
  plant('src/sip/BadName.ts', 'export const planted = 1;\n');
  plant('src/sip/cycle-a.ts', "import type { B } from './cycle-b.ts';\nexport type A = B | 1;\n");
  plant('src/sip/cycle-b.ts', "import type { A } from './cycle-a.ts';\nexport type B = A[];\n");
  plant('src/sip/floating.ts', 'async function later(): Promise<void> {}\nexport function planted(): void {\n  later();\n}\n');
  plant('src/sip/console.ts', "console.log('planted');\n");

  const biome = spawnSync('node_modules/.bin/biome', ['lint', '--reporter=json', '--max-diagnostics=none', `--config-path=${root}`, root], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  const { diagnostics } = JSON.parse(biome.stdout) as { diagnostics: { category: string; location: { path: string } }[] };
  found = new Map();
  for (const { category, location } of diagnostics) {
    const path = location.path.slice(location.path.indexOf('/src/') + 1);
    found.set(path, [...(found.get(path) ?? []), category.split('/').at(-1) ?? '']);
  }
});
afterAll(() => rmSync(root, { recursive: true }));

describe('who may import whom', () => {
  test('the page and the linter know the same folders', () => {
    const onDisk = readdirSync('src', { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(onDisk.map(({ name }) => name).filter((name) => !folders.includes(name))).toEqual([]);
    expect(folders.length).toBeGreaterThan(12);
  });

  test.each(table)('$folder imports what the page allows, and nothing else', ({ folder, mayImport }) => {
    for (const other of folders.filter((each) => each !== folder)) {
      for (const path of [`src/${folder}/imports-${other}.ts`, `src/${folder}/deep/imports-${other}.ts`]) {
        expect((found.get(path) ?? []).includes('noRestrictedImports'), `${path} is refused`).toBe(!mayImport.includes(other));
      }
    }
  });

  test('the relay reads STUN and nothing else of webrtc', () => {
    expect(found.get('src/relay/imports-stun.ts')).toBeUndefined();
    expect(found.get('src/relay/imports-webrtc.ts')).toContain('noRestrictedImports');
  });
});

test.each([
  ['a package that belongs elsewhere', 'src/sip/imports-ws.ts', 'noRestrictedImports'],
  ['a timer outside the clock', 'src/sip/timer.ts', 'noRestrictedGlobals'],
  ['Date outside the clock', 'src/sip/date.ts', 'noRestrictedGlobals'],
  ['a default export', 'src/sip/default.ts', 'noDefaultExport'],
  ['an enum', 'src/sip/enumeration.ts', 'noEnum'],
  ['a barrel', 'src/sip/barrel.ts', 'noBarrelFile'],
  ['a file name in another case', 'src/sip/BadName.ts', 'useFilenamingConvention'],
  ['a cycle of types', 'src/sip/cycle-a.ts', 'noImportCycles'],
  ['a promise nobody waits for', 'src/sip/floating.ts', 'noFloatingPromises'],
  ['console', 'src/sip/console.ts', 'noConsole'],
])('%s is caught', (_, path, rule) => {
  expect(found.get(path)).toContain(rule);
});

// Builds the pages: web/*.ts to modules, and everything else beside them as it is. No bundler: a dozen small files that one connection carries.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { extname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const from = join(root, 'web');
const to = join(root, 'dist', 'web');

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
// Output goes to standard error: standard output belongs to the gateway.
const { status } = spawnSync(process.execPath, [tsc, '-p', join(from, 'tsconfig.json')], { stdio: ['ignore', 2, 2] });
if (status !== 0) process.exit(status ?? 1);
mkdirSync(to, { recursive: true });
for (const name of readdirSync(from)) {
  if (['.html', '.css', '.svg'].includes(extname(name))) copyFileSync(join(from, name), join(to, name));
}

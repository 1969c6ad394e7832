// Builds the pages: web/*.ts to modules, and everything else beside them as it is. No bundler: a dozen small files that one connection carries.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
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
  // What is a package to the compiler is a folder beside the page to the browser.
  if (extname(name) === '.ts') relinkSip(join(to, name.replace(/\.ts$/, '.js')));
  if (['.html', '.css', '.svg'].includes(extname(name))) copyFileSync(join(from, name), join(to, name));
}

// The softphone's SIP is SIP.js as its authors publish it, served by us and from nowhere else.
const sip = join(root, 'node_modules', 'sip.js');
cpSync(join(sip, 'lib'), join(to, 'sip.js'), { recursive: true, filter: (file) => extname(file) === '' || file.endsWith('.js') });
copyFileSync(join(sip, 'LICENSE.md'), join(to, 'sip.js', 'LICENSE.txt'));

function relinkSip(file) {
  const text = readFileSync(file, 'utf8');
  if (text.includes("'sip.js/lib/")) writeFileSync(file, text.replaceAll("'sip.js/lib/", "'./sip.js/"));
}

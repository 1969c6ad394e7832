// Makes a checkout ready to run: installs the packages when they are missing or older than the lock file, and builds when
// dist is older than the sources. Says and does nothing when there is nothing to do. `npm start` and `npm test` begin with it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const at = (...names) => join(root, ...names);

const NEEDED = [20, 19];
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  fail(`needs Node ${NEEDED.join('.')} or newer; this is ${process.versions.node}. https://nodejs.org has it.`);
}

/** Tests that run without `npm test` bring the build up to date, and leave the packages that they run with as they are. */
const mayInstall = !process.argv.includes('--build-only');

// The usual case, without a lock: nothing to do.
if ((mayInstall && needsInstall()) || needsBuild()) {
  await lock();
  if (mayInstall && needsInstall()) install();
  if (needsBuild()) build();
}

function say(text) {
  process.stderr.write(`ringdown: ${text}\n`);
}

function fail(text) {
  say(text);
  process.exit(1);
}

/** When a file was changed, or 0 when it is not there. */
function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function hashOf(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** npm writes its hidden lock file last: it stands for a complete installation, and its time for when that was. */
function needsInstall() {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(at('package.json'), 'utf8'));
  if (Object.keys({ ...dependencies, ...devDependencies }).some((name) => !existsSync(at('node_modules', name)))) return true;
  const installed = changedAt(at('node_modules', '.package-lock.json'));
  if (installed === 0) return true;
  if (installed >= changedAt(at('package-lock.json'))) return false;
  // A checkout of another branch and back makes the lock file newer, but not different.
  const stamp = at('node_modules', '.ringdown-lock');
  return !existsSync(stamp) || readFileSync(stamp, 'utf8') !== hashOf(at('package-lock.json'));
}

function install() {
  say('installing packages (once, and again when package-lock.json changes) …');
  // --include=dev: the compiler is needed under NODE_ENV=production too. Scripts of packages are not run: none is needed.
  // Only errors are shown: some packages ask for Node 22 and are tested to run on 20.
  const npm = process.env.npm_execpath ?? ''; // the npm that runs this script, unless it is another program's
  run('npm ci', npm.endsWith('npm-cli.js') ? [process.execPath, npm] : ['npm'], [
    'ci',
    '--include=dev',
    '--include=optional',
    '--ignore-scripts',
    '--loglevel=error',
  ]);
  writeFileSync(at('node_modules', '.ringdown-lock'), hashOf(at('package-lock.json')));
}

/** Every file the build reads, with time and size: a change, a new file and a removed one all show. */
function sourcesNow() {
  const files = ['src', 'web']
    .flatMap((folder) => readdirSync(at(folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
  files.push(at('tsconfig.json'), at('tsconfig.build.json'), at('scripts', 'build-web.mjs'));
  const lines = files.sort().map((path) => {
    const { mtimeMs, size } = statSync(path);
    return `${path} ${mtimeMs} ${size}`;
  });
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

function needsBuild() {
  const stamp = at('dist', '.built');
  return !existsSync(at('dist', 'main.js')) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== sourcesNow();
}

function build() {
  say('building …');
  const sources = sourcesNow(); // before the build: what changes during it is built next time
  run('the build', [process.execPath, at('node_modules', 'typescript', 'bin', 'tsc')], ['-p', 'tsconfig.build.json']);
  run('the build of the pages', [process.execPath, at('scripts', 'build-web.mjs')], []);
  writeFileSync(at('dist', '.built'), sources);
}

function run(what, [program, ...before], args) {
  // Output goes to standard error: standard output belongs to the gateway.
  const { status, signal, error } = spawnSync(program, [...before, ...args], { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) fail(`${what} did not start: ${error.message}`);
  if (status !== 0) fail(`${what} failed (${signal ?? `exit code ${status}`})`);
}

/** Two at once would delete each other's packages: the second waits for the first. The lock is freed at exit. */
async function lock() {
  const path = at('.prepare-lock');
  const owner = join(path, 'pid');
  for (let told = false; ; ) {
    try {
      mkdirSync(path);
      writeFileSync(owner, String(process.pid));
      process.on('exit', () => rmSync(path, { recursive: true, force: true }));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isStale(path, owner)) breakLock(path);
    else if (!told) {
      say('another npm start or npm test prepares this checkout; waiting …');
      told = true;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function isStale(path, owner) {
  const age = Date.now() - changedAt(path);
  const pid = existsSync(owner) ? Number(readFileSync(owner, 'utf8')) : 0;
  if (!pid) return age > 5000 && existsSync(path); // it died between making the lock and signing it
  try {
    process.kill(pid, 0);
    return age > 600_000; // the number belongs to somebody else by now: no installation takes ten minutes
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Renaming is atomic: of several that find the lock stale, one takes it away. */
function breakLock(path) {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return; // somebody else was faster
  }
  // Was it a new lock, made between the look and the move? Then it goes back.
  if (!isStale(aside, join(aside, 'pid')) && !existsSync(path)) renameSync(aside, path);
  else rmSync(aside, { recursive: true, force: true });
}

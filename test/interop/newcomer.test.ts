import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import { FREE_PORTS, GatewayRun } from '../support/gateway-run.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/*
 * What somebody does who has just found this repository: clone it, start it. With the npm of this machine and its package
 * registry or cache; minutes, not seconds, are allowed for that.
 */

const INSTALL_MS = 180_000;

let checkout: string;
beforeAll(() => {
  checkout = join(tempFolder('newcomer'), 'ringdown');
  execFileSync('git', ['clone', '--quiet', '--local', process.cwd(), checkout]);
});
afterAll(() => removeFolder(join(checkout, '..')));

function npmStart(args: readonly string[], env: Readonly<Record<string, string>> = {}): GatewayRun {
  return new GatewayRun(['start', '--', ...args], { folder: checkout, command: ['npm'], env });
}

function prepare(): Child {
  return new Child(process.execPath, ['scripts/prepare.mjs'], { cwd: checkout, name: 'prepare' });
}

describe('a fresh clone', () => {
  test('npm start installs, builds, starts with the flags it is given, and drains when npm gets SIGTERM, in production too', async () => {
    const gateway = npmStart(FREE_PORTS, { NODE_ENV: 'production' });
    const rival = prepare(); // somebody runs npm test in another window
    await gateway.child.line(/^http .*:(\d+)/, INSTALL_MS);
    expect((await fetch(`${await gateway.url()}/healthz`)).status).toBe(200);
    expect(existsSync(join(checkout, 'node_modules', 'typescript'))).toBe(true);
    gateway.child.signal('SIGTERM');
    expect(await gateway.end()).toEqual({ code: 0, signal: null });
    expect((await rival.end(INSTALL_MS)).code).toBe(0);
    expect([...gateway.err, ...rival.stderr.all].filter((line) => line.includes('installing'))).toHaveLength(1);
    expect(gateway.err.join('\n')).not.toContain('EBADENGINE');
  }, 240_000);

  test('the second start installs and builds nothing and says nothing about it', async () => {
    const again = prepare();
    expect((await again.end(20_000)).code).toBe(0);
    expect([...again.stdout.all, ...again.stderr.all]).toEqual([]);
    expect(existsSync(join(checkout, '.prepare-lock'))).toBe(false);
  });

  test('a lock file that is newer but the same installs nothing; a source that changed builds', async () => {
    const soon = new Date(Date.now() + 1000);
    utimesSync(join(checkout, 'package-lock.json'), soon, soon);
    utimesSync(join(checkout, 'src', 'main.ts'), soon, soon);
    const again = prepare();
    expect((await again.end(60_000)).code).toBe(0);
    expect(again.stderr.all).toEqual(['ringdown: building …']);
  });

  test('the lock of a run that was killed does not stop the next one', async () => {
    const later = new Date(Date.now() + 2000);
    utimesSync(join(checkout, 'src', 'main.ts'), later, later);
    const dead = new Child(process.execPath, ['-e', ''], { name: 'a process that is gone' });
    await dead.end(10_000);
    mkdirSync(join(checkout, '.prepare-lock'));
    writeFileSync(join(checkout, '.prepare-lock', 'pid'), String(dead.pid));
    const again = prepare();
    expect((await again.end(60_000)).code).toBe(0);
    await eventually(() => !existsSync(join(checkout, '.prepare-lock')), 1000, 'the lock to be gone');
  });

  test('a wrong flag ends npm start with 2', async () => {
    const gateway = npmStart(['--sip-prot', '1']);
    expect((await gateway.end()).code).toBe(2);
    expect(gateway.err.join('\n')).toContain('did you mean --sip-port?');
  });
});

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Baresip } from '../support/baresip.ts';
import { Child } from '../support/child.ts';
import { LOOPBACK, openUdp } from '../support/endpoint.ts';
import { readJsonLines } from '../support/gateway-process.ts';
import { FREE_PORTS, GatewayRun } from '../support/gateway-run.ts';
import { describePeer, requiredPeer } from '../support/peers.ts';
import { findSound, promptSound } from '../support/prompt-sound.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { elapse, eventually } from '../support/wait.ts';

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

/** What stands between the fences of README.md, by the language after them. */
function readmeBlocks(language: string): string[][] {
  const text = readFileSync(join(checkout, 'README.md'), 'utf8');
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  return blocks.filter(([, tag]) => tag === language).map(([, , body = '']) => body.trimEnd().split('\n'));
}

/** The line of a block without language that begins like this. */
function readmeLine(beginning: string): string {
  const line = readmeBlocks('')
    .flat()
    .find((each) => each.startsWith(beginning));
  if (line === undefined) throw new Error(`README.md has no line that begins with ${beginning}`);
  return line;
}

async function isFree(port: number): Promise<boolean> {
  const socket = await openUdp(LOOPBACK, port).catch(() => undefined);
  socket?.close();
  return socket !== undefined;
}

/** What README.md promises, on its own ports where they are free; on loopback alone. */
describe('README.md', () => {
  let gateway: GatewayRun;
  let sipPort: number;
  const records = () => readJsonLines(join(checkout, 'data', 'cdr.jsonl'));

  beforeAll(async () => {
    const ports = [
      ['--sip-port', 5060],
      ['--relay-port', 3478],
      ['--http-port', 8080],
    ] as const;
    const flags = ['--bind', LOOPBACK];
    for (const [flag, port] of ports) if (!(await isFree(port))) flags.push(flag, '0');
    gateway = npmStart(flags);
    await gateway.child.line(/^dial /, INSTALL_MS);
    sipPort = await gateway.port('sip');
  }, INSTALL_MS);
  afterAll(() => gateway?.child.stop());

  test('shows the lines that npm start prints', () => {
    const shape = (line: string) => line.replace(/\d+\.\d+\.\d+\.\d+/g, 'ADDRESS').replace(/:\d+/g, ':PORT');
    const [shown = []] = readmeBlocks('').filter((block) => block.some((line) => line.startsWith('dial ')));
    const printed = gateway.out.slice(gateway.out.findIndex((line) => /^\w+ +(udp|tcp|http)/.test(line)));
    expect(printed.map(shape)).toEqual(shown.map(shape));
  });

  test('names commands that exist, with flags that are taken', async () => {
    const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const lines = readmeBlocks('sh').flat();
    expect(lines).toContain('npm start');
    const takes = async (line: string): Promise<void> => {
      const [npm, command = '', ...rest] = line.split(' ');
      expect([npm, scripts[command]], line).toEqual(['npm', expect.any(String)]);
      if (rest[0] !== '--') return;
      const shown = npmStart([...rest.slice(1), '--print-config']);
      expect(await shown.end(), line).toEqual({ code: 0, signal: null });
      for (const flag of rest.filter((word) => word.startsWith('--') && word.length > 2 && word !== '--print-config')) {
        expect(shown.out.join('\n')).toContain(`# flag ${flag}`);
      }
    };
    await Promise.all(lines.map(takes));
  });

  describePeer('sipp', 'its line for sipp', () => {
    test('makes two hundred calls, and none fails', async () => {
      const [program, ...args] = readmeLine('sipp ').replace(':5060', `:${sipPort}`).split(' ');
      expect(program).toBe('sipp');
      const before = records().length;
      const sipp = new Child(requiredPeer('sipp'), args, { name: 'sipp' });
      const end = await sipp.end(60_000);
      const refused = records()
        .slice(before)
        .filter((record) => record['sip_status'] !== 200);
      expect({ ...end, refused }).toEqual({ code: 0, signal: null, refused: [] });
      const count = (name: string) => sipp.stdout.all.findLast((line) => line.includes(name))?.match(/(\d+)\s*$/)?.[1];
      expect([count('Successful call'), count('Failed call')]).toEqual(['200', '0']);
      await eventually(() => records().length === before + 200, 5000, 'the call records');
    });
  });

  describePeer('baresip', 'its lines for baresip', () => {
    test('call the agent, which greets', async () => {
      const baresip = await Baresip.start();
      // The instrument brings an account; whoever reads these lines has none.
      await baresip.command('uadel', `sip:baresip@${LOOPBACK}:${baresip.local.port}`);
      for (const beginning of ['/uanew ', '/dial ']) {
        const line = readmeLine(beginning).replace(':5060', `:${sipPort}`);
        await baresip.command(beginning.slice(1, -1), line.slice(beginning.length));
      }
      await baresip.established();
      await elapse(2500); // a third of the greeting
      await baresip.hangup();
      await baresip.closed();
      expect(findSound(await baresip.heard(), promptSound('hello')).share).toBeGreaterThan(0.15);
      const record = await eventually(() => records().find(({ from }) => from === 'sip:me@127.0.0.1'), 3000, 'its record');
      expect(record).toMatchObject({ cause: 'remote_hangup', sip_status: 200 });
      await baresip.stop();
    });
  });
});

import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { SIGNALS_APART_MS } from '../support/child.ts';
import { FREE_PORTS, FROM_SOURCE, GatewayRun, type GatewayRunOptions } from '../support/gateway-run.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { elapse, eventually } from '../support/wait.ts';

const gateways: GatewayRun[] = [];
const phones: SipPhone[] = [];

function start(args: readonly string[], options: GatewayRunOptions = {}): GatewayRun {
  const gateway = new GatewayRun(args, options);
  gateways.push(gateway);
  return gateway;
}

async function openPhone(): Promise<SipPhone> {
  const phone = await SipPhone.open();
  phones.push(phone);
  return phone;
}

afterEach(async () => {
  for (const phone of phones.splice(0)) phone.close();
  await Promise.all(gateways.splice(0).map(({ child }) => child.kill()));
});

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };

async function untilReady(url: string): Promise<void> {
  await eventually(async () => (await fetch(`${url}/readyz`)).status === 200, 10_000, 'the gateway to be ready');
}

describe('the gateway started without a configuration', () => {
  test('prints its doors and what to dial, takes calls, and ends with 0 on SIGTERM', async () => {
    const gateway = start(FREE_PORTS);
    const url = await gateway.url();
    await untilReady(url);
    expect(await (await fetch(`${url}/healthz`)).json()).toMatchObject({ alive: true });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('# TYPE ringdown_');
    const sipPort = await gateway.port('sip');
    const [, dialled] = await gateway.child.line(/^dial (.*)$/, 5000);
    expect(dialled).toBe(`sip:agent@127.0.0.1:${sipPort}`);
    gateway.child.signal('SIGTERM');
    expect(await gateway.end()).toEqual({ code: 0, signal: null });
  });

  test('prints for people on standard output, and logs JSON on standard error', async () => {
    const gateway = start(FREE_PORTS);
    await gateway.port('http');
    gateway.child.signal('SIGINT');
    expect((await gateway.end()).code).toBe(0);
    expect(gateway.err.length).toBeGreaterThan(0);
    for (const line of gateway.err) expect(() => JSON.parse(line), line).not.toThrow();
    for (const line of gateway.out) expect(line).not.toMatch(/^\{/);
  });

  test('keeps its data in the directory it was started in', async () => {
    const gateway = start(FREE_PORTS);
    await gateway.port('http');
    await eventually(() => existsSync(join(gateway.folder, 'data', 'cdr.jsonl')), 5000, 'the file of call records');
  });

  test('says when call records cannot be written, and takes calls all the same', async () => {
    const gateway = start([...FREE_PORTS, '--data', '/dev/null/data']);
    const url = await gateway.url();
    await gateway.child.line(/call records cannot be written/, 5000);
    await untilReady(url);
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^ringdown_cdr_write_errors_total [1-9]/m);
  });

  test('goes on when whoever read its output has gone', async () => {
    const intoNothing = `{ sh -c 'echo "pid $$" >&2; exec "$0" "$@"' "$0" "$@"; echo "code $?" >&2; } | true`;
    const gateway = start(FREE_PORTS, { command: ['sh', '-c', intoNothing, ...FROM_SOURCE] });
    const [, pid] = await gateway.child.line(/^pid (\d+)$/, 5000);
    await eventually(() => existsSync(join(gateway.folder, 'data', 'cdr.jsonl')), 20_000, 'the gateway to start');
    process.kill(Number(pid), 'SIGTERM');
    const [, code] = await gateway.child.line(/^code (\d+)$/, 10_000);
    expect(code).toBe('0');
  });
});

describe('the command line', () => {
  test('--version, --help and --print-config answer and end with 0', async () => {
    const asksVersion = start(['--version']);
    const asksHelp = start(['--help']);
    const asksConfig = start(['--print-config', '--sip-port', '5070'], { env: { RINGDOWN_BIND: '127.0.0.1' } });
    for (const gateway of [asksVersion, asksHelp, asksConfig]) expect(await gateway.end()).toEqual({ code: 0, signal: null });
    expect(asksVersion.out).toEqual([version]);
    expect(asksHelp.out.join('\n')).toContain('--sip-port PORT');
    expect(asksConfig.out).toContain('  port: 5070 # flag --sip-port');
    expect(asksConfig.out).toContain('bind: 127.0.0.1 # env RINGDOWN_BIND');
  });

  test('all faults are told at once and the exit code is 2', async () => {
    const gateway = start(['--sip-port', 'abc', '--redis', 'x', '--htp-port', '0'], { env: { RINGDOWN_MAX_CALLS: '0' } });
    expect(await gateway.end()).toEqual({ code: 2, signal: null });
    expect(gateway.err).toEqual([
      'flag --redis: not built yet: the Redis directory',
      'flag --htp-port: no such flag; did you mean --http-port?',
      'flag --sip-port: sip.port = "abc": allowed: 0 to 65535; 0 takes any free port',
      expect.stringContaining('env RINGDOWN_MAX_CALLS: max-calls = "0"'),
    ]);
    expect(gateway.out).toEqual([]);
  });

  test('a fault in the file names its line', async () => {
    const folder = tempFolder('run');
    writeFileSync(join(folder, 'ringdown.yaml'), 'sip:\n  port: 5060\nbind: everywhere\n');
    const gateway = start([], { folder });
    expect((await gateway.end()).code).toBe(2);
    expect(gateway.err).toEqual([expect.stringMatching(/^ringdown\.yaml:3: bind = "everywhere": /)]);
  });

  test('a port in use is named together with the flag that moves it, in one line, and the exit code is 1', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const gateway = start([...FREE_PORTS, '--http-port', String(port)]);
    expect((await gateway.end()).code).toBe(1);
    const told = gateway.err.filter((line) => !line.startsWith('{'));
    expect(told).toEqual([`ringdown: TCP 127.0.0.1:${port} is in use; choose another with --http-port`]);
    taken.close();
  });
});

describe('the HTTP door', () => {
  test('drops who connects and says nothing, or speaks too slowly, within 5 s', async () => {
    const gateway = start(FREE_PORTS);
    const port = await gateway.port('http');
    const slack = new MachineSlack(gateway.child.pid);
    const began = performance.now();
    const silent = connect(port, '127.0.0.1');
    const slow = connect(port, '127.0.0.1');
    slow.on('error', () => undefined);
    slow.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ');
    const drip = setInterval(() => slow.write('y'), 200);
    await Promise.all([text(silent), text(slow).catch(() => '')]);
    clearInterval(drip);
    const tookMs = performance.now() - began;
    expect(tookMs).toBeGreaterThan(3000);
    expect(tookMs).toBeLessThan(5500 + slack.worstMs);
    slack.stop();
  });
});

describe('a call when the gateway is told to end', () => {
  /** A gateway with one call that talks. */
  async function withCall(args: readonly string[] = []) {
    const gateway = start([...FREE_PORTS, ...args]);
    const url = await gateway.url();
    const sip = { address: '127.0.0.1', port: await gateway.port('sip') };
    await untilReady(url);
    const phone = await openPhone();
    const call = await phone.dial(sip);
    await call.answered();
    return { gateway, url, sip, phone, call };
  }

  /** How the calls in the file of call records ended. */
  function causes({ folder }: GatewayRun): string[] {
    const lines = readFileSync(join(folder, 'data', 'cdr.jsonl'), 'utf8')
      .trim()
      .split('\n');
    return lines.map((line) => (JSON.parse(line) as { cause: string }).cause);
  }

  test('goes on after SIGTERM, new ones are refused with 503 and Retry-After, and the gateway ends with 0 when it is over', async () => {
    const { gateway, url, sip, phone, call } = await withCall();
    gateway.child.signal('SIGTERM');
    await eventually(async () => (await fetch(`${url}/readyz`)).status === 503, 2000, 'the gateway to be no longer ready');
    expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ ready: false, reason: 'draining' });
    const refused = await (await phone.dial(sip)).refused(2000);
    expect(refused.status).toBe(503);
    expect(Number(refused.header('retry-after'))).toBeGreaterThan(0);
    expect(gateway.child.running).toBe(true);
    expect((await call.bye()).status).toBe(200);
    expect(await gateway.end(5000)).toEqual({ code: 0, signal: null });
    expect(causes(gateway)).toContain('remote_hangup');
  });

  test('goes on when one signal comes twice, as npm has it', async () => {
    const { gateway, call } = await withCall();
    gateway.child.signal('SIGINT');
    gateway.child.signal('SIGINT');
    await gateway.child.line(/"draining"/, 2000);
    await elapse(SIGNALS_APART_MS);
    gateway.child.signal('SIGINT');
    await call.hungUp(4000);
    expect(await gateway.end(5000)).toEqual({ code: 0, signal: null });
    const log = gateway.child.stderr.all.filter((line) => /"draining"|"hanging up"/.test(line));
    expect(log.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['draining', 'hanging up']);
  });

  test('is ended with BYE by a second signal, and the gateway ends with 0 within 2 s', async () => {
    const { gateway, call } = await withCall();
    gateway.child.signal('SIGTERM');
    await gateway.child.line(/"draining"/, 2000);
    await elapse(SIGNALS_APART_MS);
    const slack = new MachineSlack(gateway.child.pid);
    const began = performance.now();
    gateway.child.signal('SIGTERM');
    await call.hungUp(4000);
    expect(await gateway.end(5000)).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(2000 + slack.worstMs);
    slack.stop();
    expect(causes(gateway)).toEqual(['shutdown']);
  });

  test('is ended with BYE when --drain is over', async () => {
    const { gateway, call } = await withCall(['--drain', '1']);
    gateway.child.signal('SIGTERM');
    await call.hungUp(3000);
    expect(await gateway.end(5000)).toEqual({ code: 0, signal: null });
    expect(causes(gateway)).toEqual(['shutdown']);
  });

  test('that does not answer the BYE does not keep the gateway from ending within 2 s', async () => {
    const { gateway, phone } = await withCall();
    phone.onRequest = () => true;
    gateway.child.signal('SIGTERM');
    await gateway.child.line(/"draining"/, 2000);
    await elapse(SIGNALS_APART_MS);
    const slack = new MachineSlack(gateway.child.pid);
    const began = performance.now();
    gateway.child.signal('SIGINT');
    expect(await gateway.end(5000)).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(2000 + slack.worstMs);
    slack.stop();
    expect(causes(gateway)).toEqual(['shutdown']);
  });
});

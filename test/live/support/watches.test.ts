import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Child } from '../../support/child.ts';
import { EgressWatch, watchEgressHere } from '../../support/egress-watch.ts';
import { freePorts, openUdp } from '../../support/endpoint.ts';
import { ImpairedPath } from '../../support/impair.ts';
import { MetricsText } from '../../support/metrics-text.ts';
import { activeResources, processFigures, ResourceBaseline } from '../../support/process-figures.ts';
import { DeadlineError, EventLog, eventually, within } from '../../support/wait.ts';

describe('watching for contact with the outside', () => {
  const program = (code: string) => new Child(process.execPath, ['--input-type=module', '-e', code], { env: watch.env });
  let watch: EgressWatch;

  async function contactsOf(code: string): Promise<string[]> {
    watch = new EgressWatch();
    const child = program(code);
    expect(await child.end(10_000), child.lastWords()).toEqual({ code: 0, signal: null });
    const contacts = watch.contacts().map(({ kind, target }) => `${kind} ${target}`);
    watch.close();
    return contacts;
  }

  test('a child that keeps to loopback is clean', async () => {
    const code = `
      import { createSocket } from 'node:dgram';
      import { createServer, connect } from 'node:net';
      import { lookup } from 'node:dns/promises';
      const socket = createSocket('udp4');
      socket.send('x', 9, '127.0.0.1', () => socket.close());
      await lookup('127.0.0.1'); await lookup('localhost');
      const server = createServer((it) => it.end()).listen(0, '127.0.0.1', () => {
        connect(server.address().port, '127.0.0.1', function () { this.destroy(); server.close(); });
      });`;
    expect(await contactsOf(code)).toEqual([]);
  });

  test('names, datagrams and connections are seen, also from a worker and from bound imports', async () => {
    const code = `
      import { lookup, resolve4 } from 'node:dns';
      import * as dgram from 'node:dgram';
      import { connect } from 'node:net';
      import { Worker } from 'node:worker_threads';
      lookup('name.invalid', () => {});
      resolve4('other.invalid', () => {});
      dgram.createSocket('udp4').on('error', () => {}).send('x', 9, '192.0.2.7', () => {});
      connect({ host: '192.0.2.8', port: 9 }).on('error', () => {});
      await new Promise((done) => new Worker("import('node:dns').then((it) => it.lookup('worker.invalid', () => {}))", { eval: true }).on('exit', done));
      process.exit(0);`;
    expect([...(await contactsOf(code))].sort()).toEqual(
      expect.arrayContaining(['dns name.invalid', 'dns other.invalid', 'dns worker.invalid', 'tcp 192.0.2.8', 'udp 192.0.2.7']),
    );
  });

  test('in this process it can be put on and taken off', async () => {
    const here = watchEgressHere();
    await lookup('nobody.invalid').catch(() => undefined);
    here.stop();
    await lookup('later.invalid').catch(() => undefined);
    expect(here.contacts.map(({ target }) => target)).toEqual(['nobody.invalid']);
  });
});

describe('an impaired path', () => {
  async function send(
    count: number,
    options: Partial<Parameters<typeof ImpairedPath.open>[0]>,
  ): Promise<{ got: number[]; path: ImpairedPath }> {
    const [client, server] = [await openUdp(), await openUdp()];
    const echoed = new EventLog<number>();
    server.onDatagram = (datagram, from) => server.send(datagram, from);
    client.onDatagram = (datagram) => echoed.push(datagram.readUInt16BE());
    const path = await ImpairedPath.open({ to: server.local, ...options });
    for (let n = 0; n < count; n++) {
      const datagram = Buffer.alloc(2);
      datagram.writeUInt16BE(n);
      client.send(datagram, path.local);
      if (n % 50 === 49) await new Promise((resolve) => setImmediate(resolve));
    }
    const { up, down } = path;
    const passed = () => up.received === count && down.received === count - up.lost + up.duplicated;
    await eventually(() => passed() && echoed.count === down.received - down.lost + down.duplicated, 3000, 'the datagrams to pass');
    client.close();
    server.close();
    await path.close();
    return { got: [...echoed.all], path };
  }

  test('passes everything both ways when nothing is asked of it', async () => {
    const { got } = await send(200, {});
    expect(got).toEqual(Array.from({ length: 200 }, (_, n) => n));
  });

  test('loses the share it is told, the same datagrams for the same seed', async () => {
    const first = await send(1000, { up: { lossShare: 0.1 }, seed: 5 });
    const second = await send(1000, { up: { lossShare: 0.1 }, seed: 5 });
    expect(first.got.length).toBeGreaterThan(860);
    expect(first.got.length).toBeLessThan(940);
    expect(second.got).toEqual(first.got);
  });

  test('loses in bursts, drops what it is told, duplicates and delays', async () => {
    expect((await send(1000, { up: { burst: { begin: 0.02, end: 0.25 } } })).path.up.lost).toBeGreaterThan(30);
    expect((await send(5, { down: { drop: (_datagram, number) => number === 2 } })).got).toEqual([0, 1, 3, 4]);
    expect((await send(3, { up: { duplicateShare: 1 } })).got).toEqual([0, 0, 1, 1, 2, 2]);
    const started = performance.now();
    await send(3, { up: { delayMs: 60 } });
    expect(performance.now() - started).toBeGreaterThan(55);
  });
});

describe('reading metrics', () => {
  const metrics = new MetricsText(
    '# HELP a_total What\n# TYPE a_total counter\na_total{cause="bye",to="x\\"y"} 3\na_total{cause="cancel"} 2\nb 1.5e3\nc_bucket{le="+Inf"} 7\n',
  );

  test('by name and labels', () => {
    expect(metrics.value('a_total', { cause: 'bye' })).toBe(3);
    expect(metrics.value('a_total', { to: 'x"y' })).toBe(3);
    expect(metrics.sum('a_total')).toBe(5);
    expect(metrics.value('b')).toBe(1500);
    expect(metrics.value('c_bucket', { le: '+Inf' })).toBe(7);
    expect(metrics.sum('none')).toBe(0);
    expect(() => metrics.value('a_total')).toThrow('2 metrics match');
  });
});

describe('what a process uses', () => {
  test('is read from the system', () => {
    const figures = processFigures();
    expect(figures.rssBytes).toBeGreaterThan(10e6);
    expect(figures.fileDescriptors).toBeGreaterThan(3);
    expect(figures.cpuMs).toBeGreaterThan(10);
  });

  test('what is left behind is named, and gone when it is closed', async () => {
    const baseline = await ResourceBaseline.take();
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    expect(Object.keys(activeResources())).toContain('UDPWrap');
    await expect(baseline.restored(50)).rejects.toThrow(/1 UDPWrap/);
    socket.close();
    server.close();
    await baseline.restored(1000);
  });
});

describe('waiting', () => {
  test('ends with what it waited for, or says what did not come', async () => {
    let ready = false;
    setTimeout(() => {
      ready = true;
    }, 20);
    await eventually(() => ready, 1000, 'readiness');
    expect(await eventually(Promise.resolve(5), 100, 'five')).toBe(5);
    await expect(eventually(() => false, 30, 'the impossible')).rejects.toThrow('waited 30 ms for the impossible');
    await expect(within(new Promise(() => undefined), 20, 'nothing')).rejects.toBeInstanceOf(DeadlineError);
  });

  test('an event log gives the past and the future', async () => {
    const log = new EventLog<number>();
    log.push(1);
    expect(await log.find((n) => n === 1, 10, 'one')).toBe(1);
    const later = log.next((n) => n === 1, 100, 'one again');
    log.push(1);
    expect(await later).toBe(1);
    await expect(log.find((n) => n === 9, 10, 'nine')).rejects.toThrow('for nine');
  });
});

describe('child processes', () => {
  test('their lines are read, they are stopped, and one that dies early says its last words', async () => {
    const child = new Child(process.execPath, ['-e', 'console.log("port 17"); setInterval(() => {}, 1000)']);
    expect((await child.line(/port (\d+)/, 5000))[1]).toBe('17');
    expect(await child.stop()).toEqual({ code: null, signal: 'SIGTERM' });
    const stubborn = new Child(process.execPath, ['-e', 'process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)']);
    await stubborn.line(/up/, 5000);
    expect(await stubborn.stop(100)).toEqual({ code: null, signal: 'SIGKILL' });
    const broken = new Child(process.execPath, ['-e', 'console.error("no luck"); process.exit(3)']);
    await expect(broken.line(/up/, 5000)).rejects.toThrow(/no luck/);
    expect((await broken.end(1000)).code).toBe(3);
    expect((await new Child('/no/such/program', []).end(1000)).code).toBe(127);
  });
});

test('free ports are different and free for UDP and TCP', async () => {
  const ports = await freePorts(5);
  expect(new Set(ports).size).toBe(5);
  const socket = await openUdp('127.0.0.1', ports[0]);
  expect(socket.local.port).toBe(ports[0]);
  socket.close();
});

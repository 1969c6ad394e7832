import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { CallMediaEvents } from '../../../src/bridge/call-media.ts';
import type { DialRequest } from '../../../src/leg/leg.ts';
import { MemoryDirectory } from '../../../src/ownership/memory-directory.ts';
import type { Child } from '../../../src/workers/child.ts';
import type { FromWorker, ToWorker } from '../../../src/workers/messages.ts';
import { WorkerPool } from '../../../src/workers/worker-pool.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MetricsText } from '../../support/metrics-text.ts';
import { settled } from '../bridge/call-bench.ts';

/** A worker's process that is a list. */
class FakeChild implements Child {
  readonly pid: number;
  readonly received: ToWorker[] = [];
  onMessage: ((message: unknown) => void) | undefined;
  onExit: ((how: string) => void) | undefined;
  killed = false;
  waitedMs = 0;
  released = false;
  /** Ports it gives to calls; without any it says that there are none. */
  ports = 100;

  constructor(pid: number) {
    this.pid = pid;
  }

  send(message: object): void {
    const order = message as ToWorker;
    this.received.push(order);
    if (order.type !== 'open') return;
    const { call } = order;
    this.ports -= 1;
    if (this.ports >= 0) this.say({ type: 'ports', call, rtpPort: 2, rtcpPort: 3, fingerprint: { algorithm: 'sha-256', value: '00' } });
    else this.say({ type: 'failed', call, code: 'ERR_NO_PORT', message: 'all are taken' });
  }

  say(message: FromWorker): void {
    queueMicrotask(() => this.onMessage?.(message));
  }

  kill(): void {
    this.killed = true;
  }

  release(): void {
    this.released = true;
  }

  listen(innerPort = 4000): void {
    this.onMessage?.({ type: 'listening', innerPort });
  }

  status(ready = true, draining = false, otherSessions = 0, overloaded = false): void {
    this.onMessage?.({ type: 'status', ready, draining, overloaded, otherSessions });
  }

  exit(how = 'SIGKILL'): void {
    this.onExit?.(how);
  }

  get start(): Extract<ToWorker, { type: 'start' }> | undefined {
    return this.received.find((each) => each.type === 'start');
  }
}

class Bench {
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly directory = new MemoryDirectory();
  readonly children: FakeChild[] = [];
  readonly dialled: DialRequest[] = [];
  readonly pool: WorkerPool;

  constructor(workers = 2) {
    this.pool = new WorkerPool(
      {
        clock: this.clock,
        log: createLog('silent'),
        metrics: this.metrics,
        directory: this.directory,
        spawn: () => {
          const child = new FakeChild(1000 + this.children.length);
          this.children.push(child);
          return child;
        },
        dialler: {
          dial: async (request) => {
            this.dialled.push(request);
            if (request.trunk === 'none') throw new GatewayError('ERR_NOT_FOUND', 'no such trunk');
          },
        },
      },
      {
        workers,
        key: { id: 0, secret: Buffer.alloc(32) },
        bind: '127.0.0.1',
        rtpPorts: { first: 20_000, last: 20_009 },
        maxCalls: 10,
        mediaTimeoutMs: 30_000,
        sessionMinutes: 60,
        logLevel: 'info',
        agent: {},
        tools: { hangUp: false },
        model: { type: 'embedded' },
        mcp: { servers: [], allow: [], sessionServers: 'all', listTimeoutMs: 10_000, callTimeoutMs: 30_000 },
      },
    );
  }

  /** All workers listen and have heard the relay. */
  async ready(): Promise<this> {
    const started = this.pool.start();
    for (const child of this.children) child.listen();
    await started;
    for (const child of this.children) child.status();
    return this;
  }

  child(n: number): FakeChild {
    const child = this.children[n];
    if (!child) throw new Error(`there is no child ${n}`);
    return child;
  }

  /** Time passes to the next look of the front, which comes so much later than it was to. */
  lateLook(lateMs: number): void {
    this.clock.oversleep((this.clock.nextTimer() ?? 0) - this.clock.now() + lateMs);
  }

  /** Opens a call; the number of the worker that got it. */
  async open(): Promise<number> {
    const before = this.children.map(({ received }) => received.length);
    await this.pool.open(VOICE, EVENTS);
    return this.children.findIndex(({ received }, n) => received.length > (before[n] ?? 0)) + 1;
  }
}

const VOICE = { maxPlaybackRateHz: 8000 };
const lost: string[] = [];
const nothing = (): void => undefined;
const EVENTS: CallMediaEvents = {
  leg: { answer: nothing, reject: nothing, hangup: nothing, report: nothing },
  onOpened: nothing,
  onConnected: nothing,
  onLost: (reason) => void lost.push(reason),
  onKey: nothing,
  onTimeout: nothing,
  onFirstAudio: nothing,
};

describe('the worker pool', () => {
  test('starts each worker with its own ports and number, and tells the relay where it is', async () => {
    const bench = await new Bench().ready();
    expect(bench.children.map(({ start }) => [start?.worker, start?.rtpPorts])).toEqual([
      [1, { first: 20_000, last: 20_003 }],
      [2, { first: 20_004, last: 20_007 }],
    ]);
    expect(bench.directory.find(2)).toEqual({ nodeId: 2, inner: { address: '127.0.0.1', port: 4000 } });
    expect(bench.pool.ready).toBe(true);
    await bench.pool.allReady();
  });

  test('cannot start when a worker ends before it listens', async () => {
    const bench = new Bench();
    const started = bench.pool.start();
    bench.child(0).listen();
    bench.child(1).exit('code 1');
    await expect(started).rejects.toMatchObject({ code: 'ERR_INTERNAL', message: /code 1/ });
  });

  test('waits no longer than five seconds for workers that hear no relay', async () => {
    const bench = new Bench();
    const started = bench.pool.start();
    for (const child of bench.children) child.listen();
    await started;
    const ready = bench.pool.allReady();
    for (let n = 0; n < 20; n += 1) {
      for (const child of bench.children) child.status(false);
      bench.clock.advance(250);
    }
    await ready;
    expect(bench.pool.ready).toBe(false);
    await expect(bench.pool.open(VOICE, EVENTS)).rejects.toMatchObject({ code: 'ERR_NODE_UNREACHABLE' });
  });

  test('gives each call to the worker with the fewest, one that drains none, and asks another when ports are out', async () => {
    const bench = await new Bench().ready();
    expect([await bench.open(), await bench.open(), await bench.open(), await bench.open()]).toEqual([1, 2, 1, 2]);
    bench.child(0).status(true, false, 5);
    expect([await bench.open(), await bench.open()]).toEqual([2, 2]);
    bench.child(1).status(true, true);
    expect(await bench.open()).toBe(1);
    bench.child(1).status();
    bench.child(0).status();
    bench.child(0).ports = 0;
    await bench.pool.open(VOICE, EVENTS);
    expect(bench.child(1).received.filter(({ type }) => type === 'open')).toHaveLength(5);
    bench.child(1).ports = 0;
    await expect(bench.pool.open(VOICE, EVENTS)).rejects.toMatchObject({ code: 'ERR_NO_PORT' });
    for (const child of bench.children) child.status(true, true);
    await expect(bench.pool.open(VOICE, EVENTS)).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
  });

  test('passes a worker over whose audio leaves late, and has room for nobody when that is true of all', async () => {
    const bench = await new Bench().ready();
    bench.child(0).status(true, false, 0, true);
    expect([await bench.open(), await bench.open()]).toEqual([2, 2]);
    expect(bench.pool.ready).toBe(true);
    bench.child(1).status(true, false, 0, true);
    expect(bench.pool.ready).toBe(false);
    await expect(bench.pool.open(VOICE, EVENTS)).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    bench.child(0).status();
    expect(await bench.open()).toBe(1);
  });

  test('loses the calls of a worker that dies and no others, and starts it again, later each time', async () => {
    const bench = await new Bench().ready();
    await bench.open();
    await bench.open();
    lost.length = 0;
    bench.child(0).exit();
    expect(lost).toEqual(['owner_lost']);
    expect(bench.directory.find(1)).toBeUndefined();
    expect(bench.pool.ready).toBe(true);
    expect(await bench.open()).toBe(2);
    const delays: number[] = [];
    for (let n = 0; n < 9; n += 1) {
      const before = bench.children.length;
      const diedAt = bench.clock.now();
      while (bench.children.length === before) {
        bench.child(1).status();
        bench.clock.advance(50);
      }
      delays.push(bench.clock.now() - diedAt);
      const child = bench.child(before);
      expect(child.start?.worker).toBe(1);
      child.listen(5000 + n);
      if (n < 8) child.exit('code 1');
    }
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    bench.children.at(-1)?.status();
    expect(bench.directory.find(1)?.inner.port).toBe(5008);
    expect(await bench.open()).not.toBe(2);
    const text = bench.metrics.text();
    await settled();
    bench.clock.advance(500);
    expect(new MetricsText(await text).value('ringdown_worker_deaths_total', { number: '1' })).toBe(9);
  });

  test('kills a worker that says nothing for 1.75 s, but gives one that starts half a minute', async () => {
    const bench = new Bench(1);
    const started = bench.pool.start();
    bench.clock.advance(30_000);
    expect(bench.child(0).killed).toBe(false);
    bench.child(0).listen();
    await started;
    bench.child(0).status();
    bench.clock.advance(1500);
    expect(bench.child(0).killed).toBe(false);
    bench.clock.advance(250);
    expect(bench.child(0).killed).toBe(true);
  });

  test('gives a worker more time on a machine that has none for its own looks either, but not forever', async () => {
    const bench = await new Bench(1).ready();
    for (let n = 0; n < 16; n += 1) bench.lateLook(110);
    expect(bench.child(0).killed).toBe(false);
    bench.lateLook(110);
    expect(bench.child(0).killed).toBe(true);

    const busy = await new Bench(1).ready();
    for (let n = 0; n < 40; n += 1) {
      busy.lateLook(400);
      if (n % 10 === 0) busy.child(0).status();
    }
    expect(busy.child(0).killed).toBe(false);
  });

  test('does not take a worker that waits for a core for one that is stuck, for 4 s at the most', async () => {
    const bench = await new Bench(1).ready();
    const [child] = bench.children;
    if (!child) throw new Error('no worker');
    // Half of the time, and then all of it.
    for (let n = 0; n < 12; n += 1) {
      child.waitedMs += 125;
      bench.clock.advance(250);
    }
    expect(child.killed).toBe(false);
    child.status();
    for (let n = 0; n < 16; n += 1) {
      child.waitedMs += 250;
      bench.clock.advance(250);
    }
    expect(child.killed).toBe(false);
    child.waitedMs += 250;
    bench.clock.advance(250);
    expect(child.killed).toBe(true);
  });

  test('has drained when no call and no session is left in any worker, and starts none that dies meanwhile', async () => {
    const bench = await new Bench().ready();
    await bench.open();
    bench.child(1).status(true, false, 1);
    let drained = false;
    void bench.pool.drain().then(() => {
      drained = true;
    });
    const pass = async (): Promise<boolean> => {
      bench.clock.advance(50);
      await settled();
      return drained;
    };
    expect(await pass()).toBe(false);
    bench.child(0).status(true, true);
    bench.child(1).status(true, true, 1);
    expect(await pass()).toBe(false);
    bench.child(0).exit();
    expect(await pass()).toBe(false);
    bench.child(1).status(true, true, 0);
    expect(await pass()).toBe(true);
    bench.clock.advance(1000);
    expect(bench.children).toHaveLength(2);
  });

  test('serves what workers have measured with its own, as far as they answer in time', async () => {
    const bench = await new Bench().ready();
    const text = bench.metrics.text();
    await settled();
    const asked = bench.child(0).received.find((each) => each.type === 'measure');
    if (asked?.type !== 'measure') throw new Error('nothing was asked');
    const body = '# HELP ringdown_sessions Sessions.\n# TYPE ringdown_sessions gauge\nringdown_sessions{worker="1"} 7\n';
    bench.child(0).say({ type: 'measured', request: asked.request, text: body });
    await settled();
    bench.clock.advance(500);
    const metrics = new MetricsText(await text);
    expect(metrics.value('ringdown_sessions', { worker: '1' })).toBe(7);
    expect(metrics.value('ringdown_workers_ready')).toBe(2);
  });

  test('has the bridge call somebody for a worker, and tells it of a refusal', async () => {
    const bench = await new Bench().ready();
    bench.child(0).say({ type: 'dial', request: 1, to: { trunk: 'pbx', destination: '100' } });
    bench.child(1).say({ type: 'dial', request: 1, to: { trunk: 'none', destination: '100' } });
    await settled();
    expect(bench.dialled.map(({ trunk }) => trunk)).toEqual(['pbx', 'none']);
    expect(bench.child(0).received.at(-1)).toEqual({ type: 'dialled', request: 1 });
    expect(bench.child(1).received.at(-1)).toEqual({
      type: 'dialled',
      request: 1,
      refusal: { code: 'ERR_NOT_FOUND', message: 'no such trunk' },
    });
  });

  test('bears messages that do not fit, and ends its workers with itself', async () => {
    const bench = await new Bench().ready();
    bench.child(0).onMessage?.({ type: 'status', ready: 'yes' });
    bench.child(0).onMessage?.('nonsense');
    bench.pool.drain();
    expect(bench.child(0).received.at(-1)).toEqual({ type: 'drain' });
    const stopped = bench.pool.stop();
    expect(bench.children.map(({ released }) => released)).toEqual([true, true]);
    bench.child(0).exit('code 0');
    for (let n = 0; n < 40; n += 1) {
      bench.clock.advance(10);
      await Promise.resolve();
      await Promise.resolve();
    }
    await stopped;
    expect(bench.children.map(({ killed }) => killed)).toEqual([false, true]);
    expect(bench.children).toHaveLength(2);
  });
});

import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { HttpDoor } from '../../../src/control/http-door.ts';
import type { Access, EventChannel, OpenedChannel } from '../../../src/leg/session-host.ts';
import { FakeSessionHost } from '../../support/fake-session-host.ts';
import { eventually } from '../../support/wait.ts';
import { BenchClient, type BenchOptions, SurfaceBench } from '../../unit/realtime/surface-bench.ts';

const KEY = 'sk-shop-0123456789';
const ID = 'rtc_0_call';
const DEADLINE_MS = 10_000;
/** Nothing else in a call looks like it. */
const SECRET = '4929173850';

/** The owner of one call, whose programs come to its surface. */
class OneCall extends FakeSessionHost {
  readonly bench: SurfaceBench;
  channel: EventChannel | undefined;
  /** Channels that programs have closed. */
  left = 0;

  constructor(options: BenchOptions) {
    super();
    this.bench = new SurfaceBench(options);
  }

  override async attach(id: string, { project }: Access, channel: EventChannel): Promise<OpenedChannel> {
    if (this.failure) throw this.failure;
    if (id !== ID || project !== 'shop') throw new GatewayError('ERR_NOT_FOUND', 'There is no such call.');
    this.channel = channel;
    await this.gate;
    const end = this.bench.surface.open(channel, { ephemeral: false });
    if (!end) throw new GatewayError('ERR_NOT_FOUND', 'the call is over');
    return { sessionId: id, receive: (event) => end.receive(event), close: () => this.#leave(end) };
  }

  #leave(end: { close(): void }): void {
    this.left += 1;
    end.close();
  }
}

interface Answer {
  readonly status: number;
  readonly json: Record<string, unknown> & {
    readonly error?: { readonly code: string; readonly param: string | null; readonly message: string };
  };
}

let scene: Awaited<ReturnType<typeof open>>;

async function open(options: BenchOptions = {}) {
  const lines: string[] = [];
  const stream = new Writable({
    write: (line, _, done) => {
      lines.push(String(line));
      done();
    },
  });
  const log = createLog('trace', stream as never);
  const host = new OneCall({ leg: { sendDtmf: () => {} }, log, ...options });
  const { bench } = host;
  const metrics = new Metrics();
  const projects = [{ name: 'shop', keyDigests: [createHash('sha256').update(KEY).digest('hex')] }];
  const door = new HttpDoor(
    { clock: bench.clock, log, metrics, readiness: () => ({ ready: true }) },
    { bind: '127.0.0.1', port: 0, api: { projects, host: () => host } },
  );
  const at: Endpoint = await door.start();
  const url = (id = ID): string => `http://127.0.0.1:${at.port}/v1/realtime/calls/${id}/digits`;
  const headers = (key: string) => ({ authorization: `Bearer ${key}`, 'content-type': 'application/json' });
  const heard: number[] = [];
  bench.model.onAudio = (pcm) => heard.push(pcm.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0));
  bench.level = 3000;
  bench.run(40);
  const started = (): number => bench.client.events.filter(({ type }) => type === 'call.digits.started').length;
  return {
    ...{ host, bench, door, metrics, lines, heard, url, headers },
    async ask(body: unknown = {}, { id = ID, key = KEY } = {}): Promise<Answer> {
      const response = await fetch(url(id), { method: 'POST', headers: headers(key), body: JSON.stringify(body) });
      return { status: response.status, json: (await response.json()) as Answer['json'] };
    },
    /** Asks, and comes back when keys are collected. */
    async begin(body: unknown = {}): Promise<Promise<Answer>[]> {
      const before = started();
      const answer = this.ask(body);
      await eventually(() => started() > before, DEADLINE_MS, 'the entry');
      return [answer];
    },
    press(digits: string): void {
      for (const digit of digits) {
        bench.session.handleLegEvent({ type: 'dtmf', digit, durationMs: 80 });
        bench.run(100);
      }
    },
    /** A request whose client can be cut off. */
    cut(body: unknown = {}): () => void {
      const asked = httpRequest(url(), { method: 'POST', headers: headers(KEY) });
      asked.on('error', () => undefined);
      asked.end(JSON.stringify(body));
      return () => asked.destroy();
    },
    ended: () =>
      eventually(() => bench.client.events.find(({ type }) => type === 'call.digits.ended'), DEADLINE_MS, 'the end of the entry'),
    started,
  };
}

beforeEach(async () => {
  scene = await open();
});
afterEach(() => scene.door.stop());

describe('keys that a request asks for', () => {
  test('are its answer, and nobody else has them, nor hears the caller', async () => {
    const { bench, press, heard } = scene;
    const other = new BenchClient(bench.surface);
    heard.length = 0;
    const [answer] = await scene.begin({ secure: true, count: SECRET.length });
    press(SECRET);
    expect(await answer).toEqual({
      status: 200,
      json: { object: 'realtime.call.digits', digits: SECRET, count: 10, ended_by: 'count', secure: true },
    });
    expect(Math.max(...heard)).toBe(0);
    bench.run(500);
    expect(heard.at(-1)).toBe(3000);
    bench.session.end('remote_hangup');
    const traces = [
      ...scene.lines,
      ...[...bench.client.events, ...other.events].map((event) => JSON.stringify(event)),
      JSON.stringify(bench.model.told),
      JSON.stringify(bench.session.snapshot()),
      await scene.metrics.text(),
    ];
    expect(traces.filter((trace) => trace.includes(SECRET) || trace.includes(SECRET.slice(0, 6)))).toEqual([]);
    expect([...bench.client.events, ...other.events].filter(({ type }) => type === 'call.digits.collected')).toEqual([]);
  });

  test('are not masked unless that is asked for', async () => {
    const [answer] = await scene.begin({ count: 2 });
    scene.press('42');
    expect((await answer)?.json).toMatchObject({ digits: '42', ended_by: 'count', secure: false });
    expect(scene.bench.client.events.filter(({ type }) => type === 'input_audio_buffer.dtmf_event_received')).toHaveLength(2);
  });

  test.each([
    ['a terminator', { terminator: '*' }, () => scene.press('*'), 'terminator', '12'],
    ['the time for the next key', { timeout_ms: 400 }, () => scene.bench.run(500), 'timeout', '12'],
    ['the time for all of it, however fast they come', { within_ms: 1000 }, () => scene.press('3456789012345'), 'timeout', '1234567890'],
    ['another program', {}, () => new BenchClient(scene.bench.surface).send({ type: 'call.digits.stop' }), 'stopped', '12'],
    ['the end of the call', {}, () => scene.bench.session.end('remote_hangup'), 'ended', '12'],
    ['the end of a call of ours', {}, () => scene.bench.surface.end('remote_hangup', 480), 'ended', '12'],
  ])('are ended by %s, with what there is', async (_, body, end, endedBy, digits) => {
    const [answer] = await scene.begin({ secure: true, ...body });
    scene.press('12');
    end();
    expect((await answer)?.json).toMatchObject({ digits, ended_by: endedBy });
  });

  test('are none when nobody types', async () => {
    const [answer] = await scene.begin({ first_timeout_ms: 1000 });
    scene.bench.run(1100);
    expect((await answer)?.json).toMatchObject({ digits: '', count: 0, ended_by: 'timeout' });
  });

  test('are gone with the client, and the mask with them', async () => {
    const cut = scene.cut({ secure: true });
    await eventually(() => scene.started() > 0, DEADLINE_MS, 'the entry');
    scene.press('12');
    cut();
    expect(await scene.ended()).toMatchObject({ ended_by: 'gone', count: 2 });
    scene.bench.run(500);
    expect(scene.heard.at(-1)).toBe(3000);
    const [answer] = await scene.begin({ count: 1 });
    scene.press('7');
    expect((await answer)?.json).toMatchObject({ digits: '7' });
  });

  test('are not asked for by a client that has gone before the owner answers', async () => {
    let letIn = (): void => undefined;
    scene.host.gate = new Promise((resolve) => {
      letIn = resolve;
    });
    const cut = scene.cut({ secure: true });
    await eventually(() => scene.host.channel, DEADLINE_MS, 'the request at the owner');
    cut();
    letIn();
    await eventually(() => scene.host.left > 0, DEADLINE_MS, 'the channel to be closed');
    // Whether the owner was asked before the client was missed or not: no trace of it is left.
    scene.bench.run(500);
    expect([scene.host.left, scene.bench.surface.channels, scene.bench.session.isCollecting]).toEqual([1, 1, false]);
  });
});

describe('a request for keys is refused', () => {
  test('where others are asked for already', async () => {
    const [answer] = await scene.begin({ count: 1 });
    const second = await scene.ask({ secure: true });
    expect([second.status, second.json.error?.code]).toEqual([409, 'invalid_state']);
    scene.press('5');
    expect((await answer)?.json).toMatchObject({ digits: '5', secure: false });
  });

  test('where there are no keys, or nobody has answered', async () => {
    for (const options of [{ media: 'websocket' }, { answer: 'manual' }] as const) {
      await scene.door.stop();
      scene = await open(options);
      const { status, json } = await scene.ask();
      expect([status, json.error?.code]).toEqual([409, 'invalid_state']);
    }
  });

  test.each([
    ['count', { count: 65 }, /at most 64, found 65/],
    ['count', { count: 0 }, /at least 1, found 0/],
    ['count', { count: '4' }, /expected number/],
    ['terminator', { terminator: 'E' }, /0-9 A-D \* #, found 'E'/],
    ['within_ms', { within_ms: 600_001 }, /at most 600000, found 600001/],
    ['first_timeout_ms', { first_timeout_ms: 99 }, /at least 100, found 99/],
    ['secure', { secure: 'yes' }, /expected boolean/],
    ['digits', { digits: '1' }, /Unknown parameter: 'digits'/],
  ])('with %s at fault', async (param, body, message) => {
    const { status, json } = await scene.ask(body);
    expect([status, json.error?.param]).toEqual([400, param]);
    expect(json.error?.message).toMatch(message);
    expect(scene.started()).toBe(0);
  });

  test('for calls that are not there, and to client secrets', async () => {
    for (const id of ['rtc_0_other', 'x'.repeat(100), '..']) expect((await scene.ask({}, { id })).status).toBe(404);
    expect((await scene.ask({}, { key: 'made-up' })).status).toBe(401);
    const made = await fetch(scene.url().replace(/calls.*/, 'client_secrets'), { method: 'POST', headers: scene.headers(KEY), body: '{}' });
    const { value } = (await made.json()) as { value: string };
    expect((await scene.ask({}, { key: value })).status).toBe(403);
    const other = await fetch(scene.url(), { headers: scene.headers(KEY) });
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'POST']);
    expect(scene.started()).toBe(0);
  });

  test('when the owner of the call is lost, stuck, or full', async () => {
    const [lost] = await scene.begin();
    scene.host.channel?.close(1011, 'connection to the session lost');
    expect((await lost)?.status).toBe(503);
    scene.host.gate = new Promise(() => undefined);
    scene.host.channel = undefined;
    const stuck = scene.ask({ within_ms: 1000 });
    await eventually(() => scene.host.channel, DEADLINE_MS, 'the request at the owner');
    scene.bench.clock.advance(6000);
    expect((await stuck).status).toBe(504);
    scene.host.failure = new GatewayError('ERR_OVERLOADED', 'too many channels on this session');
    expect((await scene.ask()).status).toBe(503);
  });
});

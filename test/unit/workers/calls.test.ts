import { deserialize, serialize } from 'node:v8';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadOpus } from '../../../src/audio/opus.ts';
import { GatewayError } from '../../../src/base/errors.ts';
import type { CallMediaEvents, CallMediaOpening } from '../../../src/bridge/call-media.ts';
import type { InnerConnection } from '../../../src/bridge/inner-connection.ts';
import { LocalMediaHost } from '../../../src/bridge/local-media.ts';
import type { RtpPorts } from '../../../src/rtp/ports.ts';
import { type CallNews, type CallOrder, fromWorker, isCallNews, isCallOrder, toWorker } from '../../../src/workers/messages.ts';
import { RemoteCalls } from '../../../src/workers/remote-calls.ts';
import { ServedCalls } from '../../../src/workers/served-calls.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Awaited, FakeHost, FakeInner, FakePorts, IDENTITY, PHONE, SUMMARY, settled } from '../bridge/call-bench.ts';

/* Both ends of the pipe, with all that crosses it copied and checked as between processes. */

const VOICE = { maxPlaybackRateHz: 8000 };
const OPENING: CallMediaOpening = {
  origin: { kind: 'phone', from: 'sip:a@192.0.2.10', to: `sip:agent@${'x'.repeat(3000)}`, callBack: { trunk: 'pbx', destination: '100' } },
  audio: {
    codec: 'PCMU',
    payloadType: 0,
    sampleRateHz: 8000,
    alternatives: [],
    telephoneEventPayloadType: 101,
    remote: PHONE,
    remoteRtcp: { ...PHONE, port: PHONE.port + 1 },
    direction: 'sendrecv',
    ptimeMs: 20,
  },
  signallingAddress: PHONE.address,
};

/** What the dialog half is told, as words. */
function listen(): { readonly events: CallMediaEvents; readonly heard: string[] } {
  const heard: string[] = [];
  const events: CallMediaEvents = {
    leg: {
      answer: () => void heard.push('answer'),
      reject: (cause) => void heard.push(`reject ${cause}`),
      hangup: (cause) => void heard.push(`hangup ${cause}`),
      refer: (target) => void heard.push(`refer ${target}`),
      sendDtmf: (digits) => void heard.push(`dtmf ${digits}`),
      report: ({ turns, responseLatencyMs }) => void heard.push(`report ${turns} ${responseLatencyMs?.p50}`),
    },
    onOpened: (sessionId) => void heard.push(`opened ${sessionId}`),
    onConnected: () => void heard.push('connected'),
    onLost: (reason) => void heard.push(`lost ${reason}`),
    onKey: () => void heard.push('key'),
    onTimeout: () => void heard.push('timeout'),
    onFirstAudio: () => void heard.push('first audio'),
  };
  return { events, heard };
}

class Pipe {
  readonly clock = new FakeClock();
  readonly ports = new FakePorts();
  readonly inner = new FakeInner();
  readonly host = new FakeHost();
  readonly portsOpening = new Awaited<RtpPorts>();
  readonly innerOpening = new Awaited<InnerConnection>();
  readonly served: ServedCalls;
  readonly remote: RemoteCalls;
  /** Type of every message, `>` to the worker. */
  readonly said: string[] = [];

  constructor() {
    const { clock, host } = this;
    const deps = {
      clock,
      host,
      identity: IDENTITY,
      ports: { open: () => this.portsOpening.promise },
      openInner: () => this.innerOpening.promise,
    };
    const media = new LocalMediaHost({ ...deps, ownerAnswers: () => true }, { mediaTimeoutMs: 30_000 });
    this.served = new ServedCalls(media, (news) => this.#up(news));
    this.remote = new RemoteCalls({ clock, send: (order) => this.#down(order) });
  }

  socketsOpen(): void {
    this.portsOpening.resolve(this.ports);
    this.innerOpening.resolve(this.inner);
  }

  #down(order: CallOrder): void {
    this.said.push(`> ${order.type}`);
    const read = toWorker.parse(deserialize(serialize(order)));
    if (isCallOrder(read)) this.served.handle(read);
  }

  #up(news: CallNews): void {
    this.said.push(`< ${news.type}`);
    const read = fromWorker.parse(deserialize(serialize(news)));
    if (isCallNews(read)) this.remote.handle(read);
  }
}

beforeAll(() => loadOpus());

describe('a call whose media a worker carries', () => {
  test('is set up, talks, and ends with its figures before the report', async () => {
    const pipe = new Pipe();
    const { events, heard } = listen();
    pipe.socketsOpen();
    const media = await pipe.remote.open(VOICE, events);
    expect([media.rtpPort, media.rtcpPort]).toEqual([20_000, 20_001]);
    expect(pipe.remote.size).toBe(1);
    pipe.host.opening.resolve();
    await media.connect(OPENING);
    expect(pipe.inner.connectedTo).toBe('the inner answer');
    pipe.host.leg?.answer();
    pipe.inner.onConnected?.();
    media.start();
    media.tell({ type: 'dtmf', digit: '5', durationMs: 100 });
    media.tell({ type: 'transfer', state: 'failed', status: 400 });
    media.renegotiate({ ...OPENING.audio, codec: 'PCMA', payloadType: 8 });
    pipe.host.leg?.refer?.('sip:b@192.0.2.9');
    pipe.host.leg?.sendDtmf?.('12');
    media.end('remote_hangup');
    pipe.host.leg?.report(SUMMARY);
    expect(pipe.host.told).toEqual([
      { type: 'answered' },
      { type: 'dtmf', digit: '5', durationMs: 100 },
      { type: 'transfer', state: 'failed', status: 400 },
      { type: 'ended', cause: 'remote_hangup' },
    ]);
    expect(heard).toEqual(['opened rtc_0_session', 'answer', 'connected', 'refer sip:b@192.0.2.9', 'dtmf 12']);
    expect(media.snapshot()).toMatchObject({ codec: 'PCMA', held: 0 });
    expect(pipe.said.slice(-4)).toEqual(['> end', '< figures', '< closed', '< command']);
    expect([pipe.remote.size, pipe.served.size, pipe.ports.released, pipe.inner.closed]).toEqual([0, 0, 1, 1]);
    expect(pipe.clock.nextTimer()).toBeUndefined();
  });

  test('hears the report of a session that ends by itself after the figures', async () => {
    const pipe = new Pipe();
    const { events, heard } = listen();
    pipe.socketsOpen();
    pipe.host.opening.resolve();
    const media = await pipe.remote.open(VOICE, events);
    await media.connect(OPENING);
    pipe.host.leg?.hangup('agent_hangup');
    pipe.host.leg?.report(SUMMARY);
    expect(pipe.said.slice(-3)).toEqual(['< command', '< figures', '< command']);
    expect(heard).toEqual(['opened rtc_0_session', 'hangup agent_hangup', 'report 3 400']);
    expect(media.snapshot()).toBeDefined();
  });

  test('has the figures of five seconds ago at the most when its worker dies, and says how old they are', async () => {
    const pipe = new Pipe();
    const { events, heard } = listen();
    pipe.socketsOpen();
    const media = await pipe.remote.open(VOICE, events);
    pipe.served.tellFigures(pipe.clock.now());
    expect(pipe.said.at(-1)).toBe('< ports');
    pipe.host.opening.resolve();
    await media.connect(OPENING);
    const told: number[] = [];
    for (let n = 0; n < 50; n++) {
      const before = pipe.said.length;
      pipe.served.tellFigures(pipe.clock.now());
      if (pipe.said.length > before) told.push(pipe.clock.now());
      pipe.clock.advance(250);
    }
    expect(told).toEqual([0, 5000, 10_000]);
    pipe.remote.lost();
    expect(heard.at(-1)).toBe('lost owner_lost');
    expect(media.snapshot()).toMatchObject({ codec: 'PCMU' });
    expect(pipe.clock.wallclock() - (media.snapshotAt ?? 0)).toBe(2500);
  });

  test('has figures of all of it when its worker lives on', async () => {
    const pipe = new Pipe();
    pipe.socketsOpen();
    pipe.host.opening.resolve();
    const media = await pipe.remote.open(VOICE, listen().events);
    await media.connect(OPENING);
    pipe.served.tellFigures(pipe.clock.now());
    expect(media.snapshotAt).toBe(pipe.clock.wallclock());
    media.end('remote_hangup');
    expect(media.snapshotAt).toBeUndefined();
    expect(media.snapshot()).toBeDefined();
  });

  test('is told of on one beat with fifteen others at the most', async () => {
    const pipe = new Pipe();
    pipe.socketsOpen();
    pipe.host.opening.resolve();
    for (let n = 0; n < 40; n++) await (await pipe.remote.open(VOICE, listen().events)).connect(OPENING);
    const counts = [];
    for (let n = 0; n < 4; n++) {
      const before = pipe.said.length;
      pipe.served.tellFigures(pipe.clock.now());
      counts.push(pipe.said.length - before);
      pipe.clock.advance(250);
    }
    expect(counts).toEqual([16, 16, 8, 0]);
  });

  test('fails with the reason of the worker, and leaves nothing there', async () => {
    const pipe = new Pipe();
    pipe.portsOpening.reject(new GatewayError('ERR_NO_PORT', 'all RTP ports are in use or resting'));
    pipe.innerOpening.resolve(pipe.inner);
    await expect(pipe.remote.open(VOICE, listen().events)).rejects.toMatchObject({ code: 'ERR_NO_PORT', message: /resting/ });
    expect([pipe.remote.size, pipe.served.size, pipe.inner.closed]).toEqual([0, 0, 1]);

    const other = new Pipe();
    other.socketsOpen();
    const media = await other.remote.open(VOICE, listen().events);
    other.host.opening.reject(new GatewayError('ERR_OVERLOADED', 'all sessions are taken'));
    await expect(media.connect(OPENING)).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    media.end('media_failed');
    expect([other.served.size, other.ports.released]).toEqual([0, 1]);
  });

  test('that ends while its ports are opened, or its session, gives them back', async () => {
    const pipe = new Pipe();
    const opening = pipe.remote.open(VOICE, listen().events);
    const refused = expect(opening).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
    pipe.clock.advance(2000);
    await refused;
    expect([pipe.remote.size, pipe.served.size]).toEqual([0, 1]);
    pipe.socketsOpen();
    await settled();
    expect([pipe.served.size, pipe.ports.released, pipe.inner.closed]).toEqual([0, 1, 1]);

    const other = new Pipe();
    other.socketsOpen();
    const media = await other.remote.open(VOICE, listen().events);
    const connecting = expect(media.connect(OPENING)).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    media.end('cancelled', 487);
    await connecting;
    other.host.opening.resolve();
    await settled();
    expect(other.host.told).toEqual([{ type: 'ended', cause: 'cancelled', status: 487 }]);
    expect([other.served.size, other.ports.released]).toEqual([0, 1]);
    expect(other.clock.nextTimer()).toBeUndefined();
  });

  test('loses its owner with the worker, whatever it waited for, and hears nothing of it twice', async () => {
    const pipe = new Pipe();
    pipe.socketsOpen();
    pipe.host.opening.resolve();
    const talking = listen();
    const media = await pipe.remote.open(VOICE, talking.events);
    await media.connect(OPENING);
    const ended = listen();
    (await pipe.remote.open(VOICE, ended.events)).end('remote_hangup');
    const setUp = listen();
    const connecting = (await pipe.remote.open(VOICE, setUp.events)).connect({ ...OPENING, origin: { kind: 'phone' } });
    pipe.remote.lost();
    await expect(connecting).rejects.toMatchObject({ code: 'ERR_NODE_UNREACHABLE' });
    pipe.remote.lost();
    media.end('owner_lost');
    media.start();
    expect(talking.heard).toEqual(['opened rtc_0_session', 'lost owner_lost']);
    expect(ended.heard).toEqual([]);
    expect(pipe.remote.size).toBe(0);
    expect(pipe.said.filter((each) => each === '> end')).toHaveLength(1);
  });

  test('is not bothered by words about calls that nobody knows', () => {
    const pipe = new Pipe();
    pipe.served.handle({ type: 'acknowledged', call: 7 });
    pipe.served.handle({ type: 'end', call: 7, cause: 'shutdown' });
    pipe.remote.handle({ type: 'connected', call: 7 });
    pipe.remote.handle({ type: 'closed', call: 7 });
    expect(pipe.said).toEqual([]);
  });
});

describe('a message of the pipe', () => {
  test('has exactly its fields, and figures are a tree of numbers, flags and short words', () => {
    expect(toWorker.safeParse({ type: 'open', call: 0, maxPlaybackRateHz: 8000 }).success).toBe(false);
    expect(toWorker.safeParse({ type: 'drain', more: 1 }).success).toBe(false);
    expect(toWorker.safeParse({ type: 'keys', call: 1, digits: '' }).success).toBe(false);
    const figures = (value: unknown) => fromWorker.safeParse({ type: 'figures', call: 1, figures: value, last: true }).success;
    expect(figures({ a: { b: [1, undefined, true, 'PCMU'] } })).toBe(true);
    expect(figures({ a: 'x'.repeat(129) })).toBe(false);
    expect(figures({ a: () => undefined })).toBe(false);
    expect(figures(Array.from({ length: 513 }, () => 0))).toBe(false);
    expect(figures(7)).toBe(false);
    const loop: Record<string, unknown> = {};
    loop['again'] = loop;
    expect(figures(loop)).toBe(false);
  });
});

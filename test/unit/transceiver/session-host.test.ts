import { beforeAll, describe, expect, test } from 'vitest';
import { loadOpus } from '../../../src/audio/opus.ts';
import type { TransportAddress } from '../../../src/base/addresses.ts';
import type { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { Tick } from '../../../src/base/ticker.ts';
import type { EndCause, Leg, LegPolicy, OpenedLeg } from '../../../src/leg/leg.ts';
import type { Access, EventChannel } from '../../../src/leg/session-host.ts';
import { deriveNodeKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import type { CallContext, ModelConnection, RealtimeModel } from '../../../src/realtime/model.ts';
import { createSessionMetrics } from '../../../src/realtime/session-metrics.ts';
import { writeWebRtcOffer } from '../../../src/sdp/webrtc.ts';
import { Transceiver } from '../../../src/transceiver/transceiver.ts';
import { TransferWatch } from '../../../src/transceiver/transfer-watch.ts';
import { createIdentity } from '../../../src/webrtc/dtls/identity.ts';
import { FakeClock } from '../../support/fake-clock.ts';

beforeAll(loadOpus);

const MINE: Access = { project: 'mine', ephemeral: false };
const REALTIME = { type: 'realtime', instructions: 'Be kind.' };

/** A model that says nothing and counts its conversations. */
class SilentModel implements RealtimeModel {
  readonly name = 'silent';
  open = 0;
  started = 0;
  heard = 0;
  readonly instructions: (string | undefined)[] = [];
  /** Of each conversation that began. */
  readonly speaksFirst: (boolean | undefined)[] = [];

  connect(_onEvent: unknown, call?: CallContext): ModelConnection {
    this.open += 1;
    return {
      appendAudio: () => void this.heard++,
      start: () => {
        this.started++;
        this.speaksFirst.push(call?.speaksFirst);
      },
      configure: (config) => void this.instructions.push(config.instructions),
      speechStarted: () => undefined,
      commitTurn: () => undefined,
      dtmf: () => undefined,
      cancelResponse: () => undefined,
      truncate: () => undefined,
      close: () => void this.open--,
    };
  }
}

/** A phone that does as it is told, and tells. */
class FakePhone implements Leg {
  readonly commands: string[] = [];
  opened: OpenedLeg | undefined;
  answers = true;

  answer(): void {
    this.commands.push('answer');
    if (this.answers) this.opened?.tell({ type: 'answered' });
  }

  reject(cause: string, status?: number): void {
    this.commands.push(`reject ${cause} ${status}`);
    this.opened?.tell({ type: 'ended', cause: 'rejected' });
  }

  refer(target: string): void {
    this.commands.push(`refer ${target}`);
  }

  hangup(cause: EndCause): void {
    this.commands.push(`hangup ${cause}`);
  }

  report(): void {
    this.commands.push('report');
  }
}

/** A program's end of a channel. */
class Program implements EventChannel {
  readonly events: Readonly<Record<string, unknown>>[] = [];
  closed: string | undefined;
  reads = true;

  send(event: string): boolean {
    if (this.reads) this.events.push(JSON.parse(event));
    return this.reads;
  }

  close(code: number, reason: string): void {
    this.closed = `${code} ${reason}`;
  }

  get types(): unknown[] {
    return this.events.map(({ type }) => type);
  }
}

class Bench {
  readonly clock = new FakeClock();
  readonly model = new SilentModel();
  readonly ticks = new Set<Tick>();
  readonly transceiver: Transceiver;

  constructor({ maxSessions = 5 } = {}) {
    const metrics = new Metrics();
    const link = {
      onDatagram: undefined,
      candidates: [{ address: '192.0.2.9', port: 3478, transport: 'udp' } as TransportAddress],
      gone: () => undefined,
      close: () => undefined,
    };
    this.transceiver = new Transceiver(
      {
        clock: this.clock,
        log: createLog('silent'),
        metrics,
        ticker: {
          add: (tick) => {
            this.ticks.add(tick);
            return () => void this.ticks.delete(tick);
          },
          takeWorstLatenessMs: () => 0,
          stop: async () => undefined,
        },
        identity: createIdentity(0),
        keys: deriveNodeKeys(randomClusterKeys()),
        link,
        model: this.model,
        createVoiceDetector: () => ({ process: () => ({ voiced: false, levelDb: -70 }), free: () => undefined }),
        sessionMetrics: createSessionMetrics(metrics),
      },
      { nodeId: 7, maxSessions },
    );
  }

  /** A phone call comes in. */
  async call(policy?: LegPolicy, direction: 'inbound' | 'outbound' = 'inbound', answers = true): Promise<{ phone: FakePhone; id: string }> {
    const phone = new FakePhone();
    phone.answers = answers;
    const offer = writeWebRtcOffer({
      ufrag: 'clie',
      pwd: 'client-password-22-ice',
      fingerprint: createIdentity(0).fingerprint,
      setup: 'actpass',
      dataChannel: false,
    });
    phone.opened = await this.transceiver.open(
      { origin: { kind: 'phone', sipCallId: 'a@b', direction }, offer, ...(policy && { policy }) },
      phone,
    );
    await nextTurn();
    return { phone, id: phone.opened.sessionId };
  }

  /** One that a program decides on. */
  pending(otherwise: Extract<LegPolicy['decide'], { by: 'api' }>['otherwise'] = { type: 'reject', status: 480 }) {
    return this.call({ project: 'mine', decide: { by: 'api', withinMs: 5000, otherwise } });
  }

  beat(count: number): void {
    for (let n = 0; n < count; n++) {
      this.clock.advance(20);
      for (const tick of this.ticks) tick(this.clock.now());
    }
  }

  async connect(session: Readonly<Record<string, unknown>> = REALTIME, access = MINE) {
    const program = new Program();
    const opened = await this.transceiver.connect({ access, session }, program);
    return { program, opened };
  }

  accept(id: string, session: Readonly<Record<string, unknown>> = REALTIME): Promise<void> {
    return this.transceiver.command(id, MINE, { type: 'accept', session });
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    (error: GatewayError) => error.code,
  );

describe('a call that a program places', () => {
  const placed = (bench: Bench) => bench.call({ project: 'mine', decide: { by: 'answer' }, session: REALTIME }, 'outbound', false);
  const progress = (program: Program): unknown[] => program.types.filter((type) => String(type).startsWith('call.'));

  test('tells how far it has come, to those too who look in later', async () => {
    const bench = new Bench();
    const { phone, id } = await placed(bench);
    const [first, second, third] = [new Program(), new Program(), new Program()] as const;
    await bench.transceiver.attach(id, MINE, first);
    phone.opened?.tell({ type: 'ringing' });
    phone.opened?.tell({ type: 'ringing' });
    await bench.transceiver.attach(id, MINE, second);
    expect(second.types).toEqual(['session.created', 'conversation.created', 'call.ringing']);
    phone.opened?.tell({ type: 'answered' });
    await bench.transceiver.attach(id, MINE, third);
    expect(progress(first)).toEqual(['call.ringing', 'call.answered']);
    expect(progress(second)).toEqual(['call.ringing', 'call.answered']);
    expect(progress(third)).toEqual(['call.answered']);
  });

  test('ends with the status of the refusal', async () => {
    const bench = new Bench();
    const { phone, id } = await placed(bench);
    const program = new Program();
    await bench.transceiver.attach(id, MINE, program);
    phone.opened?.tell({ type: 'ended', cause: 'rejected', status: 486 });
    expect(program.events.at(-1)).toMatchObject({ type: 'call.ended', reason: 'rejected', status_code: 486 });
    expect([program.closed, bench.transceiver.sessions]).toEqual(['1000 rejected', 0]);
  });
});

describe('a call that a program decides on', () => {
  test('waits, is taken with what the program says, and only then may programs look in', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.pending();
    expect(phone.commands).toEqual([]);
    expect(await codeOf(bench.transceiver.attach(id, MINE, new Program()))).toBe('ERR_NOT_FOUND');
    expect(await bench.transceiver.list(MINE)).toMatchObject([
      { id, project: 'mine', kind: 'phone', direction: 'inbound', state: 'pending' },
    ]);
    await bench.accept(id);
    expect(phone.commands).toEqual(['answer']);
    expect(bench.model.instructions).toEqual(['Be kind.']);
    expect([bench.model.started, bench.model.speaksFirst]).toEqual([1, [false]]);
    expect(await bench.transceiver.list(MINE)).toMatchObject([{ id, state: 'live' }]);
    const program = new Program();
    const opened = await bench.transceiver.attach(id, MINE, program);
    expect(opened.sessionId).toBe(id);
    expect(program.events[0]).toMatchObject({ type: 'session.created', session: { instructions: 'Be kind.' } });
    bench.clock.advance(6000);
    expect(phone.commands).toEqual(['answer']);
  });

  test('is decided on once, whoever comes first', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.pending();
    const all = await Promise.all([
      codeOf(bench.accept(id)),
      codeOf(bench.accept(id)),
      codeOf(bench.transceiver.command(id, MINE, { type: 'reject', status: 486 })),
    ]);
    expect(all).toEqual(['none', 'ERR_INVALID_STATE', 'ERR_INVALID_STATE']);
    expect(phone.commands).toEqual(['answer']);
    const other = await bench.pending();
    const late = await Promise.all([
      codeOf(bench.transceiver.command(other.id, MINE, { type: 'reject', status: 486 })),
      codeOf(bench.accept(other.id)),
    ]);
    expect(late).toEqual(['none', 'ERR_NOT_FOUND']);
    expect(other.phone.commands).toEqual(['reject declined 486', 'report']);
  });

  test('is still to be decided after an accept that says what cannot be', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.pending();
    const wrong = bench.accept(id, { type: 'realtime', audio: { output: { speed: 9 } } });
    await expect(wrong).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST', param: 'session.audio.output.speed' });
    await expect(bench.accept(id, {})).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST', param: 'session.type' });
    await expect(bench.transceiver.command(id, MINE, { type: 'reject', status: 200 })).rejects.toMatchObject({
      code: 'ERR_BAD_REQUEST',
      param: 'status_code',
    });
    await expect(bench.transceiver.command(id, MINE, { type: 'refer', target: 'nobody' })).rejects.toMatchObject({
      code: 'ERR_BAD_REQUEST',
      param: 'target_uri',
    });
    expect(phone.commands).toEqual([]);
    const vad = { type: 'server_vad', threshold: 0.4, prefix_padding_ms: 200, silence_duration_ms: 300 };
    await bench.accept(id, { type: 'realtime', audio: { input: { turn_detection: vad } } });
    expect(phone.commands).toEqual(['answer']);
    // Who comes too late is told so, whatever else is wrong.
    expect(await codeOf(bench.accept(id, {}))).toBe('ERR_INVALID_STATE');
  });

  test('goes the way that was configured when nobody says anything', async () => {
    const bench = new Bench();
    const refused = await bench.pending();
    bench.clock.advance(4999);
    expect(refused.phone.commands).toEqual([]);
    bench.clock.advance(1);
    expect(refused.phone.commands).toEqual(['reject declined 480', 'report']);
    expect(await codeOf(bench.accept(refused.id))).toBe('ERR_NOT_FOUND');
    const taken = await bench.call({
      project: 'mine',
      session: { type: 'realtime', instructions: 'Take a message.' },
      decide: { by: 'api', withinMs: 1000, otherwise: { type: 'answer' } },
    });
    bench.clock.advance(1000);
    expect(taken.phone.commands).toEqual(['answer']);
    expect(bench.model.instructions).toEqual(['Take a message.']);
    // There is no program that would have it speak.
    expect(bench.model.speaksFirst).toEqual([true]);
    expect(await codeOf(bench.accept(taken.id))).toBe('ERR_INVALID_STATE');
  });

  test('is gone when the caller hangs up first, and leaves nothing', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.pending();
    phone.opened?.tell({ type: 'ended', cause: 'cancelled' });
    expect(await codeOf(bench.accept(id))).toBe('ERR_NOT_FOUND');
    expect(await codeOf(bench.transceiver.command(id, MINE, { type: 'hangup' }))).toBe('ERR_NOT_FOUND');
    expect([bench.transceiver.sessions, bench.model.open, bench.clock.timers]).toEqual([0, 0, 0]);
    expect(phone.commands).toEqual(['report']);
  });

  test('may be sent on at once: it is taken, and then referred', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.pending();
    const referred = bench.transceiver.command(id, MINE, { type: 'refer', target: 'tel:+15550001' });
    expect(await codeOf(bench.accept(id))).toBe('ERR_INVALID_STATE');
    await nextTurn();
    expect(phone.commands).toEqual(['answer', 'refer tel:+15550001']);
    phone.opened?.tell({ type: 'transfer', state: 'accepted', status: 202 });
    await referred;
  });

  test('is hung up on before it is answered', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.pending();
    await bench.transceiver.command(id, MINE, { type: 'hangup' });
    expect(phone.commands).toEqual(['hangup agent_hangup', 'report']);
    expect(bench.clock.timers).toBe(0);
  });

  test('cannot be decided on where nobody is asked', async () => {
    const bench = new Bench();
    const { id } = await bench.call({ project: 'mine', decide: { by: 'answer' } });
    expect(await codeOf(bench.accept(id))).toBe('ERR_INVALID_STATE');
    expect(await codeOf(bench.transceiver.command(id, MINE, { type: 'reject', status: 486 }))).toBe('ERR_INVALID_STATE');
  });

  test('is not made with a session object of the configuration that cannot be', async () => {
    const bench = new Bench();
    const made = bench.call({ project: 'mine', decide: { by: 'answer' }, session: { type: 'realtime', tools: 5 } });
    await expect(made).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST', param: 'session.tools' });
    expect([bench.transceiver.sessions, bench.model.open, bench.clock.timers]).toEqual([0, 0, 0]);
  });
});

describe('a transfer that a program asks for', () => {
  test('is done when the far side has taken it, and its progress is told', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.call({ project: 'mine', decide: { by: 'answer' } });
    const program = new Program();
    await bench.transceiver.attach(id, MINE, program);
    const referred = bench.transceiver.command(id, MINE, { type: 'refer', target: 'sip:desk@192.0.2.1' });
    expect(phone.commands).toEqual(['answer', 'refer sip:desk@192.0.2.1']);
    expect(await codeOf(bench.transceiver.command(id, MINE, { type: 'refer', target: 'sip:other@192.0.2.1' }))).toBe('ERR_INVALID_STATE');
    phone.opened?.tell({ type: 'transfer', state: 'accepted', status: 202 });
    await referred;
    phone.opened?.tell({ type: 'transfer', state: 'progress', status: 180 });
    phone.opened?.tell({ type: 'transfer', state: 'succeeded', status: 200 });
    expect(program.types.filter((type) => String(type).startsWith('call.'))).toEqual([
      'call.transfer.accepted',
      'call.transfer.progress',
      'call.transfer.succeeded',
      'call.ended',
    ]);
    expect(program.closed).toMatch(/^1000 /);
  });

  test.each([
    [603, 'ERR_FORBIDDEN'],
    [404, 'ERR_BAD_REQUEST'],
    [501, 'ERR_INVALID_STATE'],
    [408, 'ERR_TIMEOUT'],
  ])('fails for what was answered: %i', async (status, code) => {
    const bench = new Bench();
    const { phone, id } = await bench.call({ project: 'mine', decide: { by: 'answer' } });
    const referred = codeOf(bench.transceiver.command(id, MINE, { type: 'refer', target: 'sip:desk@192.0.2.1' }));
    phone.opened?.tell({ type: 'transfer', state: 'failed', status });
    expect(await referred).toBe(code);
    expect(bench.transceiver.sessions).toBe(1);
  });

  test('is not waited for beyond the call', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.call({ project: 'mine', decide: { by: 'answer' } });
    const referred = codeOf(bench.transceiver.command(id, MINE, { type: 'refer', target: 'sip:desk@192.0.2.1' }));
    phone.opened?.tell({ type: 'ended', cause: 'remote_hangup' });
    expect(await referred).toBe('ERR_INVALID_STATE');
  });

  test('is not waited for without end', async () => {
    const clock = new FakeClock();
    const watch = new TransferWatch(clock);
    const referred = codeOf(watch.begin(() => undefined));
    clock.advance(35_000);
    expect(await referred).toBe('ERR_TIMEOUT');
    watch.handle({ type: 'transfer', state: 'accepted' });
    const again = watch.begin(() => undefined);
    watch.handle({ type: 'transfer', state: 'accepted' });
    await again;
    expect(clock.timers).toBe(0);
  });

  test('is for phones', async () => {
    const bench = new Bench();
    const { opened } = await bench.connect();
    expect(await codeOf(bench.transceiver.command(opened.sessionId, MINE, { type: 'refer', target: 'sip:a@192.0.2.1' }))).toBe(
      'ERR_INVALID_STATE',
    );
  });
});

describe('a session without media of its own', () => {
  test('begins at once, ticks, counts as one, and ends with its channel', async () => {
    const bench = new Bench({ maxSessions: 1 });
    const { program, opened } = await bench.connect();
    expect(program.types).toEqual(['session.created', 'conversation.created']);
    expect(bench.model.started).toBe(1);
    expect(bench.ticks.size).toBe(1);
    expect(await codeOf(bench.connect())).toBe('ERR_OVERLOADED');
    opened.receive(JSON.stringify({ type: 'input_audio_buffer.append', audio: Buffer.alloc(9600).toString('base64') }));
    bench.beat(20);
    expect(bench.model.heard).toBeGreaterThan(5);
    opened.receive('garbage');
    expect(program.types.at(-1)).toBe('error');
    expect(await bench.transceiver.list(MINE)).toMatchObject([{ id: opened.sessionId, kind: 'websocket', state: 'live' }]);
    opened.close();
    await nextTurn();
    expect([bench.transceiver.sessions, bench.model.open, bench.ticks.size, bench.clock.timers]).toEqual([0, 0, 0, 0]);
  });

  test('lives as long as one of its channels does, and tells them all when it is hung up', async () => {
    const bench = new Bench();
    const { opened } = await bench.connect();
    const second = new Program();
    await bench.transceiver.attach(opened.sessionId, MINE, second);
    opened.close();
    await nextTurn();
    expect(bench.transceiver.sessions).toBe(1);
    await bench.transceiver.command(opened.sessionId, MINE, { type: 'hangup' });
    expect(second.closed).toMatch(/^1000 /);
    expect(bench.transceiver.sessions).toBe(0);
  });

  test('is not made from what is no session object', async () => {
    const bench = new Bench();
    await expect(bench.connect({ type: 'realtime', voice: 'x' })).rejects.toMatchObject({
      code: 'ERR_BAD_REQUEST',
      param: 'session.voice',
    });
    expect([bench.transceiver.sessions, bench.model.open, bench.clock.timers]).toEqual([0, 0, 0]);
  });

  test('ends when its client does not read', async () => {
    const bench = new Bench();
    const { program, opened } = await bench.connect();
    program.reads = false;
    opened.receive(JSON.stringify({ type: 'session.update', session: { type: 'realtime', instructions: 'x' } }));
    expect(program.closed).toMatch(/^1008 /);
    await nextTurn();
    expect(bench.transceiver.sessions).toBe(0);
  });
});

describe('a browser', () => {
  const offer = (dataChannel: boolean) =>
    writeWebRtcOffer({
      ufrag: 'clie',
      pwd: 'client-password-22-ice',
      fingerprint: createIdentity(0).fingerprint,
      setup: 'actpass',
      dataChannel,
    });

  test('that never comes is waited for thirty seconds, and leaves nothing', async () => {
    const bench = new Bench();
    const leg = new FakePhone();
    leg.opened = await bench.transceiver.open({ origin: { kind: 'browser' }, offer: offer(true) }, leg);
    await nextTurn();
    bench.clock.advance(29_999);
    expect(bench.transceiver.sessions).toBe(1);
    bench.clock.advance(1);
    expect(leg.commands).toEqual(['answer', 'hangup media_failed', 'report']);
    expect([bench.transceiver.sessions, bench.model.open, bench.clock.timers]).toEqual([0, 0, 0]);
  });

  test('is looked into before it is there, and its session object is the one of its request', async () => {
    const bench = new Bench();
    const leg = new FakePhone();
    const policy: LegPolicy = { project: 'mine', ephemeral: true, decide: { by: 'answer' }, session: REALTIME };
    leg.opened = await bench.transceiver.open({ origin: { kind: 'browser' }, offer: offer(false), policy }, leg);
    const program = new Program();
    await bench.transceiver.attach(leg.opened.sessionId, MINE, program);
    expect(program.events[0]).toMatchObject({ type: 'session.created', session: { instructions: 'Be kind.' } });
    expect(await bench.transceiver.list(MINE)).toMatchObject([{ kind: 'browser', state: 'pending' }]);
  });
});

describe('a program that looks into a session', () => {
  test('is one of at most sixteen, and all are closed with the call', async () => {
    const bench = new Bench();
    const { phone, id } = await bench.call({ project: 'mine', decide: { by: 'answer' } });
    const programs = Array.from({ length: 17 }, () => new Program());
    const outcomes = await Promise.all(programs.map((each) => codeOf(bench.transceiver.attach(id, MINE, each))));
    expect(outcomes).toEqual([...Array.from({ length: 16 }, () => 'none'), 'ERR_OVERLOADED']);
    phone.opened?.tell({ type: 'ended', cause: 'remote_hangup' });
    for (const each of programs.slice(0, 16)) {
      expect(each.events.at(-1)).toMatchObject({ type: 'call.ended', reason: 'remote_hangup' });
      expect(each.closed).toBe('1000 remote_hangup');
    }
    expect(bench.clock.timers).toBe(0);
  });

  test('finds nothing of other projects, and decides nothing with an ephemeral secret', async () => {
    const bench = new Bench();
    const { id } = await bench.call({ project: 'mine', decide: { by: 'answer' } });
    const other: Access = { project: 'other', ephemeral: false };
    expect(await codeOf(bench.transceiver.attach(id, other, new Program()))).toBe('ERR_NOT_FOUND');
    expect(await codeOf(bench.transceiver.command(id, other, { type: 'hangup' }))).toBe('ERR_NOT_FOUND');
    expect(await bench.transceiver.list(other)).toEqual([]);
    const secret = { ...MINE, ephemeral: true };
    expect(await codeOf(bench.transceiver.command(id, secret, { type: 'refer', target: 'sip:a@192.0.2.1' }))).toBe('ERR_FORBIDDEN');
    expect(await codeOf(bench.transceiver.command(id, secret, { type: 'reject', status: 486 }))).toBe('ERR_FORBIDDEN');
    expect(await codeOf(bench.transceiver.attach('rtc_7_AAAAAAAAAAAAAAAAAAAAAA', MINE, new Program()))).toBe('ERR_NOT_FOUND');
  });

  test('costs a call nothing that has none', async () => {
    const bench = new Bench();
    const before = bench.clock.timers;
    await bench.call();
    const plain = bench.clock.timers - before;
    await bench.call({ project: 'mine', decide: { by: 'answer' } });
    expect(bench.clock.timers - before).toBe(2 * plain);
    expect(bench.model.instructions).toEqual([]);
  });

  test('lists the newest first', async () => {
    const bench = new Bench();
    const first = await bench.call({ project: 'mine', decide: { by: 'answer' } });
    bench.clock.advance(10);
    const second = await bench.connect();
    const listed = await bench.transceiver.list(MINE);
    expect(listed.map(({ id }) => id)).toEqual([second.opened.sessionId, first.id]);
  });
});

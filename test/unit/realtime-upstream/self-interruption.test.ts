import { describe, expect, test } from 'vitest';
import { Decimator } from '../../../src/audio/decimate.ts';
import { VoiceActivity } from '../../../src/audio/vad.ts';
import { Driver } from '../../../src/base/driver.ts';
import { createLog } from '../../../src/base/log.ts';
import { loadVoiceDetectors } from '../../../src/realtime/fvad-detector.ts';
import type { ModelConnection, RealtimeModel, UplinkWhileSpeaking } from '../../../src/realtime/model.ts';
import { Session } from '../../../src/realtime/session.ts';
import { DEFAULT_LINK_OPTIONS } from '../../../src/realtime/upstream/link-keeper.ts';
import { upstreamProfile } from '../../../src/realtime/upstream/profile.ts';
import { UpstreamConversation, type UpstreamOutput } from '../../../src/realtime/upstream/upstream-conversation.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/random.ts';
import { speech } from '../../support/speech.ts';
import { CONFIG } from './conversation-probe.ts';

const createVoiceDetector = await loadVoiceDetectors();

/** A server that hears all and takes turns by its own detector: 100 ms of voice begin one, 500 ms of silence end it, and each is answered. */
class ListeningServer {
  readonly told: string[] = [];
  say: (message: Record<string, unknown>) => void = () => {};
  readonly #decimator = new Decimator();
  readonly #vad = new VoiceActivity();
  readonly #answer: Int16Array;
  #pending = new Int16Array();
  #frames = 0;
  #voiced = 0;
  #silent = 0;
  #speaking = false;
  #turns = 0;

  constructor(answer: Int16Array) {
    this.#answer = answer;
  }

  receive(message: string): void {
    const { type, audio } = JSON.parse(message) as { type: string; audio?: string };
    this.told.push(type);
    if (type !== 'input_audio_buffer.append' || !audio) return;
    const bytes = Buffer.from(audio, 'base64');
    const pcm = Int16Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readInt16LE(2 * n));
    this.#pending = Int16Array.from([...this.#pending, ...pcm]);
    for (; this.#pending.length >= 480; this.#pending = this.#pending.slice(480)) this.#hear(this.#pending.subarray(0, 480));
  }

  #hear(frame: Int16Array): void {
    const narrow = new Int16Array(160);
    this.#decimator.process(frame, narrow);
    this.#frames += 1;
    const { voiced } = this.#vad.process(narrow);
    this.#voiced = voiced ? this.#voiced + 1 : 0;
    this.#silent = voiced ? 0 : this.#silent + 1;
    const at = this.#frames * 20;
    if (!this.#speaking && this.#voiced >= 5) {
      this.#speaking = true;
      this.#turns += 1;
      this.say({ type: 'input_audio_buffer.speech_started', audio_start_ms: at - 200, item_id: `turn${this.#turns}` });
    } else if (this.#speaking && this.#silent >= 25) {
      this.#speaking = false;
      this.say({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: at - 400, item_id: `turn${this.#turns}` });
      this.say({ type: 'input_audio_buffer.committed', item_id: `turn${this.#turns}` });
      this.#speak(`resp${this.#turns}`);
    }
  }

  #speak(id: string): void {
    this.say({ type: 'response.created', response: { id, conversation_id: 'conv' } });
    this.say({ type: 'response.output_item.added', response_id: id, item: { id: `${id}i`, type: 'message', role: 'assistant' } });
    const delta = Buffer.from(this.#answer.buffer).toString('base64');
    this.say({ type: 'response.output_audio.delta', response_id: id, item_id: `${id}i`, output_index: 0, content_index: 0, delta });
    this.say({ type: 'response.done', response: { id, status: 'completed', output: [] } });
  }
}

/** A telephone that brings back what it plays, 12 dB quieter and 120 ms later, and a caller who speaks when told to. */
class EchoingCall {
  readonly clock = new FakeClock();
  readonly server = new ListeningServer(speech(4000, { rateHz: 24_000, seed: 3, peak: 9000 }));
  readonly session: Session;
  readonly #echo: Int16Array[] = Array.from({ length: 6 }, () => new Int16Array(480));
  readonly #random = seededRandom(7);
  readonly #voice = speech(1200, { rateHz: 24_000, seed: 9, pitchHz: 190, peak: 9000 });
  #said = Number.POSITIVE_INFINITY;

  constructor(uplinkWhileSpeaking: UplinkWhileSpeaking) {
    const { clock, server } = this;
    const model: RealtimeModel = {
      name: 'listening',
      takesTurns: true,
      uplinkWhileSpeaking,
      connect: (onEvent) => connect(clock, server, onEvent),
    };
    this.session = new Session({ clock, log: createLog('silent'), model, createVoiceDetector });
    this.session.configure({
      model: CONFIG,
      turns: { endOfTurn: { type: 'fixed', waitMs: 500 }, takesBack: false, respond: true, interrupt: true },
    });
    this.session.attach({ answer() {}, reject() {}, hangup() {}, report() {} });
    this.session.start();
    this.session.handleLegEvent({ type: 'answered' });
  }

  talk(): void {
    this.#said = 0;
  }

  /** Returns how many frames sounded. */
  run(ms: number): number {
    let sounded = 0;
    for (let at = 0; at < ms; at += 20) {
      this.clock.advance(20);
      const heard = this.#echo.shift() ?? new Int16Array(480);
      for (let n = 0; n < 480; n++) {
        const own = (this.#voice[this.#said + n] ?? 0) + (this.#random() - 0.5) * 40;
        heard[n] = (heard[n] as number) / 4 + own;
      }
      this.#said += 480;
      this.session.handleUplink(heard, { concealed: false }, this.clock.now());
      const out = new Int16Array(480);
      if (this.session.pullDownlink(out, this.clock.now())) sounded += 1;
      this.#echo.push(out);
    }
    return sounded;
  }
}

function connect(clock: FakeClock, server: ListeningServer, onEvent: Parameters<RealtimeModel['connect']>[0]): ModelConnection {
  const machine = new UpstreamConversation({
    profile: upstreamProfile('openai'),
    links: DEFAULT_LINK_OPTIONS,
    config: CONFIG,
    appendMs: 40,
    turns: 'upstream',
    greeting: undefined,
    random: () => 0,
  });
  const driver: Driver<UpstreamOutput> = new Driver(clock, machine, (output) => {
    if (output.type === 'send') server.receive(output.message);
    else if (output.type === 'event') onEvent(output.event);
  });
  const run = (change: (now: number) => void): void => driver.run(change);
  server.say = (message) => run((now) => machine.handleMessage(1, JSON.stringify(message), now, 0));
  run((now) => machine.start(now));
  server.say({ type: 'session.created' });
  return {
    appendAudio: (pcm) => run(() => machine.appendAudio(pcm)),
    start: () => run((now) => machine.answer(now)),
    speechStarted: (startMs) => run((now) => machine.speechStarted(startMs, now)),
    commitTurn: (turn) => run((now) => machine.commitTurn(turn, now)),
    turnTaken: (turn) => run((now) => machine.turnTaken(turn, now)),
    listen: (how, floorDb, again) => run(() => machine.listen(how, floorDb, again)),
    dtmf: () => run((now) => machine.discardTurn(now)),
    cancelResponse: (id) => run((now) => machine.cancelResponse(id, now)),
    truncate: (itemId, sentMs) => run((now) => machine.truncate(itemId, sentMs, now)),
    close: () => run(() => machine.close()),
  };
}

describe('a server that takes the turns, on a telephone that echoes', () => {
  test('interrupts its own answer where it hears everything', () => {
    const call = new EchoingCall('through');
    call.run(1000);
    call.talk();
    call.run(8000);
    expect(call.session.snapshot().bargeIns).toBeGreaterThan(0);
  });

  test.each(['auto', 'gated'] as const)('does not where what comes is kept back while it speaks (%s)', (wish) => {
    const call = new EchoingCall(wish);
    call.run(1000);
    call.talk();
    const sounded = call.run(8000);
    expect(call.session.snapshot()).toMatchObject({ turns: 1, bargeIns: 0, state: 'idle' });
    // All of the answer.
    expect(sounded).toBe(200);
  });

  test('is interrupted by the caller all the same, who is heard from the beginning', () => {
    const call = new EchoingCall('auto');
    call.run(1000);
    call.talk();
    call.run(3500);
    expect(call.session.snapshot().state).toBe('agent');
    call.talk();
    call.run(1000);
    expect(call.session.snapshot()).toMatchObject({ turns: 1, bargeIns: 1 });
    call.run(7000);
    expect(call.session.snapshot()).toMatchObject({ turns: 2, bargeIns: 1, state: 'idle' });
  });
});

/** A model whose answers are long, and which notes what becomes of them. */
function talker() {
  const told: string[] = [];
  const note = (what: string) => () => void told.push(what);
  let tell: Parameters<RealtimeModel['connect']>[0] = () => {};
  const model: RealtimeModel = {
    name: 'talker',
    connect: (onEvent) => {
      tell = onEvent;
      return {
        ...{ appendAudio() {}, start() {}, dtmf() {}, close() {} },
        ...{ speechStarted: note('speechStarted'), commitTurn: note('commitTurn') },
        ...{ cancelResponse: note('cancelResponse'), truncate: note('truncate') },
      };
    },
  };
  const say = (responseId: string, pcm: Int16Array): void => {
    tell({ type: 'response_started', responseId });
    tell({ type: 'audio', responseId, itemId: `${responseId}_item`, pcm });
    tell({ type: 'response_done', responseId, status: 'completed' });
  };
  return { model, told, say };
}

describe('an agent in a browser that does not cancel echo', () => {
  test.each([
    [-15, 60],
    [-12, 120],
    [-15, 340],
    [-10, 200],
    [-6, 80],
  ])('does not interrupt itself, nor answer itself, when %i dB of it come back %i ms later', (gainDb, delayMs) => {
    const { model, told, say } = talker();
    const clock = new FakeClock();
    const session = new Session({ clock, log: createLog('silent'), model, createVoiceDetector }, { kind: 'browser' });
    session.attach({ answer() {}, reject() {}, hangup() {}, report() {} });
    session.start();
    session.handleLegEvent({ type: 'answered' });
    const echo = Array.from({ length: delayMs / 20 }, () => new Int16Array(480));
    const random = seededRandom(5);
    const gain = 10 ** (gainDb / 20);
    const out = new Int16Array(480);
    const run = (ms: number): void => {
      for (let at = 0; at < ms; at += 20) {
        clock.advance(20);
        const heard = (echo.shift() as Int16Array).map((sample) => sample * gain + (random() - 0.5) * 40);
        session.handleUplink(heard, { concealed: false }, clock.now());
        session.pullDownlink(out, clock.now());
        echo.push(out.slice());
      }
    };
    run(500);
    for (const seed of [1, 2, 3, 4]) {
      say(`answer${seed}`, speech(6000, { rateHz: 24_000, seed, peak: 9000 }));
      run(8500);
    }
    expect(told).toEqual([]);
    expect(session.snapshot()).toMatchObject({ turns: 0, bargeIns: 0, state: 'idle' });
    // Before the line is known it may falter once.
    expect(session.snapshot().rejectedBargeIns).toBeLessThanOrEqual(1);
    expect(session.snapshot().items.map(({ receivedMs, sentMs }) => receivedMs - sentMs)).toEqual([0, 0, 0, 0]);
  });
});

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../src/base/log.ts';
import { loadVoiceDetectors } from '../../src/realtime/fvad-detector.ts';
import type { ModelConnection, ModelEvent } from '../../src/realtime/model.ts';
import { Session } from '../../src/realtime/session.ts';
import type { SessionSnapshot } from '../../src/realtime/session-options.ts';
import type { VoiceDetector } from '../../src/realtime/voice-detector.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/random.ts';
import { speech } from '../support/speech.ts';

/* The whole floor with its own ears: sound in frames, a line that brings our own voice back, and a model that says things at any time. */

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('voice' as const),
      ms: fc.integer({ min: 20, max: 1800 }),
      gain: fc.constantFrom(0.05, 0.4, 1),
      /** In the voice: each onset is another one. */
      fromMs: fc.integer({ min: 0, max: 1999 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('silence' as const), ms: fc.integer({ min: 20, max: 1500 }) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('noise' as const), ms: fc.integer({ min: 20, max: 800 }) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('say' as const), ms: fc.integer({ min: 0, max: 4000 }), done: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('done' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('key' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('words' as const), words: fc.constantFrom('yeah', 'stop', 'I would like to') }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const story = fc.record({
  steps: fc.array(step, { maxLength: 12 }),
  /** Of the echo, 0 for none, and after how many frames it comes. */
  echo: fc.record({ gain: fc.constantFrom(0, 0.1), frames: fc.integer({ min: 1, max: 12 }) }),
  replyMs: fc.option(fc.integer({ min: 0, max: 900 }), { nil: undefined }),
});

/** Each hears some ten seconds. Always the same ones: ears are right most of the time, not always. */
const RUNS = 400;
const VOICE = speech(2000, { rateHz: 24_000, seed: 3 });
const AGENT = speech(4000, { rateHz: 24_000, seed: 4, pitchHz: 210, peak: 9000 });
const NOISE = Int16Array.from({ length: 24_000 }, seededRandomOf(9, 3000));
const SILENCE = new Int16Array(480);

/** When nobody has anything to say, all is over by then: the longest hold, the longest wait for the end of a turn, and a gap. */
const LONGEST_TAIL_MS = 6000;
/** So long it must stay over. */
const SETTLED_MS = 400;

function seededRandomOf(seed: number, amplitude: number): () => number {
  const random = seededRandom(seed);
  return () => amplitude * (random() - 0.5);
}

let createVoiceDetector: () => VoiceDetector;

beforeAll(async () => {
  createVoiceDetector = await loadVoiceDetectors();
});

class Line {
  readonly clock = new FakeClock();
  readonly told: (readonly [string, ...unknown[]])[] = [];
  readonly session: Session;
  longestHoldMs = 0;
  /** How long we went on while a voice as loud as a caller's was heard. */
  longestOverlapMs = 0;
  soundedMs = 0;
  answers = true;
  #emit: (event: ModelEvent) => void = () => {};
  readonly #echo: { readonly gain: number; readonly frames: number };
  /** The last frames towards the phone, over and over. */
  readonly #played = Array.from({ length: 13 }, () => new Int16Array(480));
  readonly #heard = new Int16Array(480);
  #frames = 0;
  #noiseAt = 0;
  #heldMs = 0;
  #overlapMs = 0;
  #responses = 0;
  #open: string | undefined;

  constructor(echo: { readonly gain: number; readonly frames: number }, replyMs: number | undefined) {
    this.#echo = echo;
    const note =
      (what: string) =>
      (...rest: unknown[]) =>
        void this.told.push([what, ...rest]);
    const connection: ModelConnection = {
      appendAudio: () => {},
      start: () => {},
      speechStarted: note('speechStarted'),
      commitTurn: () => {
        this.told.push(['commitTurn']);
        if (replyMs !== undefined && this.answers) this.clock.setTimer(replyMs, () => this.say(1500, true));
      },
      dtmf: () => {},
      cancelResponse: () => {},
      truncate: note('truncate'),
      close: () => {},
    };
    const model = {
      name: 'random',
      connect: (onEvent: (event: ModelEvent) => void) => {
        this.#emit = onEvent;
        return connection;
      },
    };
    this.session = new Session({ clock: this.clock, log: createLog('silent'), model, createVoiceDetector });
    this.session.attach({ answer: () => {}, reject: () => {}, hangup: () => {}, report: () => {} });
    this.session.start();
    this.session.handleLegEvent({ type: 'answered' });
  }

  say(ms: number, done: boolean): void {
    this.#responses += 1;
    const responseId = `r${this.#responses}`;
    this.#open = responseId;
    this.#emit({ type: 'response_started', responseId });
    if (ms > 0) this.#emit({ type: 'audio', responseId, itemId: `${responseId}i`, pcm: AGENT.slice(0, ms * 24) });
    if (done) this.done();
  }

  done(): void {
    if (this.#open) this.#emit({ type: 'response_done', responseId: this.#open, status: 'completed' });
  }

  /** Time goes by: of the caller comes this sound, again and again. @param from in samples */
  hear(ms: number, sound: Int16Array, { gain = 1, from = 0 } = {}): void {
    for (let at = 0; at < ms; at += 20) this.#step(sound, gain, from + at * 24, gain >= 0.4 && sound === VOICE);
  }

  /** Until nobody has the floor and nothing is left to say, or it should long be so. */
  settle(): void {
    const mostMs = this.session.snapshot().playoutQueueMs + LONGEST_TAIL_MS;
    let settledMs = 0;
    for (let at = 0; at < mostMs && settledMs < SETTLED_MS; at += 20) {
      const { state, playoutQueueMs } = this.#step(SILENCE, 0, 0, false);
      settledMs = playoutQueueMs === 0 && (state === 'idle' || state === 'waiting') ? settledMs + 20 : 0;
    }
  }

  #step(sound: Int16Array, gain: number, from: number, isCaller: boolean): SessionSnapshot {
    this.clock.advance(20);
    const { length } = this.#played;
    const back = this.#played[(this.#frames + length - this.#echo.frames) % length] as Int16Array;
    const out = this.#played[this.#frames % length] as Int16Array;
    const heard = this.#heard;
    for (let n = 0; n < 480; n++) {
      const sum = (sound[(from + n) % sound.length] as number) * gain + (back[n] as number) * this.#echo.gain;
      heard[n] = Math.max(-32_768, Math.min(32_767, Math.round(sum)));
    }
    this.session.handleUplink(heard, { concealed: false }, this.clock.now());
    const sounded = this.session.pullDownlink(out, this.clock.now());
    this.#frames += 1;
    const snapshot = this.session.snapshot();
    if (sounded) this.soundedMs += 20;
    this.#heldMs = snapshot.state === 'held' ? this.#heldMs + 20 : 0;
    this.longestHoldMs = Math.max(this.longestHoldMs, this.#heldMs);
    this.#overlapMs = isCaller ? this.#overlapMs + (sounded ? 20 : 0) : 0;
    this.longestOverlapMs = Math.max(this.longestOverlapMs, this.#overlapMs);
    return snapshot;
  }

  run(each: Step): void {
    switch (each.type) {
      case 'voice':
        this.hear(each.ms, VOICE, { gain: each.gain, from: each.fromMs * 24 });
        break;
      case 'silence':
        this.hear(each.ms, SILENCE);
        break;
      case 'noise':
        this.hear(each.ms, NOISE, { from: this.#noiseAt });
        this.#noiseAt += each.ms * 24;
        break;
      case 'say':
        this.say(each.ms, each.done);
        break;
      case 'done':
        this.done();
        break;
      case 'key':
        this.session.handleLegEvent({ type: 'dtmf', digit: '5', durationMs: 80 });
        break;
      case 'words':
        this.#emit({ type: 'caller_words', words: each.words });
        break;
    }
  }
}

describe('whatever is heard and said on a line', () => {
  it('every hold ends, nobody is spoken over for long, nothing is truncated that was not sent, no turn vanishes, and the end is no dead end', {
    timeout: 60_000,
  }, () => {
    fc.assert(
      fc.property(story, ({ steps, echo, replyMs }) => {
        const line = new Line(echo, replyMs);
        for (const each of steps) line.run(each);
        line.done();
        line.answers = false;
        line.settle();
        expect(line.longestHoldMs).toBeLessThanOrEqual(2000);
        expect(line.longestOverlapMs).toBeLessThanOrEqual(250);
        const { state, items, turns, continuations, discardedTurns } = line.session.snapshot();
        expect(['idle', 'waiting']).toContain(state);
        const count = (what: string) => line.told.filter(([each]) => each === what).length;
        expect(count('speechStarted')).toBe(turns + continuations + discardedTurns);
        expect(count('commitTurn')).toBe(turns + continuations);
        let truncatedMs = 0;
        for (const [what, itemId, ms] of line.told) {
          if (what !== 'truncate') continue;
          truncatedMs += ms as number;
          const item = items.find((each) => each.itemId === itemId);
          if (item) expect(item.sentMs).toBe(ms);
        }
        expect(truncatedMs).toBeLessThanOrEqual(line.soundedMs + 20);
        // Whoever speaks now is heard.
        line.hear(400, VOICE);
        expect(line.session.snapshot().state).toBe('user');
        line.session.end('shutdown');
      }),
      { numRuns: RUNS, seed: 11 },
    );
  });
});

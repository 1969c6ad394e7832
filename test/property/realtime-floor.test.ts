import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../src/base/log.ts';
import { loadVoiceDetectors } from '../../src/realtime/fvad-detector.ts';
import type { ModelConnection, ModelEvent } from '../../src/realtime/model.ts';
import { Session } from '../../src/realtime/session.ts';
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

/** Each hears some ten seconds. */
const RUNS = 60;
const VOICE = speech(2000, { rateHz: 24_000, seed: 3 });
const AGENT = speech(4000, { rateHz: 24_000, seed: 4, pitchHz: 210, peak: 9000 });

let createVoiceDetector: () => VoiceDetector;

beforeAll(async () => {
  createVoiceDetector = await loadVoiceDetectors();
});

class Line {
  readonly clock = new FakeClock();
  readonly told: (readonly [string, ...unknown[]])[] = [];
  readonly session: Session;
  longestHoldMs = 0;
  soundedMs = 0;
  answers = true;
  #emit: (event: ModelEvent) => void = () => {};
  readonly #echo: { readonly gain: number; readonly frames: number };
  readonly #played: Int16Array[] = [];
  readonly #random = seededRandom(9);
  #heldMs = 0;
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

  hear(ms: number, sampleAt: (n: number) => number): void {
    for (let at = 0; at < ms; at += 20) {
      this.clock.advance(20);
      const back = this.#played[this.#played.length - this.#echo.frames];
      const frame = Int16Array.from({ length: 480 }, (_, n) => {
        const sum = sampleAt(at * 24 + n) + (back?.[n] ?? 0) * this.#echo.gain;
        return Math.max(-32_768, Math.min(32_767, Math.round(sum)));
      });
      this.session.handleUplink(frame, { concealed: false }, this.clock.now());
      const out = new Int16Array(480);
      if (this.session.pullDownlink(out, this.clock.now())) this.soundedMs += 20;
      this.#played.push(out);
      this.#heldMs = this.session.snapshot().state === 'held' ? this.#heldMs + 20 : 0;
      this.longestHoldMs = Math.max(this.longestHoldMs, this.#heldMs);
    }
  }

  run(each: Step): void {
    switch (each.type) {
      case 'voice':
        this.hear(each.ms, (n) => (VOICE[n % VOICE.length] as number) * each.gain);
        break;
      case 'silence':
        this.hear(each.ms, () => 0);
        break;
      case 'noise':
        this.hear(each.ms, () => 3000 * (this.#random() - 0.5));
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
  it('every hold ends, nothing is truncated that was not sent, no turn vanishes, and in the end nobody has the floor', {
    timeout: 60_000,
  }, () => {
    fc.assert(
      fc.property(story, ({ steps, echo, replyMs }) => {
        const line = new Line(echo, replyMs);
        for (const each of steps) line.run(each);
        line.done();
        line.answers = false;
        line.hear(line.session.snapshot().playoutQueueMs + 6000, () => 0);
        expect(line.longestHoldMs).toBeLessThanOrEqual(2000);
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
        line.session.end('shutdown');
      }),
      { numRuns: RUNS, seed: 11 },
    );
  });
});

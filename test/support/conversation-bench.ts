import { createLog } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import type { EndCause } from '../../src/leg/leg.ts';
import type { EndOfTurnPredictor } from '../../src/realtime/end-of-turn.ts';
import type { ModelConnection, ModelEvent, RealtimeModel } from '../../src/realtime/model.ts';
import { Session } from '../../src/realtime/session.ts';
import { createSessionMetrics } from '../../src/realtime/session-metrics.ts';
import type { SessionOptions } from '../../src/realtime/session-options.ts';
import { FakeClock } from './fake-clock.ts';

/** A model that does as it is told, and notes what it is told. */
class ScriptedModel implements RealtimeModel, ModelConnection {
  readonly name = 'scripted';
  takesTurns = false;
  readonly told: unknown[][] = [];
  onCommit: (() => void) | undefined;
  appendedSamples = 0;
  emit: (event: ModelEvent) => void = () => {};
  readonly #now: () => number;

  constructor(now: () => number, prepares: boolean, findsWords: boolean) {
    this.#now = now;
    if (findsWords) this.findWords = (startMs, endMs) => this.#note('findWords', startMs, endMs);
    if (!prepares) return;
    this.prepareTurn = (turn) => this.#note('prepareTurn', turn.startMs, turn.endMs);
    this.dropPreparation = () => this.#note('dropPreparation');
  }

  connect(onEvent: (event: ModelEvent) => void): ModelConnection {
    this.emit = onEvent;
    return this;
  }

  /** A response of so much audio, complete or not. */
  say(responseId: string, ms: number, done = true): void {
    this.emit({ type: 'response_started', responseId });
    if (ms > 0) this.emit({ type: 'audio', responseId, itemId: `${responseId}_item`, pcm: new Int16Array(ms * 24).fill(1000) });
    if (done) this.emit({ type: 'response_done', responseId, status: 'completed' });
  }

  appendAudio(pcm: Int16Array): void {
    this.appendedSamples += pcm.length;
  }
  start(): void {
    this.#note('start');
  }
  speechStarted(startMs: number): void {
    this.#note('speechStarted', startMs);
  }
  commitTurn(turn: { startMs: number; endMs: number }): void {
    this.#note('commitTurn', turn.startMs, turn.endMs);
    this.onCommit?.();
  }
  turnTaken(turn: { startMs: number; endMs: number }): void {
    this.#note('turnTaken', turn.startMs, turn.endMs);
  }
  listen(how: string, _floorDb: number, again: boolean): void {
    this.#note('listen', how, again);
  }
  /** Only with `findsWords`. */
  findWords: ((startMs: number, endMs: number) => void) | undefined;
  /** Only with `prepares`. */
  prepareTurn: ((turn: { startMs: number; endMs: number }) => void) | undefined;
  dropPreparation: (() => void) | undefined;
  dtmf(digit: string): void {
    this.#note('dtmf', digit);
  }
  cancelResponse(responseId: string | undefined): void {
    this.#note('cancelResponse', responseId);
  }
  truncate(itemId: string, sentMs: number): void {
    this.#note('truncate', itemId, sentMs);
  }
  played(responseId: string): void {
    this.#note('played', responseId);
  }
  close(): void {
    this.#note('close');
  }

  #note(...what: unknown[]): void {
    this.told.push([this.#now(), ...what]);
  }
}

interface BenchOptions extends SessionOptions {
  readonly prepares?: boolean;
  readonly findsWords?: boolean;
  readonly takesTurns?: boolean;
  readonly predictor?: EndOfTurnPredictor;
}

/** One session, a scripted model and a scripted voice, on a clock that moves with the frames. */
export class ConversationBench {
  readonly clock = new FakeClock();
  readonly model: ScriptedModel;
  readonly metrics = new Metrics();
  readonly commands: string[] = [];
  readonly ends: EndCause[] = [];
  /** For each frame that was pulled: did it sound? */
  readonly sounded: boolean[] = [];
  readonly session: Session;
  detectorsFreed = 0;
  /** When the detector was told that time was lost. */
  readonly stumbles: number[] = [];
  /** What the detector has learned of our echo. */
  couplingDb: number | undefined;
  onFrame: ((sounded: boolean) => void) | undefined;
  #voice = { voiced: false, levelDb: -70 };
  readonly #out = new Int16Array(480);
  readonly #in = new Int16Array(480);

  /** @param options.prepares can the model prepare answers? */
  constructor({ prepares = false, findsWords = false, takesTurns = false, predictor, ...options }: BenchOptions = {}) {
    this.model = new ScriptedModel(() => this.clock.now(), prepares, findsWords);
    this.model.takesTurns = takesTurns;
    const bench = this;
    this.session = new Session(
      {
        clock: this.clock,
        log: createLog('silent'),
        model: this.model,
        metrics: createSessionMetrics(this.metrics),
        predictor,
        createVoiceDetector: () => ({
          process: () => this.#voice,
          stumbled: () => void this.stumbles.push(this.clock.now()),
          get couplingDb() {
            return bench.couplingDb;
          },
          free: () => {
            this.detectorsFreed += 1;
          },
        }),
      },
      options,
    );
    this.session.onEnded = (cause) => this.ends.push(cause);
    this.session.attach({
      answer: () => void this.commands.push('answer'),
      reject: (cause) => void this.commands.push(`reject ${cause}`),
      hangup: (cause) => void this.commands.push(`hangup ${cause}`),
      report: () => void this.commands.push('report'),
    });
    this.session.start();
  }

  answered(): this {
    this.session.handleLegEvent({ type: 'answered' });
    return this;
  }

  key(digit: string): void {
    this.session.handleLegEvent({ type: 'dtmf', digit, durationMs: 80 });
  }

  voice(ms: number, levelDb = -22): this {
    this.#voice = { voiced: true, levelDb };
    return this.run(ms);
  }

  silence(ms: number): this {
    this.#voice = { voiced: false, levelDb: -70 };
    return this.run(ms);
  }

  /** Time goes by with a frame each way every 20 ms; or only down. */
  run(ms: number, uplink = true): this {
    if (!uplink) this.#voice = { voiced: false, levelDb: -127 };
    for (let at = 0; at < ms; at += 20) {
      this.clock.advance(20);
      if (uplink) this.session.handleUplink(this.#in, { concealed: false }, this.clock.now());
      this.pull();
    }
    return this;
  }

  pull(): boolean {
    const sounded = this.session.pullDownlink(this.#out, this.clock.now());
    this.sounded.push(sounded);
    this.onFrame?.(sounded);
    return sounded;
  }
}

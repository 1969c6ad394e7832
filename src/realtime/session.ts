import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { EndCause, Leg, LegEvent, TransferState } from '../leg/leg.ts';
import { type CallFigures, type ControlEvent, MODEL_FRAME_SAMPLES, type RealtimeModel } from './model.ts';
import { ModelLink } from './model-link.ts';
import { Playout } from './playout.ts';
import { samplesToMs } from './playout-ledger.ts';
import type { SessionMetrics } from './session-metrics.ts';
import { SessionStatistics, type TurnStatistics } from './session-statistics.ts';
import { type HeardFrame, TurnMachine, type TurnOutput } from './turn-machine.ts';
import { DEFAULT_TURN_OPTIONS, type TurnOptions } from './turn-options.ts';
import type { TurnState } from './turn-table.ts';
import type { VoiceDetector } from './voice-detector.ts';

export interface SessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly model: RealtimeModel;
  readonly createVoiceDetector: () => VoiceDetector;
  readonly metrics?: SessionMetrics;
}

export interface SessionOptions {
  /** `at_once`: take the call as soon as it is there. `manual`: somebody else says `answer` or `reject`. */
  readonly answer?: 'at_once' | 'manual';
  readonly turns?: Partial<TurnOptions>;
  /** May the caller be called back when the call is over? */
  readonly mayCallBack?: boolean;
  /** Does a key stop the agent's speech? Default true. */
  readonly keysInterrupt?: boolean;
}

/** What is known of a session at any time: the closing log line, the CDR, GET /v1/calls/:id. */
export interface SessionSnapshot extends TurnStatistics {
  readonly state: TurnState;
  readonly heardMs: number;
  readonly playoutQueueMs: number;
  /** Audio of the model that was dropped because too much was queued. */
  readonly playoutDroppedMs: number;
  /** The newest items: what came, and what left on the wire. */
  readonly items: readonly { readonly itemId: string; readonly receivedMs: number; readonly sentMs: number }[];
}

/** After the last audio frame the call goes on for so long, or the end of "goodbye" is lost in the far end's buffer. */
const HANG_UP_AFTER_MS = 200;

/** When nothing pulls audio any more, a call that is to end ends this long after its audio should have. */
const HANG_UP_SLACK_MS = 2000;

/** Without uplink for this long, silence is heard: turns end and holds too, whatever feeds us. (The transport fills gaps sooner, after 240 ms.) */
const UPLINK_LOST_MS = 300;

/** A hole longer than this is one of five seconds: nothing learns more from a longer silence. */
const MOST_SILENT_FRAMES = 250;

/** The model promised audio and none came for so long: it is being waited for. */
const STALLED_AFTER_MS = 1000;

const SILENCE = new Int16Array(MODEL_FRAME_SAMPLES);

/**
 * A conversation between a caller and a model: whose turn it is, what is said and what of it left on the wire. Knows the
 * world only through its leg, and no protocol's event names.
 */
export class Session {
  /** Called once, when the conversation is over. */
  onEnded: ((cause: EndCause) => void) | undefined;
  readonly #deps: SessionDeps;
  readonly #options: SessionOptions;
  readonly #playout = new Playout();
  readonly #turns: TurnMachine;
  readonly #statistics: SessionStatistics;
  readonly #detector: VoiceDetector;
  readonly #link: ModelLink;
  // One object for all frames: a call has 50 a second.
  readonly #frame = { voiced: false, levelDb: 0, concealed: false, heardMs: 0 };
  #leg: Leg | undefined;
  #answered = false;
  #ended = false;
  #draining = false;
  #answeredAt = 0;
  #heardSamples = 0;
  #concealedFrames = 0;
  #callBackWanted = false;
  #lastUplinkAt = 0;
  #lastAudioAt = 0;
  #speechEndedAt: number | undefined;
  /** The call is to end, for this cause, when all is played. */
  #closing: EndCause | undefined;
  #hangUpTimer: Timer | undefined;

  constructor(deps: SessionDeps, options: SessionOptions = {}) {
    this.#deps = deps;
    this.#options = options;
    this.#statistics = new SessionStatistics(deps.metrics);
    this.#turns = new TurnMachine(() => this.#remainingMs(), { ...DEFAULT_TURN_OPTIONS, ...options.turns });
    this.#detector = deps.createVoiceDetector();
    this.#link = new ModelLink(deps.model, this.#playout, (event) => this.#handleModel(event), {
      mayCallBack: options.mayCallBack ?? false,
      statistics: () => this.#figures(),
    });
  }

  attach(leg: Leg): void {
    this.#leg = leg;
  }

  /** The leg is there: decides what becomes of it. */
  start(): void {
    if (this.#ended) return;
    if ((this.#options.answer ?? 'at_once') === 'at_once') this.#leg?.answer();
  }

  handleLegEvent(event: LegEvent): void {
    if (this.#ended) return;
    switch (event.type) {
      case 'answered':
        this.#begin();
        break;
      case 'dtmf':
        this.#handleKey(event.digit);
        break;
      case 'ringing':
        break;
      case 'transfer':
        this.#handleTransfer(event.state);
        break;
      case 'ended':
        this.#leg = undefined;
        this.end(event.cause);
        break;
    }
  }

  /** 20 ms of the caller's audio, 480 samples at 24 kHz. The buffer is not kept. */
  handleUplink(pcm: Int16Array, flags: { readonly concealed: boolean }, now: number): void {
    if (!this.#answered || this.#ended) return;
    this.#lastUplinkAt = now;
    this.#hear(pcm, flags.concealed, now);
  }

  /** The caller's audio has a hole of so many frames that is known to be silence. */
  handleUplinkSilence(frames: number, now: number): void {
    for (let n = 0; n < Math.min(frames, MOST_SILENT_FRAMES); n++) this.handleUplink(SILENCE, { concealed: false }, now);
  }

  /** The next 20 ms towards the caller, 480 samples; false when they are silence. The pacer calls this once a frame: what is pulled counts as sent. */
  pullDownlink(out: Int16Array, now: number): boolean {
    if (this.#ended || !this.#answered) {
      out.fill(0);
      return false;
    }
    this.#bridgeLostUplink(now);
    this.#turns.handleTimeout(now);
    this.#drain(now);
    if (this.#turns.mayPlay && this.#playout.isReady) this.#turns.handle('audio_started', now);
    const sounded = (this.#turns.mayPlay || this.#playout.isFading) && this.#playout.pull(out, now);
    if (sounded) this.#noteAudio(now);
    else out.fill(0);
    this.#afterPull(now);
    return sounded;
  }

  /** Ends the conversation and hangs up. Idempotent. */
  end(cause: EndCause): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#hangUpTimer?.cancel();
    this.#link.close();
    this.#detector.free();
    this.#leg?.hangup(cause);
    this.#leg = undefined;
    this.onEnded?.(cause);
  }

  snapshot(): SessionSnapshot {
    return {
      ...this.#statistics.snapshot(),
      state: this.#turns.state,
      heardMs: samplesToMs(this.#heardSamples),
      playoutQueueMs: this.#playout.queuedMs,
      playoutDroppedMs: this.#playout.droppedMs,
      items: this.#playout.ledger.map(({ itemId, receivedSamples, sentSamples }) => ({
        itemId,
        receivedMs: samplesToMs(receivedSamples),
        sentMs: samplesToMs(sentSamples),
      })),
    };
  }

  /** Does the model want the caller called back, now that the call is over? */
  get callBackWanted(): boolean {
    return this.#callBackWanted;
  }

  /** The caller talks to somebody else when the transfer has succeeded; the model has it back when it has not. */
  #handleTransfer(state: TransferState): void {
    this.#deps.log.info({ state }, 'transfer');
    if (state === 'succeeded') {
      this.end('agent_hangup');
      return;
    }
    this.#link.expectResponse();
    this.#link.connection.transferred?.(state);
    this.#drain(this.#deps.clock.now());
  }

  #figures(): CallFigures {
    const { turns, responseLatencyMs } = this.#statistics.snapshot();
    const frames = this.#heardSamples / MODEL_FRAME_SAMPLES;
    return {
      durationMs: this.#answered ? this.#deps.clock.now() - this.#answeredAt : 0,
      turns,
      responseMs: responseLatencyMs.all.length > 0 ? responseLatencyMs.median : undefined,
      lostPercent: frames === 0 ? 0 : (100 * this.#concealedFrames) / frames,
    };
  }

  #begin(): void {
    if (this.#answered) return;
    const now = this.#deps.clock.now();
    this.#answered = true;
    this.#answeredAt = now;
    this.#lastUplinkAt = now;
    this.#lastAudioAt = now;
    this.#turns.handle('turns_on', now);
    this.#link.connection.start();
  }

  #handleKey(digit: string): void {
    if (!this.#answered || this.#closing) return;
    const now = this.#deps.clock.now();
    if (this.#options.keysInterrupt ?? true) {
      if (this.#turns.state === 'off') this.#stopSpeech(now);
      this.#turns.handle('key', now);
      this.#drain(now);
    }
    this.#link.expectResponse();
    this.#link.connection.dtmf(digit);
    this.#drain(now);
  }

  #hear(pcm: Int16Array, concealed: boolean, now: number): void {
    this.#heardSamples += pcm.length;
    if (concealed) this.#concealedFrames += 1;
    this.#link.connection.appendAudio(pcm);
    const { state } = this.#turns;
    if (state === 'off' || state === 'lost') return;
    const voice = this.#detector.process(pcm);
    const frame = this.#frame;
    frame.voiced = voice.voiced;
    frame.levelDb = voice.levelDb;
    frame.concealed = concealed;
    frame.heardMs = samplesToMs(this.#heardSamples);
    this.#turns.handleFrame(frame satisfies HeardFrame, now);
    this.#drain(now);
  }

  #bridgeLostUplink(now: number): void {
    // One frame a pull: as much as time has passed, once the uplink counts as lost.
    if (now - this.#lastUplinkAt >= UPLINK_LOST_MS) this.#hear(SILENCE, false, now);
  }

  #noteAudio(now: number): void {
    this.#lastAudioAt = now;
    if (this.#speechEndedAt === undefined || this.#turns.state !== 'agent') return;
    this.#statistics.addLatency(now - this.#speechEndedAt);
    this.#speechEndedAt = undefined;
  }

  #afterPull(now: number): void {
    for (let id = this.#playout.takePlayed(); id !== undefined; id = this.#playout.takePlayed()) this.#link.connection.played?.(id);
    if (this.#ended || this.#playout.isReady) return;
    if (this.#turns.state === 'agent') {
      if (!this.#link.isResponding && this.#playout.queuedMs === 0) this.#turns.handle('audio_ended', now);
      else if (now - this.#lastAudioAt >= STALLED_AFTER_MS) this.#turns.handle('audio_stalled', now);
    }
    if (this.#closing && this.#playout.queuedMs === 0 && now - this.#lastAudioAt >= HANG_UP_AFTER_MS) this.end(this.#closing);
    this.#drain(now);
  }

  #handleModel(event: ControlEvent): void {
    if (this.#ended) return;
    const now = this.#deps.clock.now();
    switch (event.type) {
      case 'response_done':
        if (!this.#link.isResponding && this.#playout.queuedMs === 0) this.#turns.handle('nothing_to_say', now);
        break;
      case 'turn_detection':
        this.#turns.handle(event.enabled && !this.#closing ? 'turns_on' : 'turns_off', now);
        break;
      case 'hangup':
        this.#turns.handle('turns_off', now);
        this.#endWhenPlayed('agent_hangup');
        break;
      case 'transfer':
        if (this.#leg?.refer) this.#leg.refer(event.target);
        else this.#link.connection.transferred?.('failed');
        break;
      case 'call_back':
        this.#callBackWanted = this.#options.mayCallBack ?? false;
        this.#turns.handle('turns_off', now);
        this.#endWhenPlayed('agent_hangup');
        break;
      case 'closed':
        this.#deps.log.warn({ reason: event.reason, model: this.#deps.model.name }, 'model connection lost');
        this.#turns.handle('model_lost', now);
        this.#endWhenPlayed('internal_error');
        break;
      default:
        break;
    }
    this.#drain(now);
  }

  #endWhenPlayed(cause: EndCause): void {
    if (this.#closing) return;
    this.#closing = cause;
    const deadlineMs = this.#playout.queuedMs + HANG_UP_AFTER_MS + HANG_UP_SLACK_MS;
    this.#hangUpTimer = this.#deps.clock.setTimer(deadlineMs, () => this.end(cause));
  }

  #remainingMs(): number {
    return this.#link.isResponding ? Number.POSITIVE_INFINITY : this.#playout.queuedMs;
  }

  /** Carries out what the turn machine decided. What that leads to is drained by the outer call. */
  #drain(now: number): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      for (let output = this.#turns.pollOutput(); output && !this.#ended; output = this.#turns.pollOutput()) this.#carryOut(output, now);
    } finally {
      this.#draining = false;
    }
  }

  #carryOut(output: TurnOutput, now: number): void {
    switch (output.type) {
      case 'speech_started':
        this.#link.connection.speechStarted(output.startMs);
        break;
      case 'turn_committed':
        this.#statistics.countTurn(output.continued);
        this.#speechEndedAt = output.speechEndedAt;
        this.#link.commitTurn(output.startMs, output.endMs);
        break;
      case 'turn_discarded':
        this.#statistics.countDiscardedTurn();
        break;
      case 'cancel':
        this.#stopSpeech(now);
        break;
      case 'hold':
        this.#playout.hold();
        break;
      case 'resume':
        this.#playout.resume(output.fromStart);
        this.#lastAudioAt = now; // the hold was not the model's stall
        if (this.#turns.state === 'agent') this.#statistics.countBargeIn('rejected');
        break;
      case 'interrupt':
        if (output.by === 'voice') this.#statistics.countBargeIn('interrupted');
        this.#stopSpeech(now);
        break;
    }
    this.#deps.log.trace({ output }, 'turn');
  }

  #stopSpeech(now: number): void {
    this.#speechEndedAt = undefined;
    this.#link.stopResponses(now);
  }
}

import type { Machine } from '../base/driver.ts';
import { PauseStatistics } from './pause-statistics.ts';
import type { TurnOptions } from './turn-options.ts';
import { TURN_TABLE, type TurnAction, type TurnEvent, type TurnState } from './turn-table.ts';
import type { VoiceFrame } from './voice-detector.ts';
import { VoiceGate } from './voice-gate.ts';

/** A frame of the caller's audio as the turn logic sees it. */
export interface HeardFrame extends VoiceFrame {
  /** Made up for a lost packet: it proves nothing. */
  readonly concealed: boolean;
  /** Milliseconds of the caller's audio up to the end of this frame. */
  readonly heardMs: number;
}

/** What the session has to do. */
export type TurnOutput =
  | { readonly type: 'speech_started'; readonly startMs: number }
  | {
      readonly type: 'turn_committed';
      readonly startMs: number;
      readonly endMs: number;
      /** When the caller's last voiced frame came (Clock.now). */
      readonly speechEndedAt: number;
      /** The earlier commit of this turn was taken back. */
      readonly continued: boolean;
    }
  /** The caller spoke, but no turn comes of it: a key or the end of turn detection took its place. */
  | { readonly type: 'turn_discarded'; readonly startMs: number; readonly endMs: number }
  /** Cancel what was asked for; nobody has heard anything of it. */
  | { readonly type: 'cancel' }
  /** Fade to silence, keep the place. */
  | { readonly type: 'hold' }
  /** It was no interruption: go on, from the start when nobody can have followed. */
  | { readonly type: 'resume'; readonly fromStart: boolean }
  /** Drop what is queued, tell the model what was sent. */
  | { readonly type: 'interrupt'; readonly by: 'voice' | 'key' };

/** How much the agent still has to say, in milliseconds; Infinity while the model has not finished. */
export type RemainingMs = () => number;

/** The agent begins or ends in the middle of a caller's first syllable: the syllable counts all the same. */
const KEEPS_EVIDENCE: ReadonlySet<TurnEvent> = new Set(['audio_started', 'audio_ended', 'audio_stalled', 'nothing_to_say']);

const NEVER = Number.NEGATIVE_INFINITY;

/**
 * Whose turn it is: one table (turn-table.ts) moved by frames of the caller's audio, by the agent's playout and by time.
 * Durations of speech and silence are counted in the caller's audio, deadlines in time, so late packets change nothing.
 */
export class TurnMachine implements Machine<TurnOutput> {
  #options: TurnOptions;
  readonly #remainingMs: RemainingMs;
  readonly #pauses = new PauseStatistics();
  readonly #gate = new VoiceGate();
  readonly #outputs: TurnOutput[] = [];
  #state: TurnState = 'off';
  #heardMs = 0;
  // The turn that is spoken or was spoken last.
  #turnStartMs = 0;
  #turnEndMs = 0;
  #lastVoicedMs = 0;
  #lastVoicedAt = 0;
  #continued = false;
  #committedAt = NEVER;
  // The agent's speech.
  #speeches = 0;
  #speechStartedAt = NEVER;
  #speechEndedAt = NEVER;
  // The hold that runs, and the last one that was rejected.
  #heldAt = NEVER;
  #burstStartMs = 0;
  #burstVoicedMs = 0;
  #collision = false;
  #rejectedAt = NEVER;

  constructor(remainingMs: RemainingMs, options: TurnOptions) {
    this.#remainingMs = remainingMs;
    this.#options = options;
  }

  get state(): TurnState {
    return this.#state;
  }

  /** From now on; a turn that is being spoken goes on under the new rules. */
  setOptions(options: TurnOptions): void {
    this.#options = options;
  }

  /** May audio leave? Nobody speaks over a caller who may interrupt, and what is held stays held. */
  get mayPlay(): boolean {
    if (this.#options.bargeIn === 'never') return this.#state !== 'held';
    return this.#state !== 'user' && this.#state !== 'gap' && this.#state !== 'held';
  }

  /** How long a caller may be silent now before the turn is over. */
  get waitMs(): number {
    const { endOfTurn } = this.#options;
    return endOfTurn.type === 'fixed' ? endOfTurn.waitMs : this.#pauses.waitMs(endOfTurn.z);
  }

  pollOutput(): TurnOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#state === 'held' ? this.#heldAt + this.#options.verdictMs : undefined;
  }

  handleTimeout(now: number): void {
    const at = this.nextTimeout();
    if (at !== undefined && now >= at) this.#expire(now);
  }

  /** Something happened that is not heard: on the playout, at the model, on the keys. */
  handle(event: TurnEvent, now: number): void {
    if (event === 'audio_started' && this.#options.bargeIn === 'never') {
      // Nobody takes the floor from whom it does not matter to: only our own echo is to be known as such.
      this.#speechEndedAt = now;
      this.handle('nothing_to_say', now);
      return;
    }
    const row = TURN_TABLE[this.#state][event];
    if (!row) return;
    for (const action of row.do) this.#act(action, event, now);
    this.#state = row.to;
    if (!KEEPS_EVIDENCE.has(event)) this.#gate.clearEvidence();
  }

  /** Every 20 ms of the caller's audio, in order. */
  handleFrame(frame: HeardFrame, now: number): void {
    this.#heardMs = frame.heardMs;
    if (this.#state === 'off' || this.#state === 'lost') return;
    const near = frame.levelDb >= this.#options.quietestDb && this.#gate.isNear(frame, this.#isGuarded(now));
    // A made-up frame is never evidence of a voice, but silence is silence.
    if (!(frame.concealed && near)) this.#gate.count(near, frame.levelDb, frame.heardMs, now);
    switch (this.#state) {
      case 'user':
        this.#inTurn(frame, near, now);
        break;
      case 'gap':
        this.#inGap(frame, now);
        break;
      case 'held':
        this.#inHold(frame, near, now);
        break;
      default:
        this.#awaitOnset(frame, now);
    }
  }

  #isGuarded(now: number): boolean {
    return this.#state === 'agent' || this.#state === 'held' || now - this.#speechEndedAt < this.#options.echoTailMs;
  }

  #awaitOnset(frame: HeardFrame, now: number): void {
    const cold = this.#state === 'agent' && this.#speeches === 1 && now - this.#speechStartedAt < this.#options.coldMs;
    if (this.#gate.evidenceMs < (cold ? this.#options.coldEvidenceMs : this.#options.onsetEvidenceMs)) return;
    if (this.#state === 'agent' && this.#options.bargeIn === 'at_once') {
      this.#onset('onset_at_once', frame, now);
      return;
    }
    const soon = this.#state === 'waiting' && now - this.#committedAt <= this.#options.continuationMs;
    const short = frame.heardMs - this.#turnStartMs < this.#options.longestTurnMs;
    this.#onset(soon && short ? 'continuation' : 'onset', frame, now);
  }

  #onset(event: TurnEvent, frame: HeardFrame, now: number): void {
    // Actions look back at the last turn's voice, so what is heard now is noted after them.
    this.handle(event, now);
    this.#noteVoice(frame, now);
  }

  #inTurn(frame: HeardFrame, near: boolean, now: number): void {
    if (near) this.#noteVoice(frame, now);
    if (frame.heardMs - this.#turnStartMs >= this.#options.longestTurnMs) this.handle('turn_too_long', now);
    else if (frame.heardMs - this.#lastVoicedMs >= this.#options.gapMs) this.handle('paused', now);
  }

  #inGap(frame: HeardFrame, now: number): void {
    const { evidenceMs } = this.#gate;
    if (evidenceMs >= this.#options.onsetEvidenceMs) this.#onset('onset', frame, now);
    // With evidence that the caller goes on, the decision waits for the next frame.
    else if (evidenceMs === 0 && frame.heardMs - this.#lastVoicedMs >= this.waitMs) this.handle('wait_over', now);
  }

  #inHold(frame: HeardFrame, near: boolean, now: number): void {
    const { interruptSpanMs, interruptVoicedMs, resumeSilenceMs } = this.#options;
    if (near) {
      this.#noteVoice(frame, now);
      this.#burstVoicedMs += frame.concealed ? 0 : 20;
    }
    const spanMs = this.#lastVoicedMs - this.#burstStartMs;
    if (spanMs >= interruptSpanMs && this.#burstVoicedMs >= interruptVoicedMs) this.handle('hold_interrupted', now);
    else if (frame.heardMs - this.#lastVoicedMs >= resumeSilenceMs) this.#judge(spanMs, now);
    else if (now - this.#heldAt >= this.#options.verdictMs) this.#expire(now);
  }

  /** The burst is over and was too short for an interruption by itself. */
  #judge(spanMs: number, now: number): void {
    const { collisionBurstMs, secondBurstMs, echoStopsMs } = this.#options;
    const echo = this.#lastVoicedAt - this.#heldAt <= echoStopsMs && this.#gate.learnEcho();
    if (this.#collision) this.handle(echo || spanMs < collisionBurstMs ? 'hold_restarted' : 'hold_answered', now);
    else if (echo) this.#reject(now);
    else if (this.#heldAt - this.#rejectedAt <= secondBurstMs) this.handle('hold_answered', now);
    else this.#expire(now);
  }

  /** Nothing speaks for an interruption: the agent goes on, if there is enough left to say. */
  #expire(now: number): void {
    if (this.#remainingMs() < this.#options.worthResumingMs) this.handle('hold_answered', now);
    else this.#reject(now);
  }

  #reject(now: number): void {
    this.#rejectedAt = now;
    this.handle('hold_rejected', now);
  }

  #noteVoice(frame: HeardFrame, now: number): void {
    this.#lastVoicedMs = frame.heardMs;
    this.#lastVoicedAt = now;
    this.#gate.addVoice(frame.levelDb);
  }

  #act(action: TurnAction, event: TurnEvent, now: number): void {
    switch (action) {
      case 'begin_turn':
        this.#beginTurn(event);
        break;
      case 'resume_turn':
        this.#continued = true;
        this.#outputs.push({ type: 'speech_started', startMs: this.#turnStartMs });
        break;
      case 'learn_pause':
        this.#learnPause();
        break;
      case 'commit':
        this.#commit(now);
        break;
      case 'discard_turn':
        this.#turnEndMs = this.#heardMs;
        this.#outputs.push({ type: 'turn_discarded', startMs: this.#turnStartMs, endMs: this.#turnEndMs });
        break;
      case 'take_turn':
        this.#turnEndMs = this.#heardMs;
        break;
      case 'cancel':
        this.#outputs.push({ type: 'cancel' });
        break;
      case 'open_speech':
        this.#speeches += 1;
        this.#speechStartedAt = now;
        this.#gate.forgetEcho();
        break;
      case 'close_speech':
        this.#speechEndedAt = now;
        this.#committedAt = NEVER; // what is said from here on is a new turn
        break;
      case 'hold':
        this.#hold(now);
        break;
      case 'resume':
        this.#outputs.push({ type: 'resume', fromStart: false });
        break;
      case 'restart':
        this.#outputs.push({ type: 'resume', fromStart: true });
        break;
      case 'interrupt':
        this.#outputs.push({ type: 'interrupt', by: event === 'key' ? 'key' : 'voice' });
        break;
    }
  }

  #beginTurn(event: TurnEvent): void {
    // An interruption began with the hold, and its voice is known since then.
    const heardNow = event === 'onset' || event === 'onset_at_once';
    const startMs = heardNow ? this.#gate.burstStartMs : this.#burstStartMs;
    if (heardNow) this.#gate.endTurn(false);
    this.#turnStartMs = Math.max(this.#turnEndMs, startMs - this.#options.prefixMs, 0);
    this.#continued = false;
    this.#outputs.push({ type: 'speech_started', startMs: this.#turnStartMs });
  }

  /** The caller went on after a pause, and the agent was silent in it. */
  #learnPause(): void {
    const pauseMs = this.#gate.burstStartMs - this.#lastVoicedMs;
    if (pauseMs >= this.#options.gapMs) this.#pauses.learn(pauseMs);
  }

  #commit(now: number): void {
    this.#turnEndMs = Math.min(this.#heardMs, this.#lastVoicedMs + this.#options.suffixMs);
    this.#committedAt = now;
    this.#gate.endTurn(true);
    this.#outputs.push({
      type: 'turn_committed',
      startMs: this.#turnStartMs,
      endMs: this.#turnEndMs,
      speechEndedAt: this.#lastVoicedAt,
      continued: this.#continued,
    });
  }

  #hold(now: number): void {
    this.#heldAt = now;
    this.#gate.endTurn(false);
    this.#burstStartMs = this.#gate.burstStartMs;
    this.#burstVoicedMs = this.#gate.evidenceMs;
    this.#collision = this.#gate.burstStartAt - this.#speechStartedAt <= this.#options.collisionMs;
    this.#outputs.push({ type: 'hold' });
  }
}

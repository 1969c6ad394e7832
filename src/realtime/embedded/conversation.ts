import { type CallContext, MODEL_RATE_HZ, type ModelConnection, type ModelEvent } from '../model.ts';
import { parrotOf } from './parrot.ts';
import { type Prompts, spokenNumber } from './prompts.ts';
import { TONE_PIECES, testTonePiece } from './test-tone.ts';
import { TurnRecorder } from './turn-recorder.ts';

/** Audio goes out in pieces of 200 ms, as from a service that streams. */
const PIECE_SAMPLES = 0.2 * MODEL_RATE_HZ;

/** Between two prompts that follow each other, 300 ms of breath. */
const BREATH = new Int16Array(0.3 * MODEL_RATE_HZ);

/** `parrot` says turns back; `echo` the audio itself, as it comes; `tone` plays and hears nothing; `leaving` says goodbye. */
type Mode = 'parrot' | 'echo' | 'tone' | 'leaving';

export interface ConversationOptions {
  readonly call?: CallContext | undefined;
  /** URI that callers are transferred to. */
  readonly transferTarget?: string | undefined;
}

/** One caller with the embedded agent. */
export class EmbeddedConversation implements ModelConnection {
  readonly #prompts: Prompts;
  readonly #onEvent: (event: ModelEvent) => void;
  readonly #options: ConversationOptions;
  readonly #recorder = new TurnRecorder();
  #mode: Mode = 'parrot';
  #responses = 0;
  #closed = false;
  /** The response that is the echo, while it runs. */
  #echo: string | undefined;
  /** Whom the caller goes to when that is said. */
  #target: string | undefined;
  /** When all of this response is played, something follows. */
  #awaited: string | undefined;

  constructor(prompts: Prompts, onEvent: (event: ModelEvent) => void, options: ConversationOptions = {}) {
    this.#prompts = prompts;
    this.#onEvent = onEvent;
    this.#options = options;
  }

  appendAudio(pcm: Int16Array): void {
    this.#recorder.append(pcm);
    if (this.#echo !== undefined) this.#audio(this.#echo, pcm.slice());
  }

  start(): void {
    this.#say(this.#prompts.hello, BREATH, this.#prompts.menu);
  }

  speechStarted(startMs: number): void {
    this.#recorder.beginTurn(startMs);
  }

  commitTurn(turn: { readonly startMs: number; readonly endMs: number }): void {
    const said = this.#recorder.endTurn(turn.startMs, turn.endMs);
    if (this.#mode === 'parrot') this.#say(parrotOf(said));
    else this.#say();
  }

  dtmf(digit: string): void {
    if (this.#mode === 'leaving') return;
    this.#recorder.forgetTurn();
    switch (digit) {
      case '1':
        this.#become('parrot');
        this.#say(this.#prompts.parrot);
        break;
      case '2':
        this.#become('echo');
        this.#awaited = this.#say(this.#prompts.echo);
        break;
      case '3':
        this.#become('tone');
        this.#awaited = this.#say(...Array<Int16Array>(TONE_PIECES).fill(testTonePiece()));
        break;
      case '4':
        this.#become('parrot');
        this.#say(...this.#figures());
        break;
      case '5':
        this.#transfer();
        break;
      case '9':
        this.#callBack();
        break;
      case '#':
        this.#become('leaving');
        this.#say(this.#prompts.goodbye);
        this.#emit({ type: 'hangup' });
        break;
      default:
        this.#become('parrot');
        this.#say(this.#prompts.menu, BREATH, this.#prompts.more);
    }
  }

  /** The caller is still here when it comes to nothing. */
  transferred(state: 'accepted' | 'progress' | 'succeeded' | 'failed'): void {
    if (state !== 'failed' || this.#mode !== 'leaving') return;
    this.#become('parrot');
    this.#say(this.#prompts.unavailable);
  }

  #transfer(): void {
    const target = this.#options.transferTarget;
    if (target === undefined) {
      this.#become('parrot');
      this.#say(this.#prompts.unavailable);
      return;
    }
    this.#become('leaving');
    this.#awaited = this.#say(this.#prompts.transfer);
    this.#target = target;
  }

  #callBack(): void {
    if (!this.#options.call?.mayCallBack) {
      this.#become('parrot');
      this.#say(this.#prompts.unavailable);
      return;
    }
    this.#become('leaving');
    this.#say(this.#prompts.callback);
    this.#emit({ type: 'call_back' });
  }

  /** How long, how many turns, how fast, how much lost; each number digit by digit. */
  #figures(): Int16Array[] {
    const prompts = this.#prompts;
    const figures = this.#options.call?.statistics();
    if (!figures) return [prompts.unavailable];
    const { durationMs, turns, responseMs, lostPercent } = figures;
    const answered = responseMs === undefined ? [] : [...spokenNumber(prompts, responseMs), prompts.milliseconds, BREATH];
    return [
      ...[...spokenNumber(prompts, durationMs / 1000), prompts.seconds, BREATH],
      ...[...spokenNumber(prompts, turns), prompts.turns, BREATH],
      ...answered,
      ...[...spokenNumber(prompts, lostPercent), prompts.percent],
    ];
  }

  cancelResponse(responseId: string | undefined): void {
    if (responseId === this.#echo) this.#echo = undefined;
    if (responseId === this.#awaited) {
      this.#awaited = undefined;
      this.#target = undefined;
    }
  }

  /** It does not remember what it said. */
  truncate(): void {}

  played(responseId: string): void {
    if (this.#closed || responseId !== this.#awaited) return;
    this.#awaited = undefined;
    if (this.#target !== undefined) {
      this.#emit({ type: 'transfer', target: this.#target });
      this.#target = undefined;
    } else if (this.#mode === 'echo') this.#startEcho();
    else this.#become('parrot');
  }

  close(): void {
    this.#closed = true;
    this.#echo = undefined;
  }

  /** Turns belong to the parrot; echo and tone would only be interrupted by them. */
  #become(mode: Mode): void {
    if (this.#echo !== undefined) this.#emit({ type: 'response_done', responseId: this.#echo, status: 'completed' });
    this.#echo = undefined;
    this.#awaited = undefined;
    this.#mode = mode;
    this.#emit({ type: 'turn_detection', enabled: mode === 'parrot' });
  }

  #startEcho(): void {
    this.#echo = this.#nextId();
    this.#emit({ type: 'response_started', responseId: this.#echo, live: true });
  }

  /** A whole response at once; the playout has the time for it. */
  #say(...parts: readonly Int16Array[]): string {
    const responseId = this.#nextId();
    this.#emit({ type: 'response_started', responseId });
    for (const part of parts) {
      for (let at = 0; at < part.length; at += PIECE_SAMPLES) this.#audio(responseId, part.subarray(at, at + PIECE_SAMPLES));
    }
    this.#emit({ type: 'response_done', responseId, status: 'completed' });
    return responseId;
  }

  #audio(responseId: string, pcm: Int16Array): void {
    this.#emit({ type: 'audio', responseId, itemId: `item_${responseId}`, pcm });
  }

  #nextId(): string {
    this.#responses += 1;
    return `resp_${this.#responses}`;
  }

  #emit(event: ModelEvent): void {
    if (!this.#closed) this.#onEvent(event);
  }
}

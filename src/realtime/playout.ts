import { fadeOut } from '../audio/gain.ts';
import { MODEL_FRAME_SAMPLES, MODEL_RATE_HZ } from './model.ts';
import { type LedgerEntry, PlayoutLedger, samplesToMs } from './playout-ledger.ts';
import { PlayoutQueue } from './playout-queue.ts';

/** Two minutes (5.8 MB of a model's own arrays): no answer on the telephone is longer, and a burst of a minute must pass. */
const MOST_QUEUED_SAMPLES = 120 * MODEL_RATE_HZ;

/** What counts of a faded frame: up to the point where it is 6 dB down, half of the way. */
const FADE_COUNTED_SAMPLES = MODEL_FRAME_SAMPLES / 2;

/** 10 ms: a resume begins at a quiet place, so this is enough to hide the cut. */
const FADE_IN_SAMPLES = 240;

/** A resume goes back to a quiet place between these: one word at most is said again in 99 of 100, and none is lost (docs/turns.md). */
const NEAREST_RESUME_SAMPLES = 0.15 * MODEL_RATE_HZ;
const FARTHEST_RESUME_SAMPLES = 0.36 * MODEL_RATE_HZ;
const RESUME_STEP_SAMPLES = 240;
/** So far below the loudest 10 ms (30 dB) it is as quiet as between two words: of such places the last one is taken. */
const PAUSE_SHARE = 0.001;

/** A live response starts with 40 ms in hand, against a beat that is not the sender's, and never keeps more than 120 ms. */
const LIVE_START_SAMPLES = 0.04 * MODEL_RATE_HZ;
const LIVE_MOST_SAMPLES = 0.12 * MODEL_RATE_HZ;

/** Responses that are open or still being played: a model that opens more without closing any is not waited for. */
const MOST_RESPONSES = 64;

interface PlayingResponse {
  readonly live: boolean;
  /** Nothing more comes. */
  sealed: boolean;
}

/** An item that was cut off, and how much of it was said. */
export interface CutItem {
  readonly itemId: string;
  readonly responseId: string;
  readonly sentMs: number;
}

/**
 * The model's audio on its way to the wire: bursts in, one frame per 20 ms out, never more. It can go silent within the
 * next frame, resume, or stop for good, and its ledger knows to the sample what left.
 */
export class Playout {
  readonly #queue = new PlayoutQueue();
  readonly #ledger = new PlayoutLedger();
  readonly #responses = new Map<string, PlayingResponse>();
  readonly #played: string[] = [];
  readonly #begun: string[] = [];
  #soundingId: string | undefined;
  readonly #tail = new Int16Array(MODEL_FRAME_SAMPLES);
  #tailWaits = false;
  #state: 'playing' | 'fading' | 'held' = 'playing';
  /** The last frame out was audio: going silent needs a fade. */
  #sounding = false;
  #fadeIn = false;
  #livePrimed = false;
  #droppedSamples = 0;

  get queuedMs(): number {
    return samplesToMs(this.#queue.ahead);
  }

  /** Audio that did not fit. */
  get droppedMs(): number {
    return samplesToMs(this.#droppedSamples);
  }

  get entries(): readonly LedgerEntry[] {
    return this.#ledger.entries;
  }

  /** Is there audio that a pull could give, faded ends aside? */
  get isReady(): boolean {
    return this.#state === 'playing' && this.#isNextReady();
  }

  /** Is a faded end still to be sent, whoever has the floor? */
  get isFading(): boolean {
    return this.#tailWaits || this.#state === 'fading';
  }

  open(responseId: string, live: boolean): void {
    this.#responses.set(responseId, { live, sealed: false });
    if (this.#responses.size <= MOST_RESPONSES) return;
    for (const oldest of this.#responses.keys()) {
      this.#responses.delete(oldest);
      break;
    }
  }

  /** Keeps the array. What is beyond the cap is dropped and counted. */
  push(responseId: string, itemId: string, pcm: Int16Array): void {
    if (pcm.length === 0) return;
    if (this.#queue.ahead + pcm.length > MOST_QUEUED_SAMPLES || this.#queue.isFull) {
      this.#droppedSamples += pcm.length;
      return;
    }
    const entry = this.#ledger.receive(responseId, itemId, pcm.length);
    this.#queue.push(pcm, entry, entry.receivedSamples - pcm.length);
    if (!this.#responses.get(responseId)?.live || this.#queue.responseId !== responseId) return;
    if (this.#queue.ahead > LIVE_MOST_SAMPLES) this.#queue.skip(this.#queue.ahead - LIVE_START_SAMPLES);
  }

  /** Nothing more comes of this response. */
  seal(responseId: string): void {
    const response = this.#responses.get(responseId);
    if (!response) return;
    response.sealed = true;
    this.#notePlayed();
  }

  /** Is there anything to take with takeBegun or takePlayed? */
  get hasNews(): boolean {
    return this.#begun.length > 0 || this.#played.length > 0;
  }

  /** The next response of which all has left on the wire; undefined when there is none. Each is told once. */
  takePlayed(): string | undefined {
    return this.#played.shift();
  }

  /** The next response whose first audio has left; undefined when there is none. Each is told once. */
  takeBegun(): string | undefined {
    return this.#begun.shift();
  }

  /** Fills a frame; false when it is silence. Call once per 20 ms: what is pulled counts as sent. */
  pull(out: Int16Array, now: number): boolean {
    this.#sounding = false;
    const sounded = this.#fill(out, now);
    if (!sounded) out.fill(0);
    if (this.#state === 'playing') this.#notePlayed();
    return sounded;
  }

  /** Goes silent within the next frame, and stays so until `resume` or `stop`. */
  hold(): void {
    if (this.#state !== 'playing') return;
    this.#state = this.#sounding && this.#queue.ahead > 0 ? 'fading' : 'held';
  }

  /** Goes on after a hold: from a quiet place a little earlier, or from the start of what was just begun. */
  resume(fromStart: boolean): void {
    if (this.#state === 'playing') return;
    const faded = this.#state === 'held';
    this.#state = 'playing';
    if (!faded) return; // nobody has heard the hold yet
    if (fromStart) this.#queue.rewind(Number.POSITIVE_INFINITY);
    else this.#rewindToQuiet();
    this.#fadeIn = true;
  }

  /** Stops for good, fading within the next frame. Everything queued is dropped; tells what was cut off. */
  stop(now: number): CutItem[] {
    if (this.#state === 'fading' || (this.#state === 'playing' && this.#sounding && this.#queue.ahead > 0)) {
      this.#tail.fill(0, this.#queue.read(this.#tail, FADE_COUNTED_SAMPLES, now));
      fadeOut(this.#tail);
      this.#tailWaits = true;
    }
    this.#state = 'playing';
    this.#fadeIn = false;
    this.#livePrimed = false;
    for (const [responseId, response] of this.#responses) if (response.sealed) this.#responses.delete(responseId);
    return this.#queue.clear();
  }

  /** A response that was cancelled: it is not waited for any more. */
  forget(responseId: string): void {
    this.#responses.delete(responseId);
  }

  #fill(out: Int16Array, now: number): boolean {
    if (this.#tailWaits) {
      this.#tailWaits = false;
      out.set(this.#tail);
      return true;
    }
    if (this.#state === 'held') return false;
    if (this.#state === 'fading') {
      this.#state = 'held';
      out.fill(0, this.#queue.read(out, FADE_COUNTED_SAMPLES, now));
      fadeOut(out);
      return true;
    }
    if (!this.#isNextReady()) return false;
    const { responseId } = this.#queue;
    if (responseId !== this.#soundingId) this.#noteBegun(responseId);
    out.fill(0, this.#queue.read(out, out.length, now));
    this.#sounding = true;
    if (this.#fadeIn) this.#applyFadeIn(out);
    return true;
  }

  /** A whole frame, or the last piece of a response: a hole in the middle of a frame would click. */
  #isNextReady(): boolean {
    const { ahead, responseId } = this.#queue;
    if (ahead === 0 || responseId === undefined) {
      this.#livePrimed = false;
      return false;
    }
    const response = this.#responses.get(responseId);
    if (response?.live && !response.sealed) {
      this.#livePrimed = ahead >= (this.#livePrimed ? MODEL_FRAME_SAMPLES : LIVE_START_SAMPLES);
      return this.#livePrimed;
    }
    return ahead >= MODEL_FRAME_SAMPLES || response === undefined || response.sealed;
  }

  #noteBegun(responseId: string | undefined): void {
    this.#soundingId = responseId;
    if (responseId !== undefined) this.#begun.push(responseId);
  }

  #applyFadeIn(out: Int16Array): void {
    this.#fadeIn = false;
    for (let n = 0; n < FADE_IN_SAMPLES; n++) out[n] = Math.round(((out[n] ?? 0) * n) / FADE_IN_SAMPLES);
  }

  #rewindToQuiet(): void {
    const moved = this.#queue.rewind(FARTHEST_RESUME_SAMPLES);
    const heard = new Int16Array(moved);
    this.#queue.read(heard, 0, 0);
    this.#queue.rewind(moved - quietestPlace(heard));
  }

  /** All audio ahead belongs to the response at the cursor or to later ones: earlier ones that are sealed are over. */
  #notePlayed(): void {
    const current = this.#queue.ahead > 0 ? this.#queue.responseId : undefined;
    for (const [responseId, response] of this.#responses) {
      if (responseId === current || !response.sealed) break;
      this.#responses.delete(responseId);
      this.#played.push(responseId);
    }
  }
}

/** Where to begin again in what was just heard: the last pause that is far enough back, or the quietest 10 ms where there is none. */
function quietestPlace(heard: Int16Array): number {
  const energies: number[] = [];
  for (let at = 0; at + RESUME_STEP_SAMPLES <= heard.length; at += RESUME_STEP_SAMPLES) energies.push(energyOf(heard, at));
  const pause = Math.max(...energies) * PAUSE_SHARE;
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n * RESUME_STEP_SAMPLES <= heard.length - NEAREST_RESUME_SAMPLES; n++) {
    const energy = Math.max(energies[n] ?? 0, pause);
    if (energy > least) continue;
    least = energy;
    best = n * RESUME_STEP_SAMPLES;
  }
  return best;
}

function energyOf(heard: Int16Array, from: number): number {
  let energy = 0;
  for (let n = from; n < from + RESUME_STEP_SAMPLES; n++) energy += (heard[n] ?? 0) ** 2;
  return energy;
}

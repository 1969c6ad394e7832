import { MODEL_RATE_HZ } from '../model.ts';
import { AudioEncoder } from './audio-format.ts';
import { CallerAudio } from './caller-audio.ts';
import type { UpstreamProfile } from './profile.ts';

/** What has to be sent again goes in messages of 2 s: 128 kB of text. */
const CHUNK_SAMPLES = 2 * MODEL_RATE_HZ;

/** The reference refuses to commit less than 100 ms. */
const LEAST_COMMIT_SAMPLES = 0.1 * MODEL_RATE_HZ;

/** A turn that nobody ends is not sent for ever. */
const LONGEST_TURN_SAMPLES = 600 * MODEL_RATE_HZ;

/** For so long after its end a turn may be taken back and go on. */
const KEPT_AFTER_SAMPLES = 2 * MODEL_RATE_HZ;

interface Turn {
  readonly startMs: number;
  /** Its audio begins here: at startMs, or where the part that the server keeps has ended. */
  readonly from: number;
  sentTo: number;
  encoder: AudioEncoder;
}

/**
 * The caller's audio on its way to the server. Only turns are sent, each from its beginning on, while it is spoken:
 * silence between them costs nothing, and a commit finds (nearly) everything there.
 */
export class TurnUplink {
  readonly #profile: UpstreamProfile;
  readonly #batchSamples: number;
  readonly #send: (message: string) => void;
  /** So many samples were sent. */
  readonly #note: (samples: number) => void;
  readonly #audio = new CallerAudio();
  #turn: Turn | undefined;
  /** When the caller cannot go on with the turn before any more. */
  #releaseAt = Number.POSITIVE_INFINITY;

  constructor(profile: UpstreamProfile, batchMs: number, send: (message: string) => void, note: (samples: number) => void = () => {}) {
    this.#profile = profile;
    this.#batchSamples = (batchMs * MODEL_RATE_HZ) / 1000;
    this.#send = send;
    this.#note = note;
  }

  /** Is a turn being spoken? */
  get isSpeaking(): boolean {
    return this.#turn !== undefined;
  }

  append(pcm: Int16Array, ready: boolean): void {
    this.#audio.append(pcm);
    if (this.#audio.end >= this.#releaseAt) this.#release();
    const turn = this.#turn;
    if (!turn) return;
    if (this.#audio.end - turn.from > LONGEST_TURN_SAMPLES) this.discard(ready);
    else if (ready && this.#audio.end - turn.sentTo >= this.#batchSamples) this.#sendTo(turn, this.#audio.end);
  }

  /** A turn began at `startMs`, and is to be sent from `fromMs` on. */
  begin(startMs: number, fromMs: number, ready: boolean): void {
    const turn = this.#open(startMs, fromMs, ready);
    if (ready) this.#sendTo(turn, this.#audio.end);
  }

  /** What of the turn that is being spoken is still here. */
  spoken(): Int16Array {
    return this.#turn ? this.#audio.read(this.#turn.from, this.#audio.end) : new Int16Array();
  }

  /** Is all of it still here, from this moment on? */
  keeps(fromMs: number): boolean {
    return this.#audio.start <= toSamples(fromMs);
  }

  /**
   * The turn is over: sends what is missing of it, and gives it as it was sent; `rest`: only what came after an earlier commit.
   * The commit itself is the owner's.
   */
  finish(startMs: number, endMs: number, ready: boolean): { readonly pcm: Int16Array; readonly rest: boolean } {
    const turn = this.#turn?.startMs === startMs ? this.#turn : this.#open(startMs, startMs, ready);
    this.#turn = undefined;
    const end = Math.min(toSamples(endMs), this.#audio.end);
    const pcm = this.#audio.read(turn.from, end);
    this.#releaseAt = this.#audio.end + KEPT_AFTER_SAMPLES;
    if (ready) this.#complete(turn, end);
    return { pcm, rest: turn.from > toSamples(startMs) };
  }

  /** The turn that was being spoken is none. */
  discard(ready: boolean): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = undefined;
    this.#release();
    if (ready && turn.sentTo > turn.from) this.#send('{"type":"input_audio_buffer.clear"}');
  }

  /** Sends a turn of before to a session that does not know it; false when there is nothing of it. */
  replay(pcm: Int16Array): boolean {
    if (pcm.length === 0) return false;
    const encoder = new AudioEncoder(this.#profile.input);
    for (let at = 0; at < pcm.length; at += CHUNK_SAMPLES) this.#append(encoder.encode(pcm.subarray(at, at + CHUNK_SAMPLES)));
    this.#note(pcm.length);
    this.#append(encoder.flush());
    this.#pad(encoder, pcm.length);
    return true;
  }

  /** A session that knows nothing yet: sends the turn that is being spoken from its beginning. */
  resume(): void {
    const turn = this.#turn;
    if (!turn) return;
    turn.sentTo = turn.from;
    turn.encoder = new AudioEncoder(this.#profile.input);
    this.#sendTo(turn, this.#audio.end);
  }

  #open(startMs: number, fromMs: number, ready: boolean): Turn {
    this.discard(ready);
    const from = toSamples(fromMs);
    const turn = { startMs, from, sentTo: from, encoder: new AudioEncoder(this.#profile.input) };
    this.#turn = turn;
    this.#audio.need(toSamples(startMs));
    this.#releaseAt = Number.POSITIVE_INFINITY;
    return turn;
  }

  #release(): void {
    this.#releaseAt = Number.POSITIVE_INFINITY;
    if (!this.#turn) this.#audio.need(undefined);
  }

  #complete(turn: Turn, end: number): void {
    if (end > turn.sentTo) this.#sendTo(turn, end);
    this.#append(turn.encoder.flush());
    this.#pad(turn.encoder, turn.sentTo - turn.from);
  }

  #sendTo(turn: Turn, end: number): void {
    const start = Math.max(turn.sentTo, this.#audio.start);
    this.#note(Math.max(0, end - start));
    for (let from = start; from < end; from += CHUNK_SAMPLES) {
      this.#append(turn.encoder.encode(this.#audio.read(from, Math.min(end, from + CHUNK_SAMPLES))));
    }
    turn.sentTo = Math.max(turn.sentTo, end);
  }

  #pad(encoder: AudioEncoder, sent: number): void {
    if (sent >= LEAST_COMMIT_SAMPLES) return;
    this.#note(LEAST_COMMIT_SAMPLES - sent);
    this.#append(encoder.encode(new Int16Array(LEAST_COMMIT_SAMPLES - sent)));
  }

  #append(base64: string): void {
    if (base64 !== '') this.#send(`{"type":"input_audio_buffer.append","audio":"${base64}"}`);
  }
}

function toSamples(ms: number): number {
  return Math.max(0, Math.round((ms * MODEL_RATE_HZ) / 1000));
}

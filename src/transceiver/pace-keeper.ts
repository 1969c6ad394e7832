import { FRAME_MS } from '../base/ticker.ts';

/** Long enough to meet a packet that was not held up anywhere, short enough to see a drift before it matters. */
const WINDOW_MS = 2000;

/** More than this far from real time is put right: a correction is 20 ms, so it leaves at least 10. */
const TOLERANCE_MS = 30;

/** A correction waits so long for a quiet place. */
const PATIENCE_MS = 2000;

/** More is not made up: time has jumped, because the whole process stood still. */
const MOST_ADDED_MS = 200;

/** A quiet frame is 26 dB below the loudest of the last seconds, or inaudible anyway. */
const QUIET_SHARE = 0.05;
const INAUDIBLE = 40;
/** The loudest is half forgotten after seven seconds. */
const FORGETTING = 0.998;
/** Every fourth sample says how loud a frame is. */
const STRIDE = 4;

/** What becomes of a frame: it goes on, it is merged with the next one, or a made-up one follows it. */
export type Pace = 'pass' | 'drop' | 'add';

/**
 * Keeps the audio a machine hears in step with the clock on the wall. Packets pass as they come, so a sender whose clock runs fast or slow,
 * or silence that was put in for audio that came all the same, would shift its timeline for good. At most one frame at a time is taken out
 * or put in, at a quiet place if one comes soon.
 */
export class PaceKeeper {
  #startedAt: number | undefined;
  #frames = 0;
  #windowEndsAt = 0;
  /** The lead of the least delayed frame of this window: frames are late by chance, never early. */
  #mostMs = Number.NEGATIVE_INFINITY;
  /** What counts as in step: the least delay of the beginning. */
  #baseMs: number | undefined;
  /** Frames too many (above 0) or too few. */
  #owed = 0;
  #owedSince = 0;
  #loudest = 0;
  #dropped = 0;
  #added = 0;

  get dropped(): number {
    return this.#dropped;
  }

  get added(): number {
    return this.#added;
  }

  /** The next 20 ms are there. What is told to drop or add counts as done. */
  next(pcm: Int16Array, now: number): Pace {
    const quiet = this.#isQuiet(pcm);
    this.#startedAt ??= this.#begin(now);
    this.#frames += 1;
    const lead = this.#frames * FRAME_MS - (now - this.#startedAt);
    this.#mostMs = Math.max(this.#mostMs, lead);
    if (this.#baseMs !== undefined && lead - this.#baseMs > TOLERANCE_MS) this.#owe(Math.round((lead - this.#baseMs) / FRAME_MS), now);
    if (now >= this.#windowEndsAt) this.#endWindow(now);
    if (this.#owed === 0 || !(quiet || now - this.#owedSince >= PATIENCE_MS)) return 'pass';
    this.#owedSince = now;
    return this.#owed > 0 ? this.#drop() : this.#add();
  }

  #begin(now: number): number {
    this.#windowEndsAt = now + WINDOW_MS;
    return now;
  }

  #endWindow(now: number): void {
    this.#baseMs ??= this.#mostMs;
    const ahead = this.#mostMs - this.#baseMs;
    // Time that nobody can have spoken in is let go.
    if (ahead < -MOST_ADDED_MS) this.#baseMs = this.#mostMs;
    else this.#owe(Math.abs(ahead) > TOLERANCE_MS ? Math.round(ahead / FRAME_MS) : 0, now);
    this.#mostMs = Number.NEGATIVE_INFINITY;
    this.#windowEndsAt = now + WINDOW_MS;
  }

  #owe(frames: number, now: number): void {
    if (this.#owed === 0) this.#owedSince = now;
    this.#owed = frames;
  }

  #drop(): Pace {
    this.#owed -= 1;
    this.#frames -= 1;
    this.#mostMs -= FRAME_MS;
    this.#dropped += 1;
    return 'drop';
  }

  #add(): Pace {
    this.#owed += 1;
    this.#frames += 1;
    this.#mostMs += FRAME_MS;
    this.#added += 1;
    return 'add';
  }

  #isQuiet(pcm: Int16Array): boolean {
    let sum = 0;
    for (let n = 0; n < pcm.length; n += STRIDE) sum += (pcm[n] as number) ** 2;
    const loudness = Math.sqrt((sum * STRIDE) / pcm.length);
    this.#loudest = Math.max(loudness, this.#loudest * FORGETTING);
    return loudness < Math.max(INAUDIBLE, this.#loudest * QUIET_SHARE);
  }
}

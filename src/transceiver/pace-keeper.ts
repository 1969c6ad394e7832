import { FRAME_MS } from '../base/ticker.ts';

/** Long enough to meet a packet that was not held up anywhere, short enough to see a drift before it matters. */
const WINDOW_MS = 2000;

/** What counts as in step is found out in the first 6 s: set-up is over by then, and no drift has come to more than 6 ms. */
const SETTLING_WINDOWS = 3;

/** More than this far from real time is put right: a correction is 20 ms, so it leaves 5 at least. */
const TOLERANCE_MS = 25;

/** A drift is put right by a frame in so long at the most: 2000 ppm. More comes of a delay that has changed, and that does no harm. */
const DRIFT_EVERY_MS = 10_000;

/** A correction waits so long for a quiet place. */
const PATIENCE_MS = 2000;

/** A second: longer silence was none of ours to guess. */
const MOST_WRONG = 50;

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
 * or silence that was let pass for audio that came all the same, would shift its timeline for good. One frame at a time is taken out
 * or put in, at a quiet place if one comes soon.
 */
export class PaceKeeper {
  #startedAt: number | undefined;
  #frames = 0;
  #windowEndsAt = 0;
  #windows = 0;
  /** The lead of the least delayed frame of this window: frames are late by chance, never early. */
  #mostMs = Number.NEGATIVE_INFINITY;
  /** What counts as in step: the least delay of the beginning. */
  #baseMs: number | undefined;
  /** Frames of silence that were let pass although audio was still to come for them. */
  #wrong = 0;
  #wrongAt = 0;
  /** Frames too many (above 0) or too few, to be put right. */
  #owed = 0;
  #owedSince = 0;
  #driftedAt = 0;
  #loudest = 0;
  #dropped = 0;
  #added = 0;

  get dropped(): number {
    return this.#dropped;
  }

  get added(): number {
    return this.#added;
  }

  /** Time counts from now: what is in step is found out anew. */
  begin(now: number): void {
    this.#startedAt = now;
    this.#windowEndsAt = now + WINDOW_MS;
    this.#frames = 0;
    this.#windows = 0;
    this.#mostMs = Number.NEGATIVE_INFINITY;
    this.#baseMs = undefined;
    this.#wrong = 0;
    this.#owed = 0;
    this.#driftedAt = 0;
  }

  /** Audio comes for so many frames that were let pass as silence. They are taken out as far as it makes more audio than time. */
  correct(frames: number, now: number): void {
    this.#wrong = Math.min(MOST_WRONG, frames);
    this.#wrongAt = now;
  }

  /**
   * The next 20 ms are there. What is told to drop or add counts as done.
   * @param guessed let pass because nothing came: always a little behind the clock, which says nothing about the sender's
   */
  next(pcm: Int16Array, now: number, guessed = false): Pace {
    const quiet = this.#isQuiet(pcm);
    if (this.#startedAt === undefined) this.begin(now);
    this.#frames += 1;
    const lead = this.#frames * FRAME_MS - (now - (this.#startedAt ?? now));
    if (!guessed) this.#mostMs = Math.max(this.#mostMs, lead);
    if (this.#wrong > 0) this.#catchUp(lead, now);
    if (now >= this.#windowEndsAt) this.#endWindow(now);
    if (this.#owed === 0 || !(quiet || now - this.#owedSince >= PATIENCE_MS)) return 'pass';
    this.#owedSince = now;
    return this.#owed > 0 ? this.#drop() : this.#add();
  }

  #catchUp(lead: number, now: number): void {
    if (now - this.#wrongAt > WINDOW_MS) this.#wrong = 0;
    const ahead = Math.round((lead - (this.#baseMs ?? lead)) / FRAME_MS) - this.#owed;
    const wrong = Math.min(this.#wrong, ahead);
    if (wrong <= 0) return;
    this.#wrong -= wrong;
    this.#owe(this.#owed + wrong, now);
  }

  #endWindow(now: number): void {
    this.#windowEndsAt = now + WINDOW_MS;
    // Nothing came in all of it.
    if (this.#mostMs === Number.NEGATIVE_INFINITY) return;
    // As if all that is owed had been put right.
    const most = this.#mostMs - this.#owed * FRAME_MS;
    this.#windows += 1;
    if (this.#baseMs === undefined || this.#windows <= SETTLING_WINDOWS) this.#baseMs = Math.max(this.#baseMs ?? most, most);
    const ahead = most - this.#baseMs;
    if (Math.abs(ahead) > TOLERANCE_MS && now - this.#driftedAt >= DRIFT_EVERY_MS) {
      this.#driftedAt = now;
      this.#owe(this.#owed + Math.sign(ahead), now);
    }
    this.#mostMs = Number.NEGATIVE_INFINITY;
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

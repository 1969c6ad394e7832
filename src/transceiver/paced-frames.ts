import type { Concealer } from '../audio/concealer.ts';
import { mergeFrames } from '../audio/gain.ts';
import { PaceKeeper } from './pace-keeper.ts';

/** Hands frames on in step with the clock on the wall: two become one, or one is made up, where the pace has to change. */
export class PacedFrames {
  readonly #concealer: Concealer;
  readonly #onFrame: (pcm: Int16Array, concealed: boolean) => void;
  readonly #pace = new PaceKeeper();
  /** Taken out, to be merged with the next one. */
  readonly #taken: Int16Array;
  #isTaken = false;
  readonly #made: Int16Array;

  /** @param concealer knows what was handed on last */
  constructor(frameSamples: number, concealer: Concealer, onFrame: (pcm: Int16Array, concealed: boolean) => void) {
    this.#concealer = concealer;
    this.#onFrame = onFrame;
    this.#taken = new Int16Array(frameSamples);
    this.#made = new Int16Array(frameSamples);
  }

  get added(): number {
    return this.#pace.added;
  }

  get dropped(): number {
    return this.#pace.dropped;
  }

  /** What is in step is found out anew. */
  begin(now: number): void {
    this.#isTaken = false;
    this.#pace.begin(now);
  }

  /** Audio comes for so many frames that were pushed as silence. */
  correct(frames: number, now: number): void {
    this.#pace.correct(frames, now);
  }

  /**
   * The buffer is used again at once, and may be changed.
   * @param guessed let pass because nothing came
   */
  push(frame: Int16Array, concealed: boolean, now: number, guessed = false): void {
    if (this.#isTaken) mergeFrames(this.#taken, frame);
    this.#isTaken = false;
    const pace = this.#pace.next(frame, now, guessed);
    if (pace === 'drop') {
      this.#taken.set(frame);
      this.#isTaken = true;
      return;
    }
    this.#onFrame(frame, concealed);
    if (pace === 'pass') return;
    this.#concealer.conceal(this.#made);
    this.#onFrame(this.#made, true);
  }
}

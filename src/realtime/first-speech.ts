import { levelDbov } from '../audio/level.ts';

/** 1.5 s of our sound: until then the guard knows little of the line, and expects the worst of it. */
const FRAMES = 75;

/** A line gives back less than this of what it is given: what is louder is a person, whatever the guard thinks of it. */
const LEAST_LOSS_DB = 10;

/**
 * In the first moments of a call's first speech nobody knows the line, and a voice hides behind the echo that there might be. But an echo has
 * lost something on its way: this tells who is too loud for one.
 */
export class FirstSpeech {
  #frames = 0;
  #loudestDb = Number.NEGATIVE_INFINITY;

  get isOver(): boolean {
    return this.#frames >= FRAMES;
  }

  /** A frame with sound has left. */
  played(pcm: Int16Array): void {
    this.#frames += 1;
    this.#loudestDb = Math.max(this.#loudestDb, levelDbov(pcm));
  }

  /** Is a voice of this level nobody's echo? */
  isPerson(levelDb: number): boolean {
    return this.#frames > 0 && !this.isOver && levelDb > this.#loudestDb - LEAST_LOSS_DB;
  }
}

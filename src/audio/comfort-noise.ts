import { amplitudeOf } from './level.ts';
import { toSample } from './sample.ts';

/**
 * Noise that sounds like a quiet line instead of a dead one: white noise through a gentle low-pass. Used for silence
 * that the far end announced by its level (RFC 3389) and for gaps while a call moves.
 */
export class ComfortNoise {
  // One pole at about 1 kHz for 8 kHz audio: hiss without the edge.
  readonly #pole = 0.5;
  // The low-pass keeps (1 - pole) / (1 + pole) of the power; uniform noise of ±1 has an RMS of 1/√3.
  readonly #unitGain = Math.sqrt(3 * ((1 + this.#pole) / (1 - this.#pole)));
  #state = 0x9e3779b9;
  #low = 0;

  /** Fills a frame at a level in dBov. The noise needs no secrecy: a shift register is enough. */
  fill(out: Int16Array, dbov: number): void {
    const gain = amplitudeOf(dbov) * this.#unitGain * (1 - this.#pole);
    for (let i = 0; i < out.length; i += 1) {
      this.#state ^= this.#state << 13;
      this.#state ^= this.#state >>> 17;
      this.#state ^= this.#state << 5;
      this.#low = this.#pole * this.#low + this.#state / 0x80000000;
      out[i] = toSample(this.#low * gain);
    }
  }
}

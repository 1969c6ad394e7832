import { amplitudeOf } from './level.ts';
import { toSample } from './sample.ts';

export interface ToneOptions {
  readonly rateHz: number;
  readonly frequencyHz: number;
  /** A second sine of the same level, for DTMF. */
  readonly secondFrequencyHz?: number;
  /** Level of each sine in dBov; -13 is the usual test level of a phone line (about -10 dBm0). */
  readonly levelDbov?: number;
}

/** A sine by rotation: one complex multiplication a sample instead of a call of Math.sin. */
class Sine {
  readonly #stepCos: number;
  readonly #stepSin: number;
  readonly #peak: number;
  #cos: number;
  #sin = 0;

  constructor(rateHz: number, frequencyHz: number, peak: number) {
    const step = (2 * Math.PI * frequencyHz) / rateHz;
    this.#stepCos = Math.cos(step);
    this.#stepSin = Math.sin(step);
    this.#peak = peak;
    this.#cos = peak;
  }

  next(): number {
    const sample = this.#sin;
    const cos = this.#cos * this.#stepCos - this.#sin * this.#stepSin;
    this.#sin = this.#cos * this.#stepSin + this.#sin * this.#stepCos;
    this.#cos = cos;
    return sample;
  }

  /** Rounding makes the circle drift over hours: once a frame brings it back. */
  settle(): void {
    const scale = this.#peak / Math.hypot(this.#cos, this.#sin);
    this.#cos *= scale;
    this.#sin *= scale;
  }
}

/** One or two sines whose phase goes on from frame to frame. */
export class Tone {
  readonly #first: Sine;
  readonly #second: Sine | undefined;

  constructor({ rateHz, frequencyHz, secondFrequencyHz, levelDbov = -13 }: ToneOptions) {
    const peak = amplitudeOf(levelDbov) * Math.SQRT2;
    this.#first = new Sine(rateHz, frequencyHz, peak);
    this.#second = secondFrequencyHz === undefined ? undefined : new Sine(rateHz, secondFrequencyHz, peak);
  }

  fill(out: Int16Array): void {
    const second = this.#second;
    for (let i = 0; i < out.length; i += 1) {
      out[i] = toSample(this.#first.next() + (second ? second.next() : 0));
    }
    this.#first.settle();
    second?.settle();
  }
}

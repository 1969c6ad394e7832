import { BANDS } from './hop-spectrum.ts';

/** 490 ms: a mobile network both ways and its buffers. */
export const LAGS = 50;

/** In how many bands two hops differ that have nothing to do with each other. */
const BY_CHANCE = BANDS / 2;
/** The word of a hop in which no band stands out. It is like any other such hop, and says nothing of the delay. */
const SILENT = 0;

/** A lag is as likely as its distance was small over about the last 0.6 s. */
const SMOOTHING = 1 / 64;

/** How much nearer than the others the best lag must be, as a share of the bands, and for how many hops. */
const STANDS_OUT = 0.07;
const STANDS_OUT_HOPS = 12;

/** A delay that was found is believed for longer: a voice over our speech hides the echo for a while, and then any lag is as good as another. */
const CHANGES_AFTER_HOPS = 60;

/** Fewer hops are chance; until there are as many as are looked back on, the best lag must stand out by as much more. */
const LEAST_HOPS = 30;

/**
 * By how much our own sound comes back later: compares which bands are above their own mean, which survives codecs, gain and
 * distortion. (The idea of WebRTC's delay estimator.)
 */
export class EchoDelay {
  readonly #distances = new Float64Array(LAGS).fill(BY_CHANCE);
  #hops = 0;
  #standing = 0;
  #candidate = 0;
  #lag: number | undefined;

  /** In hops of 10 ms; undefined: no echo was found. */
  get lag(): number | undefined {
    return this.#lag;
  }

  /** A hop of the caller's audio beside what we played before it. @param played words of the hops played, a ring whose length is a power of two */
  compare(heard: number, played: Int32Array, hop: number): void {
    if (heard === SILENT) return;
    const mask = played.length - 1;
    this.#hops += 1;
    const weight = Math.max(SMOOTHING, 1 / this.#hops);
    let sum = 0;
    let best = 0;
    for (let lag = 0; lag < LAGS; lag++) {
      const before = this.#distances[lag] as number;
      const word = played[(hop - lag) & mask] as number;
      const distance = before + weight * ((word === SILENT ? BY_CHANCE : distanceOf(heard, word)) - before);
      this.#distances[lag] = distance;
      sum += distance;
      if (distance < (this.#distances[best] as number)) best = lag;
    }
    const margin = (sum / LAGS - (this.#distances[best] as number)) / BANDS;
    const same = Math.abs(best - this.#candidate) <= 1;
    this.#candidate = best;
    this.#standing = same && margin > STANDS_OUT * (weight / SMOOTHING) && this.#hops >= LEAST_HOPS ? this.#standing + 1 : 0;
    if (this.#standing >= (this.#lag === undefined ? STANDS_OUT_HOPS : CHANGES_AFTER_HOPS)) this.#lag = best;
  }
}

/** In how many bands two words differ. */
export function distanceOf(a: number, b: number): number {
  let bits = a ^ b;
  bits -= (bits >> 1) & 0x5555;
  bits = (bits & 0x3333) + ((bits >> 2) & 0x3333);
  bits = (bits + (bits >> 4)) & 0x0f0f;
  return (bits + (bits >> 8)) & 0x1f;
}

/** Which bands of a hop are above their own running mean. */
export class BandWord {
  readonly #means = new Float64Array(BANDS).fill(-70);

  of(levels: Float64Array, from: number): number {
    let word = 0;
    for (let band = 0; band < BANDS; band++) {
      const level = levels[from + band] as number;
      const mean = this.#means[band] as number;
      if (level > mean) word |= 1 << band;
      this.#means[band] = mean + (level - mean) / 64;
    }
    return word;
  }
}

import { toSample } from './sample.ts';

/** From low men to children. */
const LOWEST_PITCH_HZ = 60;
const HIGHEST_PITCH_HZ = 400;
/** What is compared with what was before it: a period of the lowest pitch. */
const MATCHED_MS = 16;
/** The pitch is looked for at about 8 kHz, then to the sample. */
const COARSE_HZ = 8000;

/** A made-up frame ends 2 dB below where it began: what was being said is less and less likely still said, and a drone is worse than a gap. */
const FADE = 0.8;
/** What follows a gap tells how loud the end of the gap was, but an attack is not to be heard before it comes. */
const MOST_RISE = 1.5;
/** Made-up audio runs on under the real one for so long. */
const BLEND_MS = 5;

/**
 * Makes up audio for frames that never came, as Appendix I of ITU-T G.711 does: the last pitch period goes on, fading, and the
 * real audio takes over without a step. For audio that has a piece cut out; an Opus decoder that lost a packet has means of its own.
 */
export class Concealer {
  /** The newest audio, oldest sample first. */
  readonly #history: Int16Array;
  readonly #lowestLag: number;
  readonly #highestLag: number;
  readonly #matched: number;
  readonly #coarse: number;
  readonly #blend: number;
  /** The periods that go on, while something is made up. */
  #period: Int16Array | undefined;
  #at = 0;
  #gain = 1;
  #gainStep = FADE;

  /** @param sampleRateHz 8000 or a multiple of it */
  constructor(sampleRateHz: number) {
    this.#coarse = sampleRateHz / COARSE_HZ;
    this.#lowestLag = Math.round(sampleRateHz / HIGHEST_PITCH_HZ);
    this.#highestLag = Math.round(sampleRateHz / LOWEST_PITCH_HZ);
    this.#matched = Math.round((sampleRateHz * MATCHED_MS) / 1000);
    this.#blend = Math.round((sampleRateHz * BLEND_MS) / 1000);
    this.#history = new Int16Array(this.#highestLag + this.#matched + this.#blend);
  }

  /** Audio that came. What follows made-up audio is blended with it, in place. */
  pass(pcm: Int16Array): void {
    if (this.#period) {
      const blend = Math.min(this.#blend, pcm.length);
      for (let n = 0; n < blend; n++) {
        const share = (n + 1) / blend;
        pcm[n] = toSample((pcm[n] as number) * share + this.#next() * this.#gain * (1 - share));
      }
      this.#period = undefined;
      this.#gainStep = FADE;
    }
    this.#remember(pcm);
  }

  /** What comes after so many frames to be made up is known: they go from the loudness before them to that of `next`. */
  aim(next: Int16Array, frames: number): void {
    const before = loudness(this.#history.subarray(this.#history.length - this.#blend));
    const after = loudness(next.subarray(0, this.#blend));
    this.#gainStep = Math.min(MOST_RISE, after / before) ** (1 / frames);
  }

  /** Fills a frame with what might have been in it, ever quieter unless it is known how it goes on. */
  conceal(out: Int16Array): void {
    if (!this.#period) this.#begin();
    const to = this.#gain * this.#gainStep;
    const step = (to - this.#gain) / out.length;
    let gain = this.#gain;
    for (let n = 0; n < out.length; n++) {
      gain += step;
      out[n] = toSample(this.#next() * gain);
    }
    this.#gain = to;
    this.#remember(out);
  }

  /** Time went by in silence: nothing of what was said goes on after it. */
  forget(): void {
    this.#history.fill(0);
    this.#period = undefined;
    this.#gainStep = FADE;
  }

  #begin(): void {
    const lag = this.#findPitch();
    const history = this.#history;
    const { length } = history;
    const period = history.slice(length - lag);
    // The end of the period runs into its start over a quarter of it, as G.711 Appendix I has it.
    const overlap = Math.min(this.#blend, Math.floor(lag / 4));
    for (let n = 0; n < overlap; n++) {
      const share = (n + 1) / (overlap + 1);
      const at = lag - overlap + n;
      period[at] = toSample((period[at] as number) * (1 - share) + (history[length - lag - overlap + n] as number) * share);
    }
    this.#period = period;
    this.#at = 0;
    this.#gain = 1;
  }

  #next(): number {
    const period = this.#period as Int16Array;
    const value = period[this.#at] as number;
    this.#at = (this.#at + 1) % period.length;
    return value;
  }

  #findPitch(): number {
    const coarse = this.#bestLag(this.#lowestLag, this.#highestLag, this.#coarse);
    return this.#bestLag(Math.max(this.#lowestLag, coarse - this.#coarse), Math.min(this.#highestLag, coarse + this.#coarse), 1);
  }

  /** The distance at which the newest audio is most like what was before it, every `step`th sample compared. */
  #bestLag(from: number, to: number, step: number): number {
    const history = this.#history;
    const start = history.length - this.#matched;
    let best = from;
    let likeness = Number.NEGATIVE_INFINITY;
    for (let lag = from; lag <= to; lag += step) {
      let product = 0;
      let energy = 1;
      for (let n = start; n < history.length; n += step) {
        const before = history[n - lag] as number;
        product += (history[n] as number) * before;
        energy += before * before;
      }
      const found = product / Math.sqrt(energy);
      if (found <= likeness) continue;
      likeness = found;
      best = lag;
    }
    return best;
  }

  #remember(pcm: Int16Array): void {
    const history = this.#history;
    if (pcm.length >= history.length) {
      history.set(pcm.subarray(pcm.length - history.length));
      return;
    }
    history.copyWithin(0, pcm.length);
    history.set(pcm, history.length - pcm.length);
  }
}

/** Never 0, to divide by. */
function loudness(pcm: Int16Array): number {
  let sum = 0;
  for (let n = 0; n < pcm.length; n++) sum += (pcm[n] as number) ** 2;
  return 1 + Math.sqrt(sum / pcm.length);
}

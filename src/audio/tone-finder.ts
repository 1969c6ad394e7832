import { levelDbov } from './level.ts';

/** 40 ms: harmonics of a voice lie 80 Hz apart and more, and two frequencies 50 Hz apart are two. */
const RATE_HZ = 8000;
const TONE_WINDOW = 320;

/** Beeps of answering machines, signals of exchanges and fax machines. */
const LOWEST_HZ = 340;
const HIGHEST_HZ = 2550;
/** What the window can tell apart: between two bins a tone shows at 4 dB less, and still above all others. */
const STEP_HZ = 25;
/** Around the highest bin; what is left is an error of 1.5 Hz. */
const FINE_HZ = [-12, -9, -6, -3, 3, 6, 9, 12];

/** Below this a beep is one that nobody was meant to hear. */
const LEAST_DBOV = -45;
/** Of the power: 6 dB above noise and voice together. */
const PURE_SHARE = 0.8;
const PAIR_SHARE = 0.7;
/** Each of two. */
const LEAST_OF_PAIR = 0.2;
/** Two frequencies nearer than this are one that sways. */
const APART_HZ = 37.5;

/** One steady frequency, or two at once. */
export interface FoundTone {
  readonly hz: number;
  /** Of a pair the higher one. */
  readonly secondHz?: number;
}

const BINS = Math.floor((HIGHEST_HZ - LOWEST_HZ) / STEP_HZ) + 1;

/** Finds a pure tone, or a pair of them, in the last 40 ms. Fed frames of 20 ms at 8 kHz. */
export class ToneFinder {
  readonly #window = new Int16Array(TONE_WINDOW);
  readonly #powers = new Float64Array(BINS);

  /** What is heard now; undefined for a voice, noise or silence. */
  process(frame: Int16Array): FoundTone | undefined {
    this.#window.copyWithin(0, frame.length);
    this.#window.set(frame, TONE_WINDOW - frame.length);
    if (levelDbov(this.#window) < LEAST_DBOV) return undefined;
    let energy = 0;
    for (let n = 0; n < TONE_WINDOW; n++) energy += (this.#window[n] as number) ** 2;
    const [first, second] = this.#peaks();
    if (first === undefined) return undefined;
    const total = (TONE_WINDOW / 2) * energy;
    const hz = this.#refined(LOWEST_HZ + first * STEP_HZ);
    if (this.#power(hz) / total >= PURE_SHARE) return { hz };
    if (second === undefined) return undefined;
    const other = this.#refined(LOWEST_HZ + second * STEP_HZ);
    const shares = [this.#power(hz) / total, this.#power(other) / total] as const;
    if (shares[0] + shares[1] < PAIR_SHARE || Math.min(...shares) < LEAST_OF_PAIR) return undefined;
    return { hz: Math.min(hz, other), secondHz: Math.max(hz, other) };
  }

  /** The two highest bins that are no neighbours. */
  #peaks(): readonly [number | undefined, number | undefined] {
    const powers = this.#powers;
    let first: number | undefined;
    for (let bin = 0; bin < BINS; bin++) {
      powers[bin] = this.#power(LOWEST_HZ + bin * STEP_HZ);
      if (first === undefined || (powers[bin] as number) > (powers[first] as number)) first = bin;
    }
    let second: number | undefined;
    for (let bin = 0; bin < BINS; bin++) {
      if (first !== undefined && Math.abs(bin - first) * STEP_HZ < APART_HZ) continue;
      if (second === undefined || (powers[bin] as number) > (powers[second] as number)) second = bin;
    }
    return [first, second];
  }

  #refined(hz: number): number {
    let best = hz;
    let most = this.#power(hz);
    for (const offset of FINE_HZ) {
      const power = this.#power(hz + offset);
      if (power <= most) continue;
      most = power;
      best = hz + offset;
    }
    return best;
  }

  /** Goertzel; that of a pure sine at this frequency is half the window's length times its energy. */
  #power(hz: number): number {
    const coefficient = 2 * Math.cos((2 * Math.PI * hz) / RATE_HZ);
    let previous = 0;
    let before = 0;
    for (let n = 0; n < TONE_WINDOW; n++) {
      const next = (this.#window[n] as number) + coefficient * previous - before;
      before = previous;
      previous = next;
    }
    return previous * previous + before * before - coefficient * previous * before;
  }
}

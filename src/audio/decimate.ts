import { toSample } from './sample.ts';

// Low-pass before two of three samples go: flat to 3.2 kHz, -50 dB from 4.8 kHz (what would fold back below 3.2 kHz).
const TAPS = 48;
const CUTOFF = 4000 / 24_000;
const KAISER_BETA = 4.5;

function besselI0(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; k < 32; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** Half of a symmetric windowed-sinc low-pass, outermost tap first; the whole sums to 1. */
function halfLowPass(): Float64Array {
  const half = new Float64Array(TAPS / 2);
  let sum = 0;
  for (let i = 0; i < half.length; i += 1) {
    const x = i - (TAPS - 1) / 2;
    const sinc = Math.sin(2 * Math.PI * CUTOFF * x) / (Math.PI * x);
    const position = (2 * i) / (TAPS - 1) - 1;
    half[i] = sinc * (besselI0(KAISER_BETA * Math.sqrt(1 - position * position)) / besselI0(KAISER_BETA));
    sum += 2 * (half[i] as number);
  }
  return half.map((tap) => tap / sum);
}

const HALF = halfLowPass();

/** 24 kHz to 8 kHz, keeping its state between frames: what voice activity listens to. Delay: 1 ms. */
export class Decimator {
  /** The last TAPS samples of the previous frame, then this frame. */
  #line = new Float64Array(TAPS + 480 + 3);

  /** `pcm24k` must hold a multiple of 3 samples; `out` a third of that. */
  process(pcm24k: Int16Array, out: Int16Array): void {
    const length = pcm24k.length;
    if (this.#line.length < TAPS + length + 3) {
      const longer = new Float64Array(TAPS + length + 3);
      longer.set(this.#line.subarray(0, TAPS));
      this.#line = longer;
    }
    const line = this.#line;
    for (let i = 0; i < length; i += 1) line[TAPS + i] = pcm24k[i] as number;
    const count = Math.min(out.length, Math.floor(length / 3));
    // Two at a time: each tap is loaded once for both, which saves two fifths.
    for (let i = 0; i < count; i += 2) {
      const first = 3 * i + 3;
      const last = first + TAPS - 1;
      let sum = 0;
      let next = 0;
      for (let tap = 0; tap < TAPS / 2; tap += 1) {
        const weight = HALF[tap] as number;
        sum += weight * ((line[first + tap] as number) + (line[last - tap] as number));
        next += weight * ((line[first + tap + 3] as number) + (line[last - tap + 3] as number));
      }
      out[i] = toSample(sum);
      if (i + 1 < count) out[i + 1] = toSample(next);
    }
    line.copyWithin(0, length, length + TAPS);
  }
}

/** The spectrum of 10 ms at a time: what the echo guard compares. */

const SIZE = 128;
const HOP_SAMPLES = 80;
/** Window over this hop and the end of the one before. */
const OVERLAP_SAMPLES = SIZE - HOP_SAMPLES;
const FRAME_SAMPLES = 2 * HOP_SAMPLES;

/** First bin of each band, and the end of the last: 250 to 3560 Hz at 62.5 Hz a bin, wider towards the top as hearing is. */
const EDGES = [4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 23, 27, 31, 36, 42, 49, 57] as const;
export const BANDS = EDGES.length - 1;

/** Quieter than G.711 can be. */
export const LOWEST_BAND_DB = -100;

const WINDOW = Float64Array.from({ length: SIZE }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / SIZE));
const SCALE = 2 / (SIZE * WINDOW.reduce((sum, w) => sum + w * w, 0) * 32768 * 32768);
const COS = Float64Array.from({ length: SIZE / 2 }, (_, n) => Math.cos((2 * Math.PI * n) / SIZE));
const SIN = Float64Array.from({ length: SIZE / 2 }, (_, n) => Math.sin((2 * Math.PI * n) / SIZE));
const REVERSED = Uint8Array.from({ length: SIZE }, (_, n) => {
  let reversed = 0;
  for (let bit = 0; bit < 7; bit++) if (n & (1 << bit)) reversed |= 64 >> bit;
  return reversed;
});

// One transform at a time in the process: nothing here gives way to another.
const re = new Float64Array(SIZE);
const im = new Float64Array(SIZE);

/** Band levels of the two hops of a frame, in dBov. One FFT for both: the one is its real part, the other its imaginary part. */
export class HopSpectrum {
  readonly #line = new Float64Array(OVERLAP_SAMPLES + FRAME_SAMPLES);

  /** 20 ms at 8 kHz. Writes the levels of the first hop, then those of the second. */
  process(frame: Int16Array, levels: Float64Array): void {
    const line = this.#line;
    line.copyWithin(0, FRAME_SAMPLES);
    for (let n = 0; n < FRAME_SAMPLES; n++) line[OVERLAP_SAMPLES + n] = frame[n] ?? 0;
    for (let n = 0; n < SIZE; n++) {
      const to = REVERSED[n] as number;
      const weight = WINDOW[n] as number;
      re[to] = weight * (line[n] as number);
      im[to] = weight * (line[n + HOP_SAMPLES] as number);
    }
    transform();
    for (let band = 0; band < BANDS; band++) {
      let first = 0;
      let second = 0;
      for (let k = EDGES[band] as number; k < (EDGES[band + 1] as number); k++) {
        const a = re[k] as number;
        const b = im[k] as number;
        const c = re[SIZE - k] as number;
        const d = im[SIZE - k] as number;
        first += (a + c) * (a + c) + (b - d) * (b - d);
        second += (a - c) * (a - c) + (b + d) * (b + d);
      }
      levels[band] = toDb(first);
      levels[BANDS + band] = toDb(second);
    }
  }

  /** Silence has gone by. */
  skip(): void {
    this.#line.fill(0);
  }
}

function toDb(power: number): number {
  return power <= 0 ? LOWEST_BAND_DB : Math.max(LOWEST_BAND_DB, 10 * Math.log10((power / 4) * SCALE));
}

/** Radix 2, in place, on bit-reversed input. */
function transform(): void {
  for (let half = 1; half < SIZE; half *= 2) {
    const step = SIZE / (2 * half);
    for (let k = 0; k < half; k++) {
      const c = COS[k * step] as number;
      const s = SIN[k * step] as number;
      for (let at = k; at < SIZE; at += 2 * half) {
        const br = re[at + half] as number;
        const bi = im[at + half] as number;
        const tr = br * c + bi * s;
        const ti = bi * c - br * s;
        const ar = re[at] as number;
        const ai = im[at] as number;
        re[at + half] = ar - tr;
        im[at + half] = ai - ti;
        re[at] = ar + tr;
        im[at] = ai + ti;
      }
    }
  }
}

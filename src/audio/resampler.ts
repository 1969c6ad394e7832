import { toSample } from './sample.ts';

/** Zero crossings of the sinc on each side: 16 give about 90 dB. */
const CROSSINGS = 16;

function divisorOf(a: number, b: number): number {
  return b === 0 ? a : divisorOf(b, a % b);
}

/**
 * Any whole rate to any other, by a polyphase windowed sinc. For files and odd rates; the media path itself needs none,
 * because Opus encodes and decodes at the rates in use.
 */
export class Resampler {
  readonly #up: number;
  readonly #down: number;
  readonly #taps: number;
  readonly #phases: Float64Array[];
  #line: Float64Array;
  /** Position of the next output sample, in 1/up of an input sample from the start of the line. */
  #position = 0;

  constructor(fromHz: number, toHz: number) {
    const divisor = divisorOf(fromHz, toHz);
    this.#up = toHz / divisor;
    this.#down = fromHz / divisor;
    // When the rate goes down the filter must cut below the new half rate, and is longer by as much.
    const cutoff = Math.min(1, toHz / fromHz) * 0.95;
    const half = Math.ceil(CROSSINGS / cutoff);
    this.#taps = 2 * half;
    this.#phases = Array.from({ length: this.#up }, (_, phase) => {
      const taps = Float64Array.from({ length: this.#taps }, (__, tap) => {
        const x = half - 1 - tap + phase / this.#up;
        const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / half);
        return window * (x === 0 ? cutoff : Math.sin(Math.PI * cutoff * x) / (Math.PI * x));
      });
      const sum = taps.reduce((total, tap) => total + tap, 0);
      return taps.map((tap) => tap / sum);
    });
    this.#line = new Float64Array(half - 1);
  }

  /** The output that this input makes possible; the tail comes with flush. */
  process(pcm: Int16Array): Int16Array {
    const line = new Float64Array(this.#line.length + pcm.length);
    line.set(this.#line);
    line.set(pcm, this.#line.length);
    const end = (line.length - this.#taps) * this.#up;
    const count = Math.max(0, Math.floor((end - this.#position) / this.#down) + 1);
    const out = new Int16Array(count);
    let position = this.#position;
    for (let i = 0; i < count; i += 1, position += this.#down) {
      const start = Math.floor(position / this.#up);
      const phase = this.#phases[position % this.#up] as Float64Array;
      let sum = 0;
      for (let tap = 0; tap < phase.length; tap += 1) sum += (phase[tap] as number) * (line[start + tap] as number);
      out[i] = toSample(sum);
    }
    const used = Math.min(line.length, Math.floor(position / this.#up));
    this.#line = line.slice(used);
    this.#position = position - used * this.#up;
    return out;
  }

  /** The end of the signal: what was still waiting for samples to come. */
  flush(): Int16Array {
    return this.process(new Int16Array(this.#taps / 2));
  }
}

/** A whole signal at once. */
export function resample(pcm: Int16Array, fromHz: number, toHz: number): Int16Array {
  if (fromHz === toHz) return pcm.slice();
  const resampler = new Resampler(fromHz, toHz);
  const body = resampler.process(pcm);
  const tail = resampler.flush();
  const out = new Int16Array(Math.round((pcm.length * toHz) / fromHz));
  out.set(body.subarray(0, out.length));
  out.set(tail.subarray(0, Math.max(0, out.length - body.length)), body.length);
  return out;
}

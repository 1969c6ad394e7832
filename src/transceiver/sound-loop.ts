import { MODEL_FRAME_SAMPLES, MODEL_RATE_HZ } from '../realtime/model.ts';

/** A sound that is heard over and over: music on hold, or ringing. Each listener has a place of its own in it. */
export class SoundLoop {
  readonly #samples: Int16Array;
  #at = 0;

  /** @param samples at 24 kHz, a frame at least; shared by all who hear it */
  constructor(samples: Int16Array) {
    this.#samples = samples;
  }

  /** The next 20 ms. */
  pull(out: Int16Array): void {
    const { length } = this.#samples;
    for (let done = 0; done < out.length; ) {
      const part = this.#samples.subarray(this.#at, this.#at + out.length - done);
      out.set(part, done);
      done += part.length;
      this.#at = (this.#at + part.length) % length;
    }
  }
}

/** ITU-T E.180, as in most of Europe: 425 Hz, a second in five. -20 dBov. */
const RINGING_HZ = 425;
const RINGING_AMPLITUDE = 3277;

/** What is heard of a phone that rings elsewhere. */
export function ringbackTone(): Int16Array {
  const samples = new Int16Array(5 * MODEL_RATE_HZ);
  const step = (2 * Math.PI * RINGING_HZ) / MODEL_RATE_HZ;
  for (let n = 0; n < MODEL_RATE_HZ; n++) {
    // 5 ms in and out, or it clicks.
    const edge = Math.min(1, n / (MODEL_RATE_HZ / 200), (MODEL_RATE_HZ - n) / (MODEL_RATE_HZ / 200));
    samples[n] = Math.round(RINGING_AMPLITUDE * edge * Math.sin(step * n));
  }
  return samples;
}

const STILL = new Int16Array(MODEL_FRAME_SAMPLES);

/** Nothing, over and over. */
export function stillness(): SoundLoop {
  return new SoundLoop(STILL);
}

/** Cuts audio of any length into frames of one length; what is left over waits for more. */
export class Framer {
  readonly #frame: Int16Array;
  readonly #onFrame: (frame: Int16Array) => void;
  #filled = 0;

  /** `onFrame` gets the same buffer every time: it is good until it returns. */
  constructor(frameSamples: number, onFrame: (frame: Int16Array) => void) {
    this.#frame = new Int16Array(frameSamples);
    this.#onFrame = onFrame;
  }

  /** Samples that wait for the rest of their frame. */
  get pending(): number {
    return this.#filled;
  }

  push(pcm: Int16Array): void {
    const frame = this.#frame;
    for (let taken = 0; taken < pcm.length; ) {
      const count = Math.min(frame.length - this.#filled, pcm.length - taken);
      frame.set(count === pcm.length ? pcm : pcm.subarray(taken, taken + count), this.#filled);
      taken += count;
      this.#filled += count;
      if (this.#filled < frame.length) return;
      this.#filled = 0;
      this.#onFrame(frame);
    }
  }

  /** Forgets the left-over: the audio to come does not continue it. */
  reset(): void {
    this.#filled = 0;
  }
}

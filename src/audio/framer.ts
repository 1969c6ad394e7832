/** Cuts audio that arrives in pieces of any length into frames of one length. */
export class Framer {
  readonly #frame: Int16Array;
  readonly #onFrame: (frame: Int16Array) => void;
  #filled = 0;

  /** @param onFrame gets the same buffer each time: what it keeps it must copy */
  constructor(frameSamples: number, onFrame: (frame: Int16Array) => void) {
    this.#frame = new Int16Array(frameSamples);
    this.#onFrame = onFrame;
  }

  /** Samples that wait for the rest of their frame. */
  get pending(): number {
    return this.#filled;
  }

  push(pcm: Int16Array): void {
    // The common case, 20 ms in and 20 ms out, passes without a copy.
    if (this.#filled === 0 && pcm.length === this.#frame.length) {
      this.#onFrame(pcm);
      return;
    }
    for (let at = 0; at < pcm.length; ) {
      const take = Math.min(pcm.length - at, this.#frame.length - this.#filled);
      this.#frame.set(pcm.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled === this.#frame.length) {
        this.#filled = 0;
        this.#onFrame(this.#frame);
      }
    }
  }

  /** Forgets an unfinished frame: what comes next does not follow on it. */
  reset(): void {
    this.#filled = 0;
  }
}

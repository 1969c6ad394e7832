/** 128 packets are 2.5 s of audio: more than any reordering that still plays. RFC 3711 §3.3.2 asks for 64 or more. */
const WINDOW = 128;

/** Which of the last 128 packet numbers were seen (RFC 3711 §3.3.2, RFC 6347 §4.1.2.6). Only authentic packets may be marked. */
export class ReplayWindow {
  #highest = -1;
  /** Bit n % 128 belongs to packet number n. */
  readonly #seen = new Int32Array(WINDOW / 32);

  /** The greatest number marked so far, or -1. */
  get highest(): number {
    return this.#highest;
  }

  /** True for a number that was marked before, or is too far back to know. */
  has(number: number): boolean {
    if (number > this.#highest) return false;
    if (number <= this.#highest - WINDOW || number < 0) return true;
    return (this.#seen[(number & (WINDOW - 1)) >>> 5]! & (1 << (number & 31))) !== 0;
  }

  mark(number: number): void {
    if (number > this.#highest) {
      if (number - this.#highest >= WINDOW) this.#seen.fill(0);
      else for (let skipped = this.#highest + 1; skipped < number; skipped++) this.#clear(skipped);
      this.#highest = number;
    }
    this.#seen[(number & (WINDOW - 1)) >>> 5]! |= 1 << (number & 31);
  }

  #clear(number: number): void {
    this.#seen[(number & (WINDOW - 1)) >>> 5]! &= ~(1 << (number & 31));
  }
}

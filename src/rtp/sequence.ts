/** How far `to` is ahead of `from` on the circle of 16-bit sequence numbers: -32768 to 32767. */
export function distance16(from: number, to: number): number {
  return ((to - from) << 16) >> 16;
}

/** The same for 32-bit timestamps: -2³¹ to 2³¹ - 1. */
export function distance32(from: number, to: number): number {
  return (to - from) | 0;
}

export function nextSequence(sequenceNumber: number): number {
  return (sequenceNumber + 1) & 0xffff;
}

/** Counts the wraps of 16-bit sequence numbers. Whatever the order of arrival, each number is read nearest to the highest so far. */
export class ExtendedSequence {
  #highest: number | undefined;

  /** The highest extended number so far; undefined before the first. */
  get highest(): number | undefined {
    return this.#highest;
  }

  /** The extended number of this one: never negative, because the first one starts one wrap up. */
  extend(sequenceNumber: number): number {
    if (this.#highest === undefined) {
      this.#highest = 0x10000 + sequenceNumber;
      return this.#highest;
    }
    const extended = this.#highest + distance16(this.#highest & 0xffff, sequenceNumber);
    if (extended > this.#highest) this.#highest = extended;
    return extended;
  }
}

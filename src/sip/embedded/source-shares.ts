import { sourceOf } from '../../base/addresses.ts';

/** 200 phones behind one office's address, and some. */
const MAX_PER_SOURCE = 256;

/** Connections by where they come from, an address or the /64 of IPv6, so that nobody alone can take all there may be. */
export class SourceShares {
  /** Bounded by the connections that are let in. */
  readonly #held = new Map<string, number>();

  /** Counts one more of this address until it is released; false when it has too many. */
  take(address: string): boolean {
    const source = sourceOf(address);
    const held = this.#held.get(source) ?? 0;
    if (held >= MAX_PER_SOURCE) return false;
    this.#held.set(source, held + 1);
    return true;
  }

  release(address: string): void {
    const source = sourceOf(address);
    const left = (this.#held.get(source) ?? 1) - 1;
    if (left > 0) this.#held.set(source, left);
    else this.#held.delete(source);
  }
}

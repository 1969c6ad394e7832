/** Counters this far behind the newest may still arrive: datagrams of one process to its many peers share one counter and may overtake. */
const WINDOW = 2048;
const WORDS = WINDOW / 32;

/** Which counters of one sender have been seen, after RFC 6479: a ring of bits that is cleared as it turns, never shifted. */
export class ReplayWindow {
  readonly #bits = new Uint32Array(WORDS);
  #newest = 0;

  /** True the first time a counter (a safe integer from 1) is shown; false for a repeated one and for one too old to tell. */
  accept(counter: number): boolean {
    if (counter < 1 || counter + WINDOW - 32 <= this.#newest) return false;
    const word = Math.floor(counter / 32);
    if (counter > this.#newest) {
      const newestWord = Math.floor(this.#newest / 32);
      if (word - newestWord >= WORDS) this.#bits.fill(0);
      else for (let each = newestWord + 1; each <= word; each += 1) this.#bits[each % WORDS] = 0;
      this.#newest = counter;
    }
    const index = word % WORDS;
    const bit = 1 << (counter % 32);
    const seen = this.#bits[index] ?? 0;
    if (seen & bit) return false;
    this.#bits[index] = seen | bit;
    return true;
  }
}

/** A second request may be made soon for so many of the first ones, and a few at once: a service that is slow under load is not asked twice for everything. */
const HEDGES_PER_REQUEST = 0.1;
const MOST_HEDGES = 4;

/** Sooner than this every request would be made twice by chance. */
const LEAST_HEDGE_MS = 250;

/** Before that many answers nothing is known. */
const LEAST_ANSWERS = 3;

/** How long a service takes for its first word, as RFC 6298 section 2 has it of round trips; shared by all calls. */
export class FirstByteEstimate {
  #answers = 0;
  #meanMs = 0;
  #deviationMs = 0;
  #hedges = MOST_HEDGES;

  add(ms: number): void {
    if (this.#answers === 0) {
      this.#meanMs = ms;
      this.#deviationMs = ms / 2;
    } else {
      this.#deviationMs += (Math.abs(ms - this.#meanMs) - this.#deviationMs) / 4;
      this.#meanMs += (ms - this.#meanMs) / 8;
    }
    this.#answers += 1;
  }

  /** After so long without an answer a request may be lost. @param unknownMs while little is known */
  hedgeAfterMs(unknownMs: number): number {
    if (this.#answers < LEAST_ANSWERS) return unknownMs;
    return Math.max(LEAST_HEDGE_MS, this.#meanMs + 4 * this.#deviationMs);
  }

  /** A request is made. */
  countRequest(): void {
    this.#hedges = Math.min(MOST_HEDGES, this.#hedges + HEDGES_PER_REQUEST);
  }

  /** May a request be made twice? Counts as if it were. */
  takeHedge(): boolean {
    if (this.#hedges < 1) return false;
    this.#hedges -= 1;
    return true;
  }
}

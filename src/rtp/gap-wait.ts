/** Of what the latest packet needed, and a little for the timers of a busy machine: the next one may be later still. */
const MARGIN = 1.25;
const SLACK_MS = 5;

/** A late packet is remembered for one to two of these, so that a calm network is waited for as before within 10 s. */
const MEMORY_MS = 4000;

/** How long a gap in a stream is waited for: as long as packets have lately needed to fill one, between two bounds. */
export class GapWait {
  readonly #leastMs: number;
  readonly #longestMs: number;
  #ms: number;
  /** The longest that anything needed, in this stretch of time and in the one before. */
  #neededMs = 0;
  #neededBeforeMs = 0;
  #stretchEndsAt = 0;

  constructor(leastMs: number, longestMs: number) {
    this.#leastMs = leastMs;
    this.#longestMs = Math.max(leastMs, longestMs);
    this.#ms = leastMs;
  }

  get ms(): number {
    return this.#ms;
  }

  /** Time goes on; call before each packet. */
  handleTime(now: number): void {
    if (now < this.#stretchEndsAt) return;
    this.#neededBeforeMs = this.#neededMs;
    this.#neededMs = 0;
    this.#stretchEndsAt = now + MEMORY_MS;
    this.#choose();
  }

  /** A packet came this long after what it held up, in time or not. What comes later than anything is waited for is lost either way. */
  note(ms: number): void {
    if (ms <= this.#neededMs || ms > this.#longestMs) return;
    this.#neededMs = ms;
    this.#choose();
  }

  #choose(): void {
    const needed = Math.max(this.#neededMs, this.#neededBeforeMs) * MARGIN + SLACK_MS;
    this.#ms = Math.max(this.#leastMs, Math.min(this.#longestMs, needed));
  }
}

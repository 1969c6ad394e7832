/** Without a hint: a path inside a country, plus the time both sides need to sign. */
const DEFAULT_MS = 200;
/** A path measured as loopback still needs the peer's milliseconds of cryptography on a busy machine. */
const MIN_MS = 100;
/** RFC 6347 §4.2.4.1 allows 60 s, for peers that may be in no hurry. A caller hears every second of it. */
const MAX_MS = 1000;
/** Two doublings: from then on it is loss, not a path that is slower than we think. A flight is 1.3 kB. */
const MAX_GROWTH = 4;

/** When to send a flight again: doubling from two round trips (RFC 6347 §4.2.4). */
export class Retransmission {
  readonly #firstMs: number;
  #delayMs: number;
  #at: number | undefined;

  constructor(pathRttMs: number | undefined) {
    this.#firstMs = pathRttMs === undefined ? DEFAULT_MS : Math.min(MAX_MS, Math.max(MIN_MS, 2 * pathRttMs));
    this.#delayMs = this.#firstMs;
  }

  /** The first wait of every flight, milliseconds. */
  get firstMs(): number {
    return this.#firstMs;
  }

  get dueAt(): number | undefined {
    return this.#at;
  }

  /** A new flight was sent. */
  begin(now: number): void {
    this.#delayMs = this.#firstMs;
    this.#at = now + this.#delayMs;
  }

  /** The flight was sent again because its time had come. */
  backOff(now: number): void {
    this.#delayMs = Math.min(MAX_MS, MAX_GROWTH * this.#firstMs, 2 * this.#delayMs);
    this.#at = now + this.#delayMs;
  }

  /** The flight was sent again because the peer repeated its own. */
  postpone(now: number): void {
    if (this.#at !== undefined) this.#at = now + this.#delayMs;
  }

  end(): void {
    this.#at = undefined;
  }
}

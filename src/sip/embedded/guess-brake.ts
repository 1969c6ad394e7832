/** Typos a person makes before it looks at what it types. */
const FREE_GUESSES = 5;

/** One more guess comes back after this: 8640 a day, against passwords of which there are billions. */
const REFILL_MS = 10_000;

/** Sources that have guessed lately, 100 bytes each. The one that guessed first makes room. */
const MAX_SOURCES = 10_000;

interface Guesser {
  left: number;
  at: number;
}

/** Slows down whoever shows wrong passwords: five in a row, then one in ten seconds, right or wrong. */
export class GuessBrake {
  /** A source has used up its free guesses. */
  onBraked: ((source: string) => void) | undefined;
  readonly #guessers = new Map<string, Guesser>();

  get size(): number {
    return this.#guessers.size;
  }

  /** Seconds until the source may try again; 0 when it may now. */
  waitS(source: string, now: number): number {
    const guesser = this.#guessers.get(source);
    if (!guesser) return 0;
    const left = leftOf(guesser, now);
    if (left >= FREE_GUESSES) this.#guessers.delete(source);
    return left >= 1 ? 0 : Math.ceil(((1 - left) * REFILL_MS) / 1000);
  }

  guessed(source: string, now: number): void {
    const guesser = this.#guessers.get(source);
    const left = (guesser ? leftOf(guesser, now) : FREE_GUESSES) - 1;
    this.#guessers.delete(source); // to the end: the map is ordered by the last guess
    if (this.#guessers.size >= MAX_SOURCES) {
      const oldest = this.#guessers.keys().next();
      if (!oldest.done) this.#guessers.delete(oldest.value);
    }
    this.#guessers.set(source, { left, at: now });
    if (left < 1) this.onBraked?.(source);
  }
}

function leftOf({ left, at }: Guesser, now: number): number {
  return Math.min(FREE_GUESSES, left + (now - at) / REFILL_MS);
}

// The pauses of a caller are log-normal. Before anything is known: 300 ms typical, as if 4 pauses with a spread of 0.5 had
// been heard, which makes the first wait 495 ms at eagerness 1. (Calibrated on a corpus of 801 pauses; docs/turns.md.)
const PRIOR_LOG_MS = Math.log(300);
const PRIOR_COUNT = 4;
const PRIOR_DEVIATION = 0.5;

/** The mean keeps moving with at least 1/13 of each new pause: callers change their pace in a call. */
const MEAN_MEMORY = 12;

/** The spread is that of about the last 16 pauses. */
const SPREAD_MEMORY = 16;

/** Nobody is cut off before 300 ms, nobody waits longer than 1600 ms: 3 % of pauses are longer. */
const MIN_WAIT_MS = 300;
const MAX_WAIT_MS = 1600;

/** What is known of one caller's pauses within a turn, and how long to wait for more because of it. */
export class PauseStatistics {
  #meanLogMs = PRIOR_LOG_MS;
  #squares = PRIOR_DEVIATION * PRIOR_DEVIATION * PRIOR_COUNT;
  #count = PRIOR_COUNT;

  /** A pause of this length was followed by more of the same turn. */
  learn(pauseMs: number): void {
    if (!(pauseMs > 0)) return;
    const weight = Math.min(this.#count, MEAN_MEMORY);
    const distance = Math.log(pauseMs) - this.#meanLogMs;
    this.#meanLogMs += distance / (weight + 1);
    this.#squares += (distance * distance * weight) / (weight + 1);
    this.#count += 1;
    if (this.#count > SPREAD_MEMORY) {
      this.#squares *= SPREAD_MEMORY / this.#count;
      this.#count = SPREAD_MEMORY;
    }
  }

  /** Milliseconds of silence after which a turn counts as over. `z`: 0.7 eager, 1 normal, 1.6 patient. */
  waitMs(z: number): number {
    const wait = Math.exp(this.#meanLogMs + z * Math.sqrt(this.#squares / this.#count));
    return Math.min(MAX_WAIT_MS, Math.max(MIN_WAIT_MS, wait));
  }
}

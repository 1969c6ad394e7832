/** Faults are told to the session up to so many in a window; the rest is only counted. */
const MOST_FAULTS = 10;

/** A server that sends so many errors, or so much that is not understood, in one window is broken. */
const MOST_ERRORS = 100;
const MOST_BAD_MESSAGES = 50;

/** A minute of audio in pieces of 20 ms with a word beside each, three times over. */
const MOST_MESSAGES = 20_000;

const WINDOW_MS = 10_000;

/** How much of a server's nonsense is borne, in windows of 10 s. */
export class MessageBudget {
  #windowEndsAt = Number.NEGATIVE_INFINITY;
  #messages = 0;
  #bad = 0;
  #errors = 0;
  #faults = 0;

  /** A message came; false when there were too many. */
  takeMessage(now: number): boolean {
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + WINDOW_MS;
      this.#messages = 0;
      this.#bad = 0;
      this.#errors = 0;
      this.#faults = 0;
    }
    this.#messages += 1;
    return this.#messages <= MOST_MESSAGES;
  }

  /** It was not understood; false when there were too many of those. */
  takeBad(): boolean {
    this.#bad += 1;
    return this.#bad <= MOST_BAD_MESSAGES;
  }

  /** It was an error; false when there were too many. */
  takeError(): boolean {
    this.#errors += 1;
    return this.#errors <= MOST_ERRORS;
  }

  /** May the session be told of another fault? */
  takeFault(): boolean {
    this.#faults += 1;
    return this.#faults <= MOST_FAULTS;
  }
}

import type { Clock } from '../../base/clock.ts';

/** So often the same thing is told. */
const AGAIN_MS = 60_000;

/** Different things told in a minute; more than that is a flood, and the counters have it. */
const MAX_TOLD = 64;

/** Whether a thing is worth another line of the log: once a minute, whatever peers do. */
export class Occasion {
  readonly #clock: Clock;
  readonly #told = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  first(what: string): boolean {
    const now = this.#clock.now();
    for (const [each, at] of this.#told) if (now - at >= AGAIN_MS) this.#told.delete(each);
    if (this.#told.has(what) || this.#told.size >= MAX_TOLD) return false;
    this.#told.set(what, now);
    return true;
  }
}

// Base values of RFC 3261 §17.1.1.1 in milliseconds; the timers A…M are named after its table 4 and RFC 6026.
/** Estimate of the round trip. */
export const T1 = 500;
/** Longest wait between repeats of a non-INVITE request or of a final response to INVITE. */
export const T2 = 4000;
/** Longest time a message stays in the network. */
export const T4 = 5000;
/** Timers B, F, H, J, L and M: how long a transaction waits for its other half. */
export const TRANSACTION_LIFETIME = 64 * T1;

/** The running timers of one machine, by name. */
export class TimerSet<Name extends string> {
  readonly #due = new Map<Name, number>();

  start(name: Name, at: number): void {
    this.#due.set(name, at);
  }

  stop(name: Name): void {
    this.#due.delete(name);
  }

  clear(): void {
    this.#due.clear();
  }

  next(): number | undefined {
    let next: number | undefined;
    for (const at of this.#due.values()) if (next === undefined || at < next) next = at;
    return next;
  }

  /** Takes out the earliest timer that is due at `now`. */
  takeDue(now: number): Name | undefined {
    let due: Name | undefined;
    let dueAt = now;
    for (const [name, at] of this.#due) {
      if (at > now || (due !== undefined && at >= dueAt)) continue;
      due = name;
      dueAt = at;
    }
    if (due !== undefined) this.#due.delete(due);
    return due;
  }
}

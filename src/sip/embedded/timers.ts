// Base values of RFC 3261 §17.1.1.1 in milliseconds; the timers A…M are named after its table 4 and RFC 6026.
/** Estimate of the round trip. */
export const T1 = 500;
/** Longest wait between repeats of a non-INVITE request or of a final response to INVITE. */
export const T2 = 4000;
/** Longest time a message stays in the network. */
export const T4 = 5000;
/** Timers B, F, H, J, L and M: how long a transaction waits for its other half. */
export const TRANSACTION_LIFETIME = 64 * T1;

/** The running timers of one machine, by name. Two short arrays: a machine has few, and there are many machines. */
export class TimerSet<Name extends string> {
  readonly #names: Name[] = [];
  readonly #due: number[] = [];

  /** Starts a timer, or moves a running one. */
  start(name: Name, at: number): void {
    this.stop(name);
    this.#names.push(name);
    this.#due.push(at);
  }

  stop(name: Name): void {
    const index = this.#names.indexOf(name);
    if (index !== -1) this.#remove(index);
  }

  clear(): void {
    this.#names.length = 0;
    this.#due.length = 0;
  }

  next(): number | undefined {
    return this.#due.length === 0 ? undefined : Math.min(...this.#due);
  }

  /** Takes out the earliest timer that is due at `now`. */
  takeDue(now: number): Name | undefined {
    const at = this.next();
    if (at === undefined || at > now) return undefined;
    const index = this.#due.indexOf(at);
    const name = this.#names[index];
    this.#remove(index);
    return name;
  }

  #remove(index: number): void {
    this.#names.splice(index, 1);
    this.#due.splice(index, 1);
  }
}

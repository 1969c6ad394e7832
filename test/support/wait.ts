/** A wait that ran out: says what was waited for and for how long. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** Between two looks at a predicate, in milliseconds: fine enough for 20 ms audio, coarse enough to cost nothing. */
const LOOK_EVERY_MS = 4;

/** Settles as `promise` does, or throws a DeadlineError naming `what`. */
export function within<T>(promise: PromiseLike<T>, deadlineMs: number, what: string): Promise<T> {
  const error = new DeadlineError(`waited ${deadlineMs} ms for ${what}`);
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(error), deadlineMs);
    promise.then(resolve, reject).then(() => clearTimeout(timer));
  });
}

/**
 * Waits for something to come true: a promise to settle, or a probe to return a value that is not false, null or undefined.
 * Prefer a promise or an EventLog; a probe is for what tells nobody when it changes (a metric, a file).
 */
export async function eventually<T>(
  subject: PromiseLike<T> | (() => T | Promise<T>),
  deadlineMs: number,
  what: string,
): Promise<Exclude<T, false | null | undefined>> {
  type Found = Exclude<T, false | null | undefined>;
  if (typeof subject !== 'function') return (await within(subject, deadlineMs, what)) as Found;
  const giveUpAt = performance.now() + deadlineMs;
  for (;;) {
    const left = Math.max(1, giveUpAt - performance.now());
    const found = await within(Promise.resolve(subject()), left, what);
    if (found !== false && found !== null && found !== undefined) return found as Found;
    if (performance.now() >= giveUpAt) throw new DeadlineError(`waited ${deadlineMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Lets `ms` of real time pass. Only for what must be seen not to happen, or for media that lasts that long. */
export function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

interface Waiter<T> {
  readonly wants: (entry: T) => boolean;
  readonly done: (entry: T) => void;
}

/** Everything that happened, in order, and a way to wait for what has not happened yet without polling. */
export class EventLog<T> {
  readonly #entries: T[] = [];
  readonly #waiters = new Set<Waiter<T>>();
  readonly #followers: ((entry: T) => void)[] = [];

  get all(): readonly T[] {
    return this.#entries;
  }

  get count(): number {
    return this.#entries.length;
  }

  get last(): T | undefined {
    return this.#entries.at(-1);
  }

  /** Calls back for every entry, those already there first. */
  follow(callback: (entry: T) => void): void {
    for (const entry of this.#entries) callback(entry);
    this.#followers.push(callback);
  }

  push(entry: T): void {
    this.#entries.push(entry);
    for (const follower of this.#followers) follower(entry);
    for (const waiter of this.#waiters) {
      if (!waiter.wants(entry)) continue;
      this.#waiters.delete(waiter);
      waiter.done(entry);
    }
  }

  /** The first entry that matches, from number `from` on, already there or still to come. */
  find(wants: (entry: T) => boolean, deadlineMs: number, what: string, from = 0): Promise<T> {
    const entries = this.#entries;
    for (let i = from; i < entries.length; i++) {
      const entry = entries[i] as T;
      if (wants(entry)) return Promise.resolve(entry);
    }
    return this.#wait(wants, deadlineMs, what);
  }

  /** The first matching entry that comes after this call. */
  next(wants: (entry: T) => boolean, deadlineMs: number, what: string): Promise<T> {
    return this.#wait(wants, deadlineMs, what);
  }

  /** Waits until there are `count` entries. */
  async reach(count: number, deadlineMs: number, what: string): Promise<void> {
    if (this.#entries.length >= count) return;
    await this.#wait(() => this.#entries.length >= count, deadlineMs, `${what} (${count} of them)`);
  }

  clear(): void {
    this.#entries.length = 0;
  }

  #wait(wants: (entry: T) => boolean, deadlineMs: number, what: string): Promise<T> {
    const error = new DeadlineError(`waited ${deadlineMs} ms for ${what}`);
    return new Promise((resolve, reject) => {
      const waiter: Waiter<T> = {
        wants,
        done: (entry) => {
          clearTimeout(timer);
          resolve(entry);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(waiter);
        reject(error);
      }, deadlineMs);
      this.#waiters.add(waiter);
    });
  }
}

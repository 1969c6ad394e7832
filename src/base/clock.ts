/** A pending call that can be taken back. Cancelling twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void;
}

/** The only source of time. Machines get one injected, so that tests can move it by hand. */
export interface Clock {
  /** Monotonic milliseconds, with fractions. Meaningless outside this process. */
  now(): number;
  /** Unix milliseconds: for logs, CDRs and RTCP sender reports only. */
  wallclock(): number;
  /** Calls back once, `delayMs` from now. Does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallclock: () => Date.now(),
  setTimer(delayMs, callback) {
    const handle = setTimeout(callback, Math.max(0, delayMs));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Runs after the I/O callbacks of this turn of the event loop: where packets of one turn are put together. */
export function soon(callback: () => void): void {
  setImmediate(callback);
}

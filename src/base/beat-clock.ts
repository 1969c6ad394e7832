import type { Clock, Timer } from './clock.ts';

export interface BeatClockOptions {
  /** Timers due within the same beat run together, at its end: as late as this at the most. */
  readonly beatMs: number;
  /** Shorter delays are kept exact. */
  readonly fromMs: number;
}

/**
 * A clock whose long timers wake the process once a beat and not once each. For those that only clean up: a call leaves two
 * that fire half a minute later, and at 200 calls a second each of them woke a process that had nothing else to do.
 */
export class BeatClock implements Clock {
  readonly #clock: Clock;
  readonly #options: BeatClockOptions;
  readonly #beats = new Map<number, Beat>();

  constructor(clock: Clock, options: BeatClockOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  now(): number {
    return this.#clock.now();
  }

  wallclock(): number {
    return this.#clock.wallclock();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const { beatMs, fromMs } = this.#options;
    if (delayMs < fromMs) return this.#clock.setTimer(delayMs, callback);
    const now = this.#clock.now();
    const number = Math.ceil((now + delayMs) / beatMs);
    let beat = this.#beats.get(number);
    if (!beat) {
      beat = new Beat(this.#clock.setTimer(number * beatMs - now, () => this.#strike(number)));
      this.#beats.set(number, beat);
    }
    const waiting = { callback };
    const { entries, timer } = beat;
    entries.add(waiting);
    return {
      cancel: () => {
        if (!entries.delete(waiting) || entries.size > 0 || !this.#beats.delete(number)) return;
        timer.cancel();
      },
    };
  }

  #strike(number: number): void {
    const { entries } = this.#beats.get(number) ?? {};
    this.#beats.delete(number);
    let failure: { readonly error: unknown } | undefined;
    // One that throws must not take the others with it; a cancelled one is deleted while we go.
    for (const waiting of entries ?? []) {
      entries?.delete(waiting);
      try {
        waiting.callback();
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure) throw failure.error;
  }
}

class Beat {
  readonly entries = new Set<{ readonly callback: () => void }>();
  readonly timer: Timer;

  constructor(timer: Timer) {
    this.timer = timer;
  }
}

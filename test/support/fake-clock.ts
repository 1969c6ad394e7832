import type { Clock, Timer } from '../../src/base/clock.ts';

interface Pending {
  at: number;
  order: number;
  callback: () => void;
}

/** Time that moves only when told to. Timers run in order of their time, then of their making. */
export class FakeClock implements Clock {
  #now: number;
  #wallclock: number;
  #order = 0;
  #pending: Pending[] = [];

  constructor(now = 0, wallclock = 1_700_000_000_000) {
    this.#now = now;
    this.#wallclock = wallclock;
  }

  now(): number {
    return this.#now;
  }

  wallclock(): number {
    return this.#wallclock;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const pending = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback };
    this.#pending.push(pending);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((each) => each !== pending);
      },
    };
  }

  /** Timers that run. */
  get timers(): number {
    return this.#pending.length;
  }

  /** When the next timer is due, or undefined. */
  nextTimer(): number | undefined {
    return this.#next()?.at;
  }

  advance(ms: number): void {
    const until = this.#now + ms;
    for (let next = this.#next(); next && next.at <= until; next = this.#next()) {
      this.#moveTo(next.at);
      this.#pending = this.#pending.filter((each) => each !== next);
      next.callback();
    }
    this.#moveTo(until);
  }

  /** As `advance`, on a machine that stood still meanwhile: what was due on the way runs at the end, late. */
  oversleep(ms: number): void {
    this.#moveTo(this.#now + ms);
    const due = this.#pending.filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at || a.order - b.order);
    this.#pending = this.#pending.filter(({ at }) => at > this.#now);
    for (const { callback } of due) callback();
  }

  #next(): Pending | undefined {
    let best: Pending | undefined;
    for (const each of this.#pending) {
      if (!best || each.at < best.at || (each.at === best.at && each.order < best.order)) best = each;
    }
    return best;
  }

  #moveTo(at: number): void {
    this.#wallclock += at - this.#now;
    this.#now = at;
  }
}

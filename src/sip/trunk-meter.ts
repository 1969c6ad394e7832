import type { TrunkCaps, TrunkRefusal } from './trunk.ts';

const DAY_MS = 86_400_000;

/** How many calls were counted on one day. */
export interface DayCount {
  /** Days since 1970, UTC. */
  readonly day: number;
  readonly calls: number;
}

/** Of a wall clock in Unix milliseconds. */
export function dayOf(wallclock: number): number {
  return Math.floor(wallclock / DAY_MS);
}

/** A call that counts until it is released. */
export interface CallLease {
  /** The call is over. Repeated calls do nothing. */
  release(): void;
}

/** Counts the calls of one trunk in one direction. What is refused costs nothing but the look. */
export class TrunkMeter {
  #caps: TrunkCaps;
  #concurrent = 0;
  #tokens: number;
  #filledAt = 0;
  #day = -1;
  #today = 0;

  /** @param counted what an earlier process has counted */
  constructor(caps: TrunkCaps, counted?: DayCount) {
    this.#caps = caps;
    this.#tokens = caps.perSecond;
    if (!counted) return;
    this.#day = counted.day;
    this.#today = counted.calls;
  }

  /** Others from now on; what has been counted stays. */
  setCaps(caps: TrunkCaps): void {
    this.#caps = caps;
  }

  get counted(): DayCount {
    return { day: this.#day, calls: this.#today };
  }

  get concurrent(): number {
    return this.#concurrent;
  }

  /** Calls counted since midnight UTC. */
  get today(): number {
    return this.#today;
  }

  /**
   * Takes a call, or says which cap is reached.
   * @param wallclock Unix milliseconds
   */
  take(now: number, wallclock: number): CallLease | TrunkRefusal {
    const { concurrent, perSecond, perDay } = this.#caps;
    this.#tokens = Math.min(perSecond, this.#tokens + ((now - this.#filledAt) / 1000) * perSecond);
    this.#filledAt = now;
    const day = dayOf(wallclock);
    // A clock that is set back must not give a second day's worth.
    if (day > this.#day) {
      this.#day = day;
      this.#today = 0;
    }
    if (this.#today >= perDay) return 'cap_per_day';
    if (this.#concurrent >= concurrent) return 'cap_concurrent';
    if (this.#tokens < 1) return 'cap_per_second';
    this.#tokens -= 1;
    this.#today += 1;
    this.#concurrent += 1;
    let held = true;
    return {
      release: () => {
        if (held) this.#concurrent -= 1;
        held = false;
      },
    };
  }
}

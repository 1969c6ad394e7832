import type { Clock } from '../base/clock.ts';
import { FRAME_MS, type Tick, type Ticker } from '../base/ticker.ts';

/** A phone's smallest jitter buffer holds one frame: what is later than that is heard as a gap. */
const LATE_MS = FRAME_MS;

/** With a quarter of all frames late there is no time left. Neighbours on the machine make a few in a hundred late, and a rush of callers some. */
const TOO_MANY = 0.25;

/** Not before there are as few as this again, so that the gate does not swing. */
const FEW = 0.05;

/** Judged by the last one to two of these: long enough to forgive a stall, short enough to stop a rush of callers. */
const STRETCH_MS = 2000;

/** What one core carries (docs/benchmarks.md). Fewer do not make a process late; what does then, neighbours mostly, is not cured by refusing callers. */
const LEAST_LEGS = 100;

/** How late audio leaves for the legs of this process, and whether more of them could be served. Keeps no timer: beats bring the time. */
export class SendLateness {
  readonly #clock: Clock;
  #legs = 0;
  #frames = 0;
  #late = 0;
  #framesBefore = 0;
  #lateBefore = 0;
  #stretchEndsAt = 0;
  #overloaded = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** New sessions would cost the ones there are their sound. */
  get overloaded(): boolean {
    this.#advance(this.#clock.now());
    return this.#overloaded && this.#legs >= LEAST_LEGS;
  }

  /** The same beat; how long after it each leg had sent its frame is noted. */
  watch(ticker: Ticker): Ticker {
    return {
      add: (tick) => this.#add(ticker, tick),
      takeWorstLatenessMs: () => ticker.takeWorstLatenessMs(),
      stop: () => ticker.stop(),
    };
  }

  #add(ticker: Ticker, tick: Tick): () => void {
    let lastDueAt: number | undefined;
    const leave = ticker.add((dueAt) => {
      tick(dueAt);
      // Beats that were left out after a stall are frames that nobody got.
      const missed = lastDueAt === undefined ? 0 : Math.round((dueAt - lastDueAt) / FRAME_MS) - 1;
      lastDueAt = dueAt;
      this.#note(dueAt, missed);
    });
    this.#legs += 1;
    let gone = false;
    return () => {
      if (!gone) this.#legs -= 1;
      gone = true;
      leave();
    };
  }

  #note(dueAt: number, missed: number): void {
    const now = this.#clock.now();
    this.#advance(now);
    const late = missed + (now - dueAt > LATE_MS ? 1 : 0);
    this.#frames += 1 + missed;
    this.#late += late;
    if (late > 0) this.#judge();
  }

  #advance(now: number): void {
    if (now < this.#stretchEndsAt) return;
    // After a pause nothing that was noted before it counts.
    const goesOn = now < this.#stretchEndsAt + STRETCH_MS;
    this.#framesBefore = goesOn ? this.#frames : 0;
    this.#lateBefore = goesOn ? this.#late : 0;
    this.#frames = 0;
    this.#late = 0;
    this.#stretchEndsAt = now + STRETCH_MS;
    this.#judge();
  }

  #judge(): void {
    const frames = this.#frames + this.#framesBefore;
    const late = this.#late + this.#lateBefore;
    if (late <= frames * FEW) this.#overloaded = false;
    // At least as much as a stretch has, or a stall in its first moments would be all of it.
    else if (late > TOO_MANY * Math.max(frames, (this.#legs * STRETCH_MS) / FRAME_MS)) this.#overloaded = true;
  }
}

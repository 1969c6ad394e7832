import type { Clock } from '../base/clock.ts';
import type { Ticker } from '../base/ticker.ts';

/** Half a frame: a phone's smallest jitter buffer still hides it. */
const LATE_MS = 10;

/** With a tenth of all frames late the process has no time left, whatever takes it: what is late by chance are a few in a thousand. */
const TOO_MANY = 0.1;

/** Not before there are as few as this again, so that the gate does not swing. */
const FEW = 0.02;

/** Judged by the last one to two of these: long enough to forgive a stall, short enough to stop a rush of callers. */
const STRETCH_MS = 1000;

/** Of 20 legs in a second. Fewer do not make a machine late; what does then is not cured by refusing callers. */
const LEAST_FRAMES = 1000;

/** How late audio leaves for the legs of this process, and whether more of them could be served. Keeps no timer: beats bring the time. */
export class SendLateness {
  readonly #clock: Clock;
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
    return this.#overloaded;
  }

  /** The same beat; how long after it each leg had sent its frame is noted. */
  watch(ticker: Ticker): Ticker {
    return {
      add: (tick) =>
        ticker.add((dueAt) => {
          tick(dueAt);
          const now = this.#clock.now();
          this.#note(now - dueAt, now);
        }),
      takeWorstLatenessMs: () => ticker.takeWorstLatenessMs(),
      stop: () => ticker.stop(),
    };
  }

  #note(latenessMs: number, now: number): void {
    if (now >= this.#stretchEndsAt) this.#advance(now);
    this.#frames += 1;
    if (latenessMs <= LATE_MS) return;
    this.#late += 1;
    this.#judge();
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
    if (late > frames * TOO_MANY && frames >= LEAST_FRAMES) this.#overloaded = true;
    else if (late <= frames * FEW || frames < LEAST_FRAMES) this.#overloaded = false;
  }
}

import type { Machine } from '../base/driver.ts';
import { TimerSet } from './embedded/timers.ts';

export type TrunkWatchOutput =
  /** Ask whether it is there. */
  | { readonly type: 'probe' }
  /** The question under way is answered too late: forget it. */
  | { readonly type: 'forget' }
  | { readonly type: 'up' }
  | { readonly type: 'down' };

/** By UDP the question goes out four times within it, so that two losses in a row look like nothing. */
const PATIENCE_MS = 4000;

/** After a question that nobody answered. */
const AGAIN_MS = 1000;

/** So many questions without an answer make it down. */
const MISSES = 2;

/** Who is down is asked at least this often, so that its return is seen soon. */
const DOWN_MS = 10_000;

/** Whether a trunk is there, by what comes of asking it. It counts as up until it is known not to be. */
export class TrunkWatch implements Machine<TrunkWatchOutput> {
  readonly #intervalMs: number;
  readonly #timers = new TimerSet<'probe' | 'patience'>();
  readonly #outputs: TrunkWatchOutput[] = [];
  #misses = 0;
  #up = true;

  constructor(options: { readonly intervalMs: number }) {
    this.#intervalMs = options.intervalMs;
  }

  get up(): boolean {
    return this.#up;
  }

  start(now: number): void {
    this.#timers.start('probe', now);
  }

  /** It has answered. @param takesCalls false for 503 */
  heard(now: number, takesCalls: boolean): void {
    this.#timers.clear();
    this.#misses = takesCalls ? 0 : MISSES;
    this.#settle(now);
  }

  /** The question could not be delivered. */
  failed(now: number): void {
    this.#timers.clear();
    this.#misses += 1;
    this.#settle(now);
  }

  stop(): void {
    this.#timers.clear();
  }

  pollOutput(): TrunkWatchOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) {
      if (timer === 'probe') {
        this.#timers.start('patience', now + PATIENCE_MS);
        this.#outputs.push({ type: 'probe' });
      } else {
        this.#outputs.push({ type: 'forget' });
        this.failed(now);
      }
    }
  }

  #settle(now: number): void {
    const up = this.#misses < MISSES;
    if (up !== this.#up) this.#outputs.push({ type: up ? 'up' : 'down' });
    this.#up = up;
    const wait = up ? this.#intervalMs : Math.min(this.#intervalMs, DOWN_MS);
    this.#timers.start('probe', now + (up && this.#misses > 0 ? AGAIN_MS : wait));
  }
}

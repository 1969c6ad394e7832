import type { Machine } from '../../base/driver.ts';
import { TimerSet } from './timers.ts';

/** Proxies give a call up after three minutes without a provisional response, so one is due every minute (RFC 3261 §13.3.1.1). */
const REFRESH_MS = 60_000;

/** Nobody lets a phone ring longer; it bounds what an owner that never decides can hold. */
const LONGEST_WAIT_MS = 300_000;

export type PendingOutput =
  /** Send the latest provisional response again. */
  | { readonly type: 'refresh' }
  /** Nobody answered in the time the caller (Expires, §13.3.1) or we allow. */
  | { readonly type: 'expired' };

/** An INVITE that waits for its answer. */
export class PendingMachine implements Machine<PendingOutput> {
  readonly #timers = new TimerSet<'refresh' | 'expire'>();
  readonly #outputs: PendingOutput[] = [];

  /** @param expiresS value of the Expires header, if any */
  start(now: number, expiresS: number | undefined): void {
    const waitMs = expiresS === undefined ? LONGEST_WAIT_MS : Math.min(expiresS * 1000, LONGEST_WAIT_MS);
    this.#timers.start('expire', now + waitMs);
    this.#timers.start('refresh', now + REFRESH_MS);
  }

  /** A final response was sent. */
  finish(): void {
    this.#timers.clear();
  }

  pollOutput(): PendingOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) {
      if (timer === 'expire') {
        this.#timers.clear();
        this.#outputs.push({ type: 'expired' });
      } else {
        this.#timers.start('refresh', now + REFRESH_MS);
        this.#outputs.push({ type: 'refresh' });
      }
    }
  }
}

import type { Machine } from '../../base/driver.ts';
import type { SessionInterval } from './session-expires.ts';
import { TimerSet } from './timers.ts';

export type SessionTimerOutput =
  /** Our refresh is due. */
  | { readonly type: 'refresh' }
  /** Nobody refreshed in time: the session is to be ended by BYE. */
  | { readonly type: 'expired' };

/** The least time between two tries of a refresh that was refused: a refusal must not make a storm. */
const RETRY_MS = 10_000;

/** The life of one session between refreshes (RFC 4028 §10): refresh at half, BYE a third or 32 s before the end. */
export class SessionTimer implements Machine<SessionTimerOutput> {
  readonly #timers = new TimerSet<'refresh' | 'expire'>();
  readonly #outputs: SessionTimerOutput[] = [];
  #session: SessionInterval | undefined;
  #expiresAt = 0;

  /** What runs now. */
  get session(): SessionInterval | undefined {
    return this.#session;
  }

  /** A 2xx has agreed on this, or on no timer at all. */
  agree(now: number, session: SessionInterval | undefined): void {
    this.#timers.clear();
    this.#session = session;
    if (!session) return;
    const { intervalS, refresher } = session;
    this.#expiresAt = now + 1000 * (intervalS - Math.min(32, intervalS / 3));
    this.#timers.start('expire', this.#expiresAt);
    if (refresher === 'us') this.#timers.start('refresh', now + 500 * intervalS);
  }

  /** A refresh of ours was refused: try again at half of what is left, as long as there is time. */
  refused(now: number): void {
    const wait = (this.#expiresAt - now) / 2;
    if (this.#session?.refresher === 'us' && wait >= RETRY_MS) this.#timers.start('refresh', now + wait);
  }

  /** Our refresh is due now. */
  refreshNow(now: number): void {
    if (this.#session) this.#timers.start('refresh', now);
  }

  stop(): void {
    this.#timers.clear();
    this.#session = undefined;
  }

  pollOutput(): SessionTimerOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) {
      this.#outputs.push({ type: timer === 'expire' ? 'expired' : 'refresh' });
      if (timer === 'expire') this.stop();
    }
  }
}

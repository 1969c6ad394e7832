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

/** A pause after a refresh that came to nobody: a connection that is refused fails at once, and its peer may be starting anew. */
const LOST_PAUSE_MS = 5000;

/**
 * No try begins later than this after the first has failed: over UDP, where failing takes 64·T1, that makes three. A call whose peer is gone is to
 * end sooner than a session of half an hour does.
 */
const LOST_LIMIT_MS = 64_000;

/**
 * The life of one session between refreshes (RFC 4028 §10): refresh at half; BYE at the end by the side that refreshes, and a third or 32 s before it by
 * the side that waits for it. A refresh that nobody answers is tried again: RFC 3261 §12.2.1.2 would have one lost transaction end the call, which
 * at the shortest interval is an outage of 15 s.
 */
export class SessionTimer implements Machine<SessionTimerOutput> {
  readonly #timers = new TimerSet<'refresh' | 'expire'>();
  readonly #outputs: SessionTimerOutput[] = [];
  #session: SessionInterval | undefined;
  #expiresAt = 0;
  /** When the first of the refreshes in a row failed that nobody answered. */
  #lostSince: number | undefined;

  /** What runs now. */
  get session(): SessionInterval | undefined {
    return this.#session;
  }

  /** A 2xx has agreed on this, or on no timer at all. */
  agree(now: number, session: SessionInterval | undefined): void {
    this.#timers.clear();
    this.#session = session;
    this.#lostSince = undefined;
    if (!session) return;
    const { intervalS, refresher } = session;
    this.#expiresAt = now + 1000 * (refresher === 'us' ? intervalS : intervalS - Math.min(32, intervalS / 3));
    this.#timers.start('expire', this.#expiresAt);
    if (refresher === 'us') this.#timers.start('refresh', now + 500 * intervalS);
  }

  /** A refresh of ours was refused: try again at half of what is left, as long as there is time. */
  refused(now: number): void {
    const wait = (this.#expiresAt - now) / 2;
    if (this.#session?.refresher === 'us' && wait >= RETRY_MS) this.#timers.start('refresh', now + wait);
  }

  /** Nobody answered our refresh, or a 408 said so. @returns whether it is tried again */
  lost(now: number): boolean {
    this.#lostSince ??= now;
    const again = now + LOST_PAUSE_MS;
    if (this.#session?.refresher !== 'us' || again - this.#lostSince > LOST_LIMIT_MS) return false;
    // Without time for another the end of the session comes by itself.
    if (again < this.#expiresAt) this.#timers.start('refresh', again);
    return true;
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

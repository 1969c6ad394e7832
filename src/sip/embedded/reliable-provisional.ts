import type { Machine } from '../../base/driver.ts';
import { T1, TimerSet, TRANSACTION_LIFETIME } from './timers.ts';

export type ReliableOutput =
  | { readonly type: 'send'; readonly status: number; readonly message: Uint8Array }
  /** The one with this number has been acknowledged by PRACK. */
  | { readonly type: 'acknowledged'; readonly holdsSdp: boolean }
  /** No PRACK came for 64·T1: the INVITE is to be refused with a 5xx (RFC 3262 §3). */
  | { readonly type: 'failed' };

interface Provisional {
  readonly status: number;
  readonly holdsSdp: boolean;
  /** Writes the response with its RSeq. */
  readonly write: (rseq: number) => Uint8Array;
}

/** RSeq starts anywhere in the lower half of its range, so that it never wraps in a call (RFC 3262 §3). */
const MAX_FIRST_RSEQ = 2 ** 31 - 1;

/** Ringing and early media are two; a call that rings for five minutes repeats one each minute. */
const MAX_WAITING = 4;

/** Provisional responses that are repeated until their PRACK, one after the other (RFC 3262 §3). */
export class ReliableProvisional implements Machine<ReliableOutput> {
  readonly #timers = new TimerSet<'repeat' | 'fail'>();
  readonly #outputs: ReliableOutput[] = [];
  readonly #waiting: Provisional[] = [];
  #rseq: number;
  #current: { readonly provisional: Provisional; readonly message: Uint8Array } | undefined;
  #interval = T1;

  /** @param random from 0 up to 1 */
  constructor(options: { readonly random: () => number }) {
    this.#rseq = Math.floor(options.random() * MAX_FIRST_RSEQ);
  }

  /** Whether a session description is under way in one of them: no 2xx may be sent until its PRACK is in. */
  get holdsSdp(): boolean {
    return this.#current?.provisional.holdsSdp === true || this.#waiting.some(({ holdsSdp }) => holdsSdp);
  }

  /** Sends one as soon as the one before is acknowledged. */
  send(now: number, provisional: Provisional): void {
    if (!this.#current) this.#start(now, provisional);
    else if (this.#waiting.length < MAX_WAITING) this.#waiting.push(provisional);
  }

  /** Whether the response with this number is under way. */
  awaits(rseq: number): boolean {
    return this.#current !== undefined && rseq === this.#rseq;
  }

  /** @returns whether it is for the one under way */
  handlePrack(now: number, rseq: number): boolean {
    const { holdsSdp } = this.#current?.provisional ?? {};
    if (holdsSdp === undefined || rseq !== this.#rseq) return false;
    this.#timers.clear();
    this.#current = undefined;
    const next = this.#waiting.shift();
    if (next) this.#start(now, next);
    this.#outputs.push({ type: 'acknowledged', holdsSdp });
    return true;
  }

  /** A final response is out: nothing is repeated any more, but a late PRACK is still known. */
  finish(): void {
    this.#timers.clear();
    this.#waiting.length = 0;
  }

  pollOutput(): ReliableOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) {
      if (timer === 'fail') {
        this.finish();
        this.#outputs.push({ type: 'failed' });
      } else if (this.#current) {
        this.#outputs.push({ type: 'send', status: this.#current.provisional.status, message: this.#current.message });
        this.#interval *= 2; // without a cap
        this.#timers.start('repeat', now + this.#interval);
      }
    }
  }

  #start(now: number, provisional: Provisional): void {
    this.#rseq += 1;
    const message = provisional.write(this.#rseq);
    this.#current = { provisional, message };
    this.#interval = T1;
    this.#timers.start('repeat', now + T1);
    this.#timers.start('fail', now + TRANSACTION_LIFETIME);
    this.#outputs.push({ type: 'send', status: provisional.status, message });
  }
}

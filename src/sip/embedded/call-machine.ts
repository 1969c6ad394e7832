import type { Machine } from '../../base/driver.ts';
import type { CallEnd } from '../engine.ts';
import { T1, T2, TimerSet, TRANSACTION_LIFETIME } from './timers.ts';
import type { TransitionTable } from './transition.ts';

export type CallState = 'unacknowledged' | 'hangup_waits' | 'confirmed' | 'ending' | 'ended';
export type CallEvent =
  /** The ACK of our latest 2xx. */
  | 'ack'
  | 'hangup'
  /** The peer's BYE. */
  | 'bye'
  /** Our 2xx was repeated for 64·T1 and never acknowledged. */
  | 'no_ack'
  /** The ACK brought no usable answer to the offer in our 2xx. */
  | 'no_answer'
  /** The 2xx never went out: it waited for a PRACK that did not come. */
  | 'unsent'
  /** Nobody refreshed the session in time (RFC 4028 §10). */
  | 'expired'
  /** Our BYE was answered, refused or timed out. */
  | 'bye_done'
  /** The peer answered another request of ours with 481 or 408 (RFC 3261 §12.2.1.2). */
  | 'lost';
type Action = 'acknowledge' | 'send_bye' | 'end_bye' | 'end_hangup' | 'end_no_ack' | 'end_lost' | 'end_no_answer' | 'end_expired';

/** An answered call from our 2xx to its end (RFC 3261 §13.3.1.4, §15.1). A BYE of ours waits for the ACK. */
export const CALL: TransitionTable<CallState, CallEvent, Action> = {
  unacknowledged: {
    ack: { to: 'confirmed', actions: ['acknowledge'] },
    hangup: { to: 'hangup_waits', actions: [] },
    bye: { to: 'ended', actions: ['end_bye'] },
    no_ack: { to: 'ended', actions: ['send_bye', 'end_no_ack'] },
    no_answer: { to: 'ended', actions: ['send_bye', 'end_no_answer'] },
    unsent: { to: 'ended', actions: ['end_no_ack'] },
    expired: { to: 'ended', actions: ['send_bye', 'end_expired'] },
    lost: { to: 'ended', actions: ['send_bye', 'end_lost'] },
  },
  hangup_waits: {
    ack: { to: 'ending', actions: ['acknowledge', 'send_bye'] },
    bye: { to: 'ended', actions: ['end_hangup'] },
    no_ack: { to: 'ended', actions: ['send_bye', 'end_no_ack'] },
    no_answer: { to: 'ended', actions: ['send_bye', 'end_hangup'] },
    unsent: { to: 'ended', actions: ['end_hangup'] },
    expired: { to: 'ended', actions: ['send_bye', 'end_hangup'] },
    lost: { to: 'ended', actions: ['send_bye', 'end_lost'] },
  },
  confirmed: {
    hangup: { to: 'ending', actions: ['send_bye'] },
    bye: { to: 'ended', actions: ['end_bye'] },
    no_ack: { to: 'ended', actions: ['send_bye', 'end_no_ack'] }, // of a re-INVITE
    no_answer: { to: 'ended', actions: ['send_bye', 'end_no_answer'] },
    expired: { to: 'ended', actions: ['send_bye', 'end_expired'] },
    lost: { to: 'ended', actions: ['send_bye', 'end_lost'] },
  },
  ending: {
    bye_done: { to: 'ended', actions: ['end_hangup'] },
    bye: { to: 'ended', actions: ['end_hangup'] }, // both hung up at once
  },
  ended: {},
};

export type CallOutput =
  | { readonly type: 'send_success'; readonly message: Uint8Array }
  | { readonly type: 'send_bye' }
  /** The first ACK is in. */
  | { readonly type: 'acknowledged' }
  | { readonly type: 'ended'; readonly end: CallEnd };

/** Repeats our 2xx until the ACK and says when the call is over. Of two 2xx under way the newer is repeated. */
export class CallMachine implements Machine<CallOutput> {
  readonly #timers = new TimerSet<'repeat' | 'no_ack'>();
  readonly #outputs: CallOutput[] = [];
  #state: CallState;
  #success: { readonly message: Uint8Array; readonly cseq: number } | undefined;
  #interval = T1;

  /** @param state `confirmed` for a call of ours, which the peer has answered */
  constructor(state: 'unacknowledged' | 'confirmed' = 'unacknowledged') {
    this.#state = state;
  }

  get state(): CallState {
    return this.#state;
  }

  /** Whether a 2xx of ours still waits for its ACK, or the first one has not even been sent. */
  get waitsForAck(): boolean {
    return this.#success !== undefined || this.#state === 'unacknowledged' || this.#state === 'hangup_waits';
  }

  /** A 2xx to an INVITE or re-INVITE with this CSeq was sent: repeat it from T1 on, up to T2 apart. */
  handleSuccessSent(now: number, cseq: number, message: Uint8Array): void {
    if (this.#state === 'ended') return;
    this.#success = { message, cseq };
    this.#interval = T1;
    this.#timers.start('repeat', now + T1);
    this.#timers.start('no_ack', now + TRANSACTION_LIFETIME);
  }

  /** Whether the ACK of this INVITE is the one that is waited for, and not a repeat of it or of an older one. */
  awaits(cseq: number): boolean {
    return this.#success?.cseq === cseq;
  }

  /** @param answered false when it lacked the answer to an offer of ours */
  handleAck(cseq: number, answered = true): void {
    if (this.#success?.cseq !== cseq) return;
    this.#success = undefined;
    this.#timers.clear();
    this.#handle(answered ? 'ack' : 'no_answer');
  }

  handle(event: 'hangup' | 'bye' | 'bye_done' | 'lost' | 'expired' | 'unsent' | 'no_ack'): void {
    this.#handle(event);
  }

  pollOutput(): CallOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) {
      if (timer === 'no_ack') this.#handle('no_ack');
      else if (this.#success) {
        this.#outputs.push({ type: 'send_success', message: this.#success.message });
        this.#interval = Math.min(2 * this.#interval, T2);
        this.#timers.start('repeat', now + this.#interval);
      }
    }
  }

  #handle(event: CallEvent): void {
    const transition = CALL[this.#state][event];
    if (!transition) return;
    this.#state = transition.to;
    if (transition.to === 'ended') {
      this.#timers.clear();
      this.#success = undefined;
    }
    for (const action of transition.actions) this.#outputs.push(OUTPUTS[action]);
  }
}

const OUTPUTS: Readonly<Record<Action, CallOutput>> = {
  acknowledge: { type: 'acknowledged' },
  send_bye: { type: 'send_bye' },
  end_bye: { type: 'ended', end: 'bye' },
  end_hangup: { type: 'ended', end: 'hangup' },
  end_no_ack: { type: 'ended', end: 'no_ack' },
  end_no_answer: { type: 'ended', end: 'no_answer' },
  end_expired: { type: 'ended', end: 'session_expired' },
  end_lost: { type: 'ended', end: 'dialog_lost' },
};

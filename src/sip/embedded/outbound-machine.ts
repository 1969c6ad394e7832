import type { Machine } from '../../base/driver.ts';
import { TimerSet, TRANSACTION_LIFETIME } from './timers.ts';
import type { TransitionTable } from './transition.ts';

export type OutboundState = 'calling' | 'proceeding' | 'cancel_waits' | 'cancelling' | 'answered' | 'failed';
export type OutboundEvent =
  | 'provisional'
  | 'success'
  /** A final refusal, after which nothing else is tried. */
  | 'failure'
  /** The INVITE is sent anew: with credentials, a longer session or to another target. */
  | 'again'
  /** No response came at all, or the way is gone. */
  | 'timed_out'
  | 'cancel'
  | 'timer_ring'
  /** Nothing final came 64·T1 after our CANCEL (RFC 3261 §9.1). */
  | 'timer_give_up';
type Action =
  | 'send_cancel'
  | 'forget'
  | 'stop_timers'
  | 'start_give_up'
  | 'answer'
  | 'withdraw'
  | 'fail'
  | 'fail_timed_out'
  | 'note_no_answer';

/** A call of ours from its first INVITE to the answer (RFC 3261 §9.1, §13.2). */
export const OUTBOUND: TransitionTable<OutboundState, OutboundEvent, Action> = {
  calling: {
    provisional: { to: 'proceeding', actions: [] },
    success: { to: 'answered', actions: ['stop_timers', 'answer'] },
    failure: { to: 'failed', actions: ['stop_timers', 'fail'] },
    again: { to: 'calling', actions: [] },
    timed_out: { to: 'failed', actions: ['stop_timers', 'fail_timed_out'] },
    cancel: { to: 'cancel_waits', actions: [] }, // no CANCEL before a provisional response
    timer_ring: { to: 'cancel_waits', actions: ['note_no_answer'] },
  },
  proceeding: {
    success: { to: 'answered', actions: ['stop_timers', 'answer'] },
    failure: { to: 'failed', actions: ['stop_timers', 'fail'] },
    again: { to: 'calling', actions: [] },
    timed_out: { to: 'failed', actions: ['stop_timers', 'fail_timed_out'] },
    cancel: { to: 'cancelling', actions: ['stop_timers', 'start_give_up', 'send_cancel'] },
    timer_ring: { to: 'cancelling', actions: ['note_no_answer', 'stop_timers', 'start_give_up', 'send_cancel'] },
  },
  cancel_waits: {
    provisional: { to: 'cancelling', actions: ['stop_timers', 'start_give_up', 'send_cancel'] },
    success: { to: 'failed', actions: ['stop_timers', 'withdraw', 'fail'] },
    failure: { to: 'failed', actions: ['stop_timers', 'fail'] },
    timed_out: { to: 'failed', actions: ['stop_timers', 'fail_timed_out'] },
  },
  cancelling: {
    success: { to: 'failed', actions: ['stop_timers', 'withdraw', 'fail'] }, // it crossed our CANCEL
    failure: { to: 'failed', actions: ['stop_timers', 'fail'] },
    timed_out: { to: 'failed', actions: ['stop_timers', 'fail_timed_out'] },
    timer_give_up: { to: 'failed', actions: ['forget', 'fail'] },
  },
  answered: {},
  failed: {},
};

export type OutboundOutput =
  | { readonly type: 'send_cancel' }
  /** The peer says provisionally and never finally what it thinks: end the transaction. */
  | { readonly type: 'forget' }
  | { readonly type: 'answer' }
  /** The 2xx is not wanted any more: acknowledge it and hang up. */
  | { readonly type: 'withdraw' }
  | { readonly type: 'fail'; readonly why: 'refused' | 'timed_out' | 'cancelled' | 'no_answer' };

/** When a call of ours is cancelled, given up, answered. What is sent and to whom is its owner's. */
export class OutboundMachine implements Machine<OutboundOutput> {
  readonly #timers = new TimerSet<'timer_ring' | 'timer_give_up'>();
  readonly #outputs: OutboundOutput[] = [];
  #state: OutboundState = 'calling';
  #ended: 'cancelled' | 'no_answer' | undefined;

  get state(): OutboundState {
    return this.#state;
  }

  /** Is the call on its way out? Then nothing is tried again. */
  get unwanted(): boolean {
    return this.#state === 'cancel_waits' || this.#state === 'cancelling' || this.#state === 'failed';
  }

  /** The first INVITE goes out. */
  start(now: number, ringTimeoutMs: number): void {
    this.#timers.start('timer_ring', now + ringTimeoutMs);
  }

  handle(now: number, event: Exclude<OutboundEvent, 'timer_ring' | 'timer_give_up'>): void {
    if (event === 'cancel') this.#ended ??= 'cancelled';
    this.#handle(event, now);
  }

  pollOutput(): OutboundOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) this.#handle(timer, now);
  }

  #handle(event: OutboundEvent, now: number): void {
    const transition = OUTBOUND[this.#state][event];
    if (!transition) return;
    this.#state = transition.to;
    for (const action of transition.actions) this.#act(action, now);
  }

  #act(action: Action, now: number): void {
    switch (action) {
      case 'stop_timers':
        this.#timers.clear();
        return;
      case 'start_give_up':
        this.#timers.start('timer_give_up', now + TRANSACTION_LIFETIME);
        return;
      case 'note_no_answer':
        this.#ended ??= 'no_answer';
        return;
      case 'fail':
        this.#outputs.push({ type: 'fail', why: this.#ended ?? 'refused' });
        return;
      case 'fail_timed_out':
        this.#outputs.push({ type: 'fail', why: this.#ended ?? 'timed_out' });
        return;
      case 'send_cancel':
      case 'forget':
      case 'answer':
      case 'withdraw':
        this.#outputs.push({ type: action });
    }
  }
}

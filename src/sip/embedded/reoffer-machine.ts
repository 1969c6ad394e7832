import type { Machine } from '../../base/driver.ts';
import { TimerSet } from './timers.ts';
import type { TransitionTable } from './transition.ts';

export type ReofferState = 'idle' | 'queued' | 'sent' | 'glare';
export type ReofferEvent =
  /** We want to send a re-INVITE or UPDATE, and may. */
  | 'ask'
  /** We want to, but a 2xx of ours waits for its ACK. */
  | 'ask_later'
  /** Nothing else is under way in the dialog any more. */
  | 'free'
  /** Any final answer but 491. */
  | 'final'
  /** 491, or the peer wants something else in it (422): the same again, at once or after a while. */
  | 'pending'
  | 'again'
  | 'timer_glare'
  /** The wait after glare is over, but the peer's own re-INVITE is not. */
  | 'timer_glare_busy'
  | 'timer_limit'
  | 'stop';
type Action = 'send' | 'start_glare' | 'start_limit' | 'stop_timers' | 'finish' | 'give_up';

/** One re-INVITE or UPDATE of ours at a time (RFC 3261 §14.1, RFC 3311 §5.1). */
export const REOFFER: TransitionTable<ReofferState, ReofferEvent, Action> = {
  idle: {
    ask: { to: 'sent', actions: ['start_limit', 'send'] },
    ask_later: { to: 'queued', actions: [] },
  },
  queued: {
    free: { to: 'sent', actions: ['start_limit', 'send'] },
    stop: { to: 'idle', actions: ['finish'] },
  },
  sent: {
    final: { to: 'idle', actions: ['stop_timers', 'finish'] },
    pending: { to: 'glare', actions: ['stop_timers', 'start_glare'] },
    again: { to: 'sent', actions: ['stop_timers', 'start_limit', 'send'] },
    timer_limit: { to: 'idle', actions: ['give_up'] },
    stop: { to: 'idle', actions: ['stop_timers', 'finish'] },
  },
  glare: {
    timer_glare: { to: 'sent', actions: ['start_limit', 'send'] },
    timer_glare_busy: { to: 'queued', actions: [] },
    stop: { to: 'idle', actions: ['stop_timers', 'finish'] },
  },
};

export type ReofferOutput =
  | { readonly type: 'send' }
  /** It is over: the answer that ended it has been handed over before. */
  | { readonly type: 'finished' }
  /** The peer says provisionally for two minutes that it thinks about it. */
  | { readonly type: 'gave_up' };

/** Nobody thinks longer about a re-INVITE; it bounds what a peer can hold open. */
const LIMIT_MS = 120_000;

/** As many times the same thing is tried: glare ends after two or three, a peer that always says 491 or 422 does not. */
const MAX_TRIES = 6;

export interface ReofferOptions {
  /** The Call-ID was ours: then we wait the longer time after glare. */
  readonly ownsCallId: boolean;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Whether no other INVITE is under way in the dialog. */
  readonly isFree: () => boolean;
}

/** When a re-INVITE or UPDATE of ours may be sent, and again after glare. */
export class ReofferMachine implements Machine<ReofferOutput> {
  readonly #options: ReofferOptions;
  readonly #timers = new TimerSet<'timer_glare' | 'timer_limit'>();
  readonly #outputs: ReofferOutput[] = [];
  #state: ReofferState = 'idle';
  #tries = 0;

  constructor(options: ReofferOptions) {
    this.#options = options;
  }

  get state(): ReofferState {
    return this.#state;
  }

  ask(now: number): void {
    this.#tries = 0;
    this.#handle(this.#options.isFree() ? 'ask' : 'ask_later', now);
  }

  free(now: number): void {
    this.#handle('free', now);
  }

  /** A final answer came. @returns whether the same will be tried again */
  handleFinal(now: number, kind: 'final' | 'pending' | 'again'): boolean {
    const again = kind !== 'final' && this.#tries < MAX_TRIES;
    this.#handle(again ? kind : 'final', now);
    return again;
  }

  /** The call is over. */
  stop(now: number): void {
    this.#handle('stop', now);
  }

  pollOutput(): ReofferOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) {
      this.#handle(timer === 'timer_glare' && !this.#options.isFree() ? 'timer_glare_busy' : timer, now);
    }
  }

  #handle(event: ReofferEvent, now: number): void {
    const transition = REOFFER[this.#state][event];
    if (!transition) return;
    this.#state = transition.to;
    for (const action of transition.actions) this.#act(action, now);
  }

  #act(action: Action, now: number): void {
    switch (action) {
      case 'send':
        this.#tries += 1;
        this.#outputs.push({ type: 'send' });
        return;
      case 'start_glare':
        this.#timers.start('timer_glare', now + this.#glareMs());
        return;
      case 'start_limit':
        this.#timers.start('timer_limit', now + LIMIT_MS);
        return;
      case 'stop_timers':
        this.#timers.clear();
        return;
      case 'finish':
        this.#outputs.push({ type: 'finished' });
        return;
      case 'give_up':
        this.#outputs.push({ type: 'gave_up' });
    }
  }

  /** RFC 3261 §14.1: 2.1 to 4 s for the owner of the Call-ID, 0 to 2 s for the other, in steps of 10 ms. */
  #glareMs(): number {
    const { ownsCallId, random } = this.#options;
    return ownsCallId ? 2100 + 10 * Math.floor(random() * 191) : 10 * Math.floor(random() * 201);
  }
}

import type { Machine } from '../../base/driver.ts';
import type { ClientTransactionOutput } from './invite-client-transaction.ts';
import type { SipResponse } from './message.ts';
import { T1, T2, T4, TimerSet, TRANSACTION_LIFETIME } from './timers.ts';
import type { TransitionTable } from './transition.ts';

export type NonInviteClientState = 'trying' | 'proceeding' | 'completed' | 'terminated';
export type NonInviteClientEvent = 'start' | 'provisional' | 'final' | 'timer_e' | 'timer_f' | 'timer_k' | 'transport_error';
type Action = 'send' | 'start_e' | 'back_off' | 'repeat_slowly' | 'start_f' | 'stop_timers' | 'pass' | 'start_k' | 'time_out' | 'terminate';

/** RFC 3261 figure 6. */
export const NON_INVITE_CLIENT: TransitionTable<NonInviteClientState, NonInviteClientEvent, Action> = {
  trying: {
    start: { to: 'trying', actions: ['send', 'start_e', 'start_f'] },
    timer_e: { to: 'trying', actions: ['send', 'back_off'] },
    timer_f: { to: 'terminated', actions: ['stop_timers', 'time_out', 'terminate'] },
    transport_error: { to: 'terminated', actions: ['stop_timers', 'time_out', 'terminate'] },
    provisional: { to: 'proceeding', actions: ['pass'] },
    final: { to: 'completed', actions: ['stop_timers', 'pass', 'start_k'] },
  },
  proceeding: {
    timer_e: { to: 'proceeding', actions: ['send', 'repeat_slowly'] },
    timer_f: { to: 'terminated', actions: ['stop_timers', 'time_out', 'terminate'] },
    provisional: { to: 'proceeding', actions: ['pass'] },
    final: { to: 'completed', actions: ['stop_timers', 'pass', 'start_k'] },
  },
  completed: {
    timer_k: { to: 'terminated', actions: ['terminate'] },
  },
  terminated: {},
};

export interface NonInviteClientOptions {
  readonly reliable: boolean;
  readonly message: Uint8Array;
}

/** The client side of any request but INVITE and ACK: repeats it until the final response (RFC 3261 §17.1.2). */
export class NonInviteClientTransaction implements Machine<ClientTransactionOutput> {
  readonly #options: NonInviteClientOptions;
  readonly #timers = new TimerSet<'timer_e' | 'timer_f' | 'timer_k'>();
  readonly #outputs: ClientTransactionOutput[] = [];
  #state: NonInviteClientState = 'trying';
  #intervalE = T1;

  constructor(options: NonInviteClientOptions) {
    this.#options = options;
  }

  get state(): NonInviteClientState {
    return this.#state;
  }

  /** Sends the request. Once. */
  start(now: number): void {
    this.#handle('start', now);
  }

  /** The request cannot arrive: the same as no answer (RFC 3261 §17.1.4). */
  handleTransportError(now: number): void {
    this.#handle('transport_error', now);
  }

  handleResponse(now: number, response: SipResponse): void {
    this.#handle(response.status < 200 ? 'provisional' : 'final', now, response);
  }

  pollOutput(): ClientTransactionOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) this.#handle(timer, now);
  }

  #handle(event: NonInviteClientEvent, now: number, response?: SipResponse): void {
    const transition = NON_INVITE_CLIENT[this.#state][event];
    if (!transition) return;
    this.#state = transition.to;
    for (const action of transition.actions) this.#act(action, now, response);
  }

  #act(action: Action, now: number, response: SipResponse | undefined): void {
    switch (action) {
      case 'send':
        this.#outputs.push({ type: 'send', message: this.#options.message });
        return;
      case 'start_e':
        if (!this.#options.reliable) this.#timers.start('timer_e', now + this.#intervalE);
        return;
      case 'back_off':
        this.#intervalE = Math.min(2 * this.#intervalE, T2);
        this.#timers.start('timer_e', now + this.#intervalE);
        return;
      case 'repeat_slowly':
        this.#intervalE = T2;
        this.#timers.start('timer_e', now + T2);
        return;
      case 'start_f':
        this.#timers.start('timer_f', now + TRANSACTION_LIFETIME);
        return;
      case 'stop_timers':
        this.#timers.clear();
        return;
      case 'pass':
        if (response) this.#outputs.push({ type: 'response', response });
        return;
      case 'start_k':
        this.#timers.start('timer_k', now + (this.#options.reliable ? 0 : T4));
        return;
      case 'time_out':
        this.#outputs.push({ type: 'timed_out' });
        return;
      case 'terminate':
        this.#outputs.push({ type: 'terminated' });
    }
  }
}

import type { Machine } from '../../base/driver.ts';
import type { SipResponse } from './message.ts';
import { T1, TimerSet, TRANSACTION_LIFETIME } from './timers.ts';
import type { TransitionTable } from './transition.ts';

export type InviteClientState = 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated';
export type InviteClientEvent =
  | 'start'
  | 'provisional'
  | 'success'
  | 'failure'
  | 'timer_a'
  | 'timer_b'
  | 'timer_d'
  | 'timer_m'
  | 'transport_error';
type Action =
  | 'send'
  | 'start_a'
  | 'repeat'
  | 'start_b'
  | 'stop_timers'
  | 'pass'
  | 'acknowledge'
  | 'start_d'
  | 'start_m'
  | 'time_out'
  | 'terminate';

/** RFC 3261 figure 5 with the Accepted state of RFC 6026 figure 6. */
export const INVITE_CLIENT: TransitionTable<InviteClientState, InviteClientEvent, Action> = {
  calling: {
    start: { to: 'calling', actions: ['send', 'start_a', 'start_b'] },
    timer_a: { to: 'calling', actions: ['repeat'] },
    timer_b: { to: 'terminated', actions: ['stop_timers', 'time_out', 'terminate'] },
    transport_error: { to: 'terminated', actions: ['stop_timers', 'time_out', 'terminate'] },
    provisional: { to: 'proceeding', actions: ['stop_timers', 'pass'] },
    success: { to: 'accepted', actions: ['stop_timers', 'pass', 'start_m'] },
    failure: { to: 'completed', actions: ['stop_timers', 'acknowledge', 'pass', 'start_d'] },
  },
  proceeding: {
    provisional: { to: 'proceeding', actions: ['pass'] },
    success: { to: 'accepted', actions: ['pass', 'start_m'] },
    failure: { to: 'completed', actions: ['acknowledge', 'pass', 'start_d'] },
  },
  accepted: {
    success: { to: 'accepted', actions: ['pass'] },
    timer_m: { to: 'terminated', actions: ['terminate'] },
  },
  completed: {
    failure: { to: 'completed', actions: ['acknowledge'] },
    timer_d: { to: 'terminated', actions: ['terminate'] },
  },
  terminated: {},
};

export type ClientTransactionOutput =
  | { readonly type: 'send'; readonly message: Uint8Array }
  /** A response for the user; repeats of a refusal are absorbed. */
  | { readonly type: 'response'; readonly response: SipResponse }
  /** No response came (Timers B and F): to be treated as 408 (RFC 3261 §8.1.3.1). */
  | { readonly type: 'timed_out' }
  | { readonly type: 'terminated' };

export interface InviteClientOptions {
  readonly reliable: boolean;
  readonly message: Uint8Array;
  /** Makes the ACK of a refusal (RFC 3261 §17.1.1.3). The ACK of a 2xx is the user's. */
  readonly acknowledge: (response: SipResponse) => Uint8Array;
}

/** The client side of one INVITE: repeats it until something comes back, acknowledges refusals (RFC 3261 §17.1.1, RFC 6026). */
export class InviteClientTransaction implements Machine<ClientTransactionOutput> {
  readonly #options: InviteClientOptions;
  readonly #timers = new TimerSet<'timer_a' | 'timer_b' | 'timer_d' | 'timer_m'>();
  readonly #outputs: ClientTransactionOutput[] = [];
  #state: InviteClientState = 'calling';
  #intervalA = T1;
  #ack: Uint8Array | undefined;

  constructor(options: InviteClientOptions) {
    this.#options = options;
  }

  get state(): InviteClientState {
    return this.#state;
  }

  /** Sends the INVITE. Once. */
  start(now: number): void {
    this.#handle('start', now);
  }

  /** The request cannot arrive: the same as no answer (RFC 3261 §17.1.4). */
  handleTransportError(now: number): void {
    this.#handle('transport_error', now);
  }

  handleResponse(now: number, response: SipResponse): void {
    const event = response.status < 200 ? 'provisional' : response.status < 300 ? 'success' : 'failure';
    this.#handle(event, now, response);
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

  #handle(event: InviteClientEvent, now: number, response?: SipResponse): void {
    const transition = INVITE_CLIENT[this.#state][event];
    if (!transition) return;
    this.#state = transition.to;
    for (const action of transition.actions) this.#act(action, now, response);
  }

  #act(action: Action, now: number, response: SipResponse | undefined): void {
    switch (action) {
      case 'send':
        this.#outputs.push({ type: 'send', message: this.#options.message });
        return;
      case 'start_a':
        if (!this.#options.reliable) this.#timers.start('timer_a', now + this.#intervalA);
        return;
      case 'repeat':
        this.#outputs.push({ type: 'send', message: this.#options.message });
        this.#intervalA *= 2; // without a cap (RFC 3261 §17.1.1.2)
        this.#timers.start('timer_a', now + this.#intervalA);
        return;
      case 'start_b':
        this.#timers.start('timer_b', now + TRANSACTION_LIFETIME);
        return;
      case 'stop_timers':
        this.#timers.clear();
        return;
      case 'pass':
        if (response) this.#outputs.push({ type: 'response', response });
        return;
      case 'acknowledge':
        if (response) this.#ack ??= this.#options.acknowledge(response);
        if (this.#ack) this.#outputs.push({ type: 'send', message: this.#ack });
        return;
      case 'start_d': // at least 32 s over UDP
        this.#timers.start('timer_d', now + (this.#options.reliable ? 0 : TRANSACTION_LIFETIME));
        return;
      case 'start_m':
        this.#timers.start('timer_m', now + TRANSACTION_LIFETIME);
        return;
      case 'time_out':
        this.#outputs.push({ type: 'timed_out' });
        return;
      case 'terminate':
        this.#outputs.push({ type: 'terminated' });
    }
  }
}

import type { Machine } from '../../base/driver.ts';
import { T1, T2, T4, TimerSet, TRANSACTION_LIFETIME } from './timers.ts';
import type { TransitionTable } from './transition.ts';

export type InviteServerState = 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated';
export type InviteServerEvent =
  | 'invite'
  | 'provisional'
  | 'success'
  | 'failure'
  | 'ack'
  | 'timer_g'
  | 'timer_h'
  | 'timer_i'
  | 'timer_l'
  | 'transport_error';
type Action = 'send' | 'send_if_any' | 'start_g' | 'repeat' | 'start_h' | 'start_i' | 'start_l' | 'stop_timers' | 'time_out' | 'terminate';

/** RFC 3261 figure 7 with the Accepted state of RFC 6026 figure 5. Retransmitted INVITEs are absorbed once a 2xx is out. */
export const INVITE_SERVER: TransitionTable<InviteServerState, InviteServerEvent, Action> = {
  proceeding: {
    invite: { to: 'proceeding', actions: ['send_if_any'] },
    provisional: { to: 'proceeding', actions: ['send'] },
    success: { to: 'accepted', actions: ['send', 'start_l'] },
    failure: { to: 'completed', actions: ['send', 'start_g', 'start_h'] },
    transport_error: { to: 'terminated', actions: ['time_out', 'terminate'] },
  },
  accepted: {
    success: { to: 'accepted', actions: ['send'] },
    timer_l: { to: 'terminated', actions: ['terminate'] },
  },
  completed: {
    invite: { to: 'completed', actions: ['send_if_any'] },
    timer_g: { to: 'completed', actions: ['repeat'] },
    ack: { to: 'confirmed', actions: ['stop_timers', 'start_i'] },
    timer_h: { to: 'terminated', actions: ['stop_timers', 'time_out', 'terminate'] },
    transport_error: { to: 'terminated', actions: ['stop_timers', 'time_out', 'terminate'] },
  },
  confirmed: {
    timer_i: { to: 'terminated', actions: ['terminate'] },
  },
  terminated: {},
};

export type ServerTransactionOutput =
  | { readonly type: 'send'; readonly message: Uint8Array }
  /** A final response was never acknowledged (Timer H), or a response could not be delivered at all (§17.2.4). */
  | { readonly type: 'timed_out' }
  | { readonly type: 'terminated' };

export interface InviteServerOptions {
  /** TCP, TLS, WebSocket: nothing is repeated. */
  readonly reliable: boolean;
}

/** The server side of one INVITE: repeats final refusals until the ACK, answers repeated INVITEs (RFC 3261 §17.2.1, RFC 6026). */
export class InviteServerTransaction implements Machine<ServerTransactionOutput> {
  readonly #reliable: boolean;
  readonly #timers = new TimerSet<'timer_g' | 'timer_h' | 'timer_i' | 'timer_l'>();
  readonly #outputs: ServerTransactionOutput[] = [];
  #state: InviteServerState = 'proceeding';
  #lastResponse: Uint8Array | undefined;
  #intervalG = T1;
  #repeats = true;

  constructor(options: InviteServerOptions) {
    this.#reliable = options.reliable;
  }

  get state(): InviteServerState {
    return this.#state;
  }

  /** A repeated INVITE of this transaction. */
  handleInvite(now: number): void {
    this.#handle('invite', now);
  }

  /** What was sent cannot arrive (§17.2.4). A 2xx is the user's to repeat, so it changes nothing there. */
  handleTransportError(now: number): void {
    this.#handle('transport_error', now);
  }

  handleAck(now: number): void {
    this.#handle('ack', now);
  }

  /**
   * Sends a response of the user. Ignored where the state has no place for it.
   * @param repeats false sends a refusal once an INVITE instead of on Timer G: for shedding load, where eleven
   *   answers to one datagram would make things worse. Only right while no provisional response has stopped the
   *   client's own repeats.
   */
  respond(now: number, status: number, message: Uint8Array, repeats = true): void {
    const event = status < 200 ? 'provisional' : status < 300 ? 'success' : 'failure';
    if (!INVITE_SERVER[this.#state][event]) return;
    this.#lastResponse = message;
    this.#repeats = repeats;
    this.#handle(event, now);
    if (this.#state === 'accepted') this.#lastResponse = undefined; // repeating a 2xx is the user's task
  }

  pollOutput(): ServerTransactionOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) this.#handle(timer, now);
  }

  #handle(event: InviteServerEvent, now: number): void {
    const transition = INVITE_SERVER[this.#state][event];
    if (!transition) return;
    this.#state = transition.to;
    for (const action of transition.actions) this.#act(action, now);
  }

  #act(action: Action, now: number): void {
    switch (action) {
      case 'send':
      case 'send_if_any':
        if (this.#lastResponse) this.#outputs.push({ type: 'send', message: this.#lastResponse });
        return;
      case 'start_g':
        if (!this.#reliable && this.#repeats) this.#timers.start('timer_g', now + this.#intervalG);
        return;
      case 'repeat':
        if (this.#lastResponse) this.#outputs.push({ type: 'send', message: this.#lastResponse });
        this.#intervalG = Math.min(2 * this.#intervalG, T2);
        this.#timers.start('timer_g', now + this.#intervalG);
        return;
      case 'start_h':
        this.#timers.start('timer_h', now + TRANSACTION_LIFETIME);
        return;
      case 'start_i':
        this.#timers.start('timer_i', now + (this.#reliable ? 0 : T4));
        return;
      case 'start_l':
        this.#timers.start('timer_l', now + TRANSACTION_LIFETIME);
        return;
      case 'stop_timers':
        this.#timers.clear();
        return;
      case 'time_out':
        this.#outputs.push({ type: 'timed_out' });
        return;
      case 'terminate':
        this.#lastResponse = undefined;
        this.#outputs.push({ type: 'terminated' });
    }
  }
}

import type { Machine } from '../../base/driver.ts';
import type { ServerTransactionOutput } from './invite-server-transaction.ts';
import { TimerSet, TRANSACTION_LIFETIME } from './timers.ts';
import type { TransitionTable } from './transition.ts';

export type NonInviteServerState = 'trying' | 'proceeding' | 'completed' | 'terminated';
export type NonInviteServerEvent = 'request' | 'provisional' | 'final' | 'timer_j';
type Action = 'send' | 'start_j' | 'terminate';

/** RFC 3261 figure 8. */
export const NON_INVITE_SERVER: TransitionTable<NonInviteServerState, NonInviteServerEvent, Action> = {
  trying: {
    provisional: { to: 'proceeding', actions: ['send'] },
    final: { to: 'completed', actions: ['send', 'start_j'] },
  },
  proceeding: {
    request: { to: 'proceeding', actions: ['send'] },
    provisional: { to: 'proceeding', actions: ['send'] },
    final: { to: 'completed', actions: ['send', 'start_j'] },
  },
  completed: {
    request: { to: 'completed', actions: ['send'] },
    timer_j: { to: 'terminated', actions: ['terminate'] },
  },
  terminated: {},
};

/** The server side of any request but INVITE and ACK: gives repeats the same answer (RFC 3261 §17.2.2). */
export class NonInviteServerTransaction implements Machine<ServerTransactionOutput> {
  readonly #reliable: boolean;
  readonly #timers = new TimerSet<'timer_j'>();
  readonly #outputs: ServerTransactionOutput[] = [];
  #state: NonInviteServerState = 'trying';
  #lastResponse: Uint8Array | undefined;

  constructor(options: { readonly reliable: boolean }) {
    this.#reliable = options.reliable;
  }

  get state(): NonInviteServerState {
    return this.#state;
  }

  /** A repeat of the request. */
  handleRequest(now: number): void {
    this.#handle('request', now);
  }

  /** Sends a response of the user; one after the final response is ignored. */
  respond(now: number, status: number, message: Uint8Array): void {
    const event = status < 200 ? 'provisional' : 'final';
    if (!NON_INVITE_SERVER[this.#state][event]) return;
    this.#lastResponse = message;
    this.#handle(event, now);
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

  #handle(event: NonInviteServerEvent, now: number): void {
    const transition = NON_INVITE_SERVER[this.#state][event];
    if (!transition) return;
    this.#state = transition.to;
    for (const action of transition.actions) {
      if (action === 'send' && this.#lastResponse) this.#outputs.push({ type: 'send', message: this.#lastResponse });
      if (action === 'start_j') this.#timers.start('timer_j', now + (this.#reliable ? 0 : TRANSACTION_LIFETIME));
      if (action === 'terminate') this.#outputs.push({ type: 'terminated' });
    }
  }
}

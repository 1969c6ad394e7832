import { BeatClock } from '../../base/beat-clock.ts';
import type { Clock } from '../../base/clock.ts';
import { Driver } from '../../base/driver.ts';
import type { Flow } from './flow.ts';
import { type ClientTransactionOutput, InviteClientTransaction } from './invite-client-transaction.ts';
import { InviteServerTransaction, type ServerTransactionOutput } from './invite-server-transaction.ts';
import type { SipResponse } from './message.ts';
import { NonInviteClientTransaction } from './non-invite-client-transaction.ts';
import { NonInviteServerTransaction } from './non-invite-server-transaction.ts';
import { T4 } from './timers.ts';

/** The user's end of a server transaction. */
export interface ServerTransaction {
  readonly flow: Flow;
  /** `repeats: false`: see InviteServerTransaction.respond. */
  respond(status: number, message: Uint8Array, repeats?: boolean): void;
  /** A response could not be delivered, or a refusal was never acknowledged. For INVITE only. */
  onFailed?: (() => void) | undefined;
}

/** What a client transaction tells its user. Nothing follows a timeout. */
export interface ClientEvents {
  onResponse(response: SipResponse): void;
  /** No final response came in 32 s: the same as a 408. */
  onTimeout(): void;
  /** It never left: the connection did not come up, in words where that is known. Without this it counts as a timeout. Nothing follows. */
  onUndelivered?(why?: string): void;
}

export interface ClientRequest {
  readonly method: string;
  readonly branch: string;
  readonly message: Uint8Array;
  readonly flow: Flow;
  /** Makes the ACK of a refused INVITE. Needed for INVITE only. */
  readonly acknowledge?: (response: SipResponse) => Uint8Array;
}

interface InviteEntry {
  readonly machine: InviteServerTransaction;
  readonly driver: Driver<ServerTransactionOutput>;
}

interface RequestEntry {
  readonly machine: NonInviteServerTransaction;
  readonly driver: Driver<ServerTransactionOutput>;
}

interface ClientEntry {
  readonly machine: InviteClientTransaction | NonInviteClientTransaction;
  readonly driver: Driver<ClientTransactionOutput>;
}

/**
 * The timers from T4 on (B, D, F, H, I, J, K, L, M) only give up or forget, so they may be this late. At 200 calls a second it
 * makes ten wake-ups a second of five hundred.
 */
const BEAT_MS = 100;

/** All transactions of one user agent: finds the one a message belongs to and moves it. */
export class Transactions {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #invites = new Map<string, InviteEntry>();
  readonly #requests = new Map<string, RequestEntry>();
  readonly #clients = new Map<string, ClientEntry>();

  constructor(deps: { readonly clock: Clock }, options: { readonly limit: number }) {
    this.#clock = new BeatClock(deps.clock, { beatMs: BEAT_MS, fromMs: T4 });
    this.#limit = options.limit;
  }

  get size(): number {
    return this.#invites.size + this.#requests.size + this.#clients.size;
  }

  /** No new server transaction is kept beyond the limit: memory is bounded whatever arrives. */
  get full(): boolean {
    return this.size >= this.#limit;
  }

  hasInvite(key: string): boolean {
    return this.#invites.has(key);
  }

  /** Gives a repeated request to its transaction; false when it is new. */
  takeRepeat(key: string, method: string): boolean {
    if (method === 'INVITE') {
      const entry = this.#invites.get(key);
      entry?.driver.run((now) => entry.machine.handleInvite(now));
      return entry !== undefined;
    }
    const entry = this.#requests.get(key);
    entry?.driver.run((now) => entry.machine.handleRequest(now));
    return entry !== undefined;
  }

  /** Gives the ACK of a refusal to its INVITE; false when it belongs to no refused INVITE. */
  takeAck(inviteKey: string): boolean {
    const entry = this.#invites.get(inviteKey);
    if (!entry || entry.machine.state === 'accepted') return false; // the ACK of a 2xx is the dialog's (RFC 6026 §7.1)
    entry.driver.run((now) => entry.machine.handleAck(now));
    return true;
  }

  openInvite(key: string, flow: Flow, onTerminated?: () => void): ServerTransaction {
    const machine = new InviteServerTransaction({ reliable: flow.reliable });
    const driver = new Driver(this.#clock, machine, (output) => {
      if (output.type === 'send') flow.send(output.message, failed);
      if (output.type === 'timed_out') transaction.onFailed?.();
      if (output.type !== 'terminated') return;
      this.#invites.delete(key);
      driver.stop();
      onTerminated?.();
    });
    const failed = (): void => driver.run((now) => machine.handleTransportError(now));
    this.#invites.set(key, { machine, driver });
    const transaction: ServerTransaction = {
      flow,
      onFailed: undefined,
      respond: (status, message, repeats) => driver.run((now) => machine.respond(now, status, message, repeats)),
    };
    return transaction;
  }

  /** A server transaction for any other request; when the table is full a stateless one, which answers and forgets (RFC 3261 §8.2.7). */
  openRequest(key: string, flow: Flow): ServerTransaction {
    if (this.full) return { flow, respond: (_status, message) => flow.send(message) };
    const machine = new NonInviteServerTransaction({ reliable: flow.reliable });
    const driver = new Driver(this.#clock, machine, (output) => {
      if (output.type === 'send') flow.send(output.message);
      if (output.type !== 'terminated') return;
      this.#requests.delete(key);
      driver.stop();
    });
    this.#requests.set(key, { machine, driver });
    return { flow, respond: (status, message) => driver.run((now) => machine.respond(now, status, message)) };
  }

  /**
   * Sends a request of ours and repeats it as long as its transaction says.
   * @returns how to end it before its time: for a peer that says provisionally and never finally what it thinks
   */
  send({ method, branch, message, flow, acknowledge }: ClientRequest, events: ClientEvents): { forget(): void } {
    const key = `${branch} ${method}`;
    const machine = acknowledge
      ? new InviteClientTransaction({ reliable: flow.reliable, message, acknowledge })
      : new NonInviteClientTransaction({ reliable: flow.reliable, message });
    const driver = new Driver<ClientTransactionOutput>(this.#clock, machine, (output) => {
      switch (output.type) {
        case 'send':
          return flow.send(output.message, failed);
        case 'response':
          return events.onResponse(output.response);
        case 'timed_out':
          return events.onTimeout();
        case 'terminated':
          this.#clients.delete(key);
          driver.stop();
      }
    });
    const forget = (): void => {
      if (this.#clients.get(key)?.machine === machine) this.#clients.delete(key);
      driver.stop();
    };
    const failed = (why?: string): void => {
      if (this.#clients.get(key)?.machine !== machine) return;
      if (!events.onUndelivered) {
        driver.run((now) => machine.handleTransportError(now));
        return;
      }
      forget();
      events.onUndelivered(why);
    };
    this.#clients.set(key, { machine, driver });
    driver.run((now) => machine.start(now));
    return { forget };
  }

  /** Gives a response to its transaction (RFC 3261 §17.1.3); false when nobody waits for it. */
  takeResponse(branch: string, method: string, response: SipResponse): boolean {
    const entry = this.#clients.get(`${branch} ${method}`);
    entry?.driver.run((now) => entry.machine.handleResponse(now, response));
    return entry !== undefined;
  }

  /** Forgets everything at once and stops all timers. */
  stop(): void {
    for (const table of [this.#invites, this.#requests, this.#clients]) {
      for (const { driver } of table.values()) driver.stop();
      table.clear();
    }
  }
}

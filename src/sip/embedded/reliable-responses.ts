import { Driver } from '../../base/driver.ts';
import type { CallServices } from './call-services.ts';
import { ACCEPTED_TYPE } from './capabilities.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { readRAck } from './rack.ts';
import { type ReliableOutput, ReliableProvisional } from './reliable-provisional.ts';
import type { ServerTransaction } from './transactions.ts';
import { type HeaderLine, writeResponse } from './write-response.ts';

export interface ReliableResponsesOptions {
  readonly localTag: string;
  /** The PRACK of a response with a session description is in and answered. */
  readonly onAcknowledged: (prack: IncomingRequest) => void;
  /** The caller does not acknowledge. */
  readonly onFailed: () => void;
}

/** The reliable provisional responses to one INVITE (RFC 3262 §3). */
export class ReliableResponses {
  /** The caller wants every provisional response but 100 this way. */
  readonly required: boolean;
  readonly #invite: IncomingRequest;
  readonly #options: ReliableResponsesOptions;
  readonly #machine = new ReliableProvisional({ random: Math.random });
  readonly #driver: Driver<ReliableOutput>;
  #prack: IncomingRequest | undefined;

  /** Undefined for a caller that does not know them. */
  static for(
    services: CallServices,
    invite: IncomingRequest,
    transaction: ServerTransaction,
    options: ReliableResponsesOptions,
  ): ReliableResponses | undefined {
    const { headers } = invite.message;
    const lists = (name: string): boolean => headers.elements(name)?.some((option) => option.toLowerCase() === '100rel') ?? false;
    const required = lists('require');
    return required || lists('supported') ? new ReliableResponses(services, invite, transaction, options, required) : undefined;
  }

  private constructor(
    services: CallServices,
    invite: IncomingRequest,
    transaction: ServerTransaction,
    options: ReliableResponsesOptions,
    required: boolean,
  ) {
    this.#invite = invite;
    this.#options = options;
    this.required = required;
    this.#driver = new Driver(services.clock, this.#machine, (output) => {
      if (output.type === 'send') transaction.respond(output.status, output.message);
      else if (output.type === 'failed') options.onFailed();
      else if (output.holdsSdp && this.#prack) options.onAcknowledged(this.#prack);
    });
  }

  /** Whether a description waits for its PRACK: no 2xx may be sent before. */
  get holdsSdp(): boolean {
    return this.#machine.holdsSdp;
  }

  send(status: number, headers: readonly HeaderLine[], sdp: string | undefined): void {
    const write = (rseq: number): Uint8Array =>
      writeResponse(this.#invite.head, status, {
        toTag: this.#options.localTag,
        headers: [...headers, ['Require', '100rel'], ['RSeq', String(rseq)]],
        body: sdp === undefined ? undefined : { type: ACCEPTED_TYPE, text: sdp },
      });
    this.#driver.run((now) => this.#machine.send(now, { status, holdsSdp: sdp !== undefined, write }));
  }

  /** Whether this PRACK is for the response under way. */
  awaits(prack: IncomingRequest): boolean {
    return this.#machine.awaits(this.#numberIn(prack));
  }

  /**
   * @param reply answers the PRACK, before anything follows from it
   * @returns false when it is for none of our responses: 481
   */
  takePrack(prack: IncomingRequest, reply?: () => void): boolean {
    const rseq = this.#numberIn(prack);
    if (!this.#machine.awaits(rseq)) return false;
    reply?.();
    this.#prack = prack;
    this.#driver.run((now) => this.#machine.handlePrack(now, rseq));
    return true;
  }

  /** A final response is out. */
  finish(): void {
    this.#driver.run(() => this.#machine.finish());
  }

  #numberIn(prack: IncomingRequest): number {
    const rack = readRAck(prack.message.headers);
    return rack?.method === 'INVITE' && rack.cseq === this.#invite.cseq ? rack.rseq : 0;
  }
}

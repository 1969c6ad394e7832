import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { SipSource } from '../engine.ts';
import type { Dialog } from './dialog.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { ClientEvents, ServerTransaction } from './transactions.ts';
import type { Body, HeaderLine, ResponseParts } from './write-response.ts';

/** A request of ours on its way. */
export interface SentRequest {
  readonly cseq: number;
  /** Ends its transaction, whatever state it is in. No event follows. */
  forget(): void;
}

/** What a call asks of the user agent it lives in. */
export interface CallServices {
  readonly clock: Clock;
  readonly log: Logger;
  /** Writes a response, sends it by its transaction and counts it. Returns the bytes. */
  respond(transaction: ServerTransaction, request: IncomingRequest, status: number, parts: ResponseParts, repeats?: boolean): Uint8Array;
  /** Sends a request inside the dialog. The ACK of a refused INVITE is sent by its transaction. */
  request(
    dialog: Dialog,
    localAddress: string,
    method: string,
    headers: readonly HeaderLine[],
    events: ClientEvents,
    body?: Body,
  ): SentRequest;
  /** Sends the ACK of a 2xx to our INVITE with this number; once for each copy of the 2xx (RFC 3261 §13.2.2.4). */
  acknowledge(dialog: Dialog, localAddress: string, cseq: number, body?: Body, headers?: readonly HeaderLine[]): void;
  /** Session timers (RFC 4028): what we ask for, 0 for nothing, and the least we accept. */
  readonly sessionIntervalS: number;
  readonly minSessionS: number;
  /**
   * Value of Contact for a peer that reaches us at this address, by UDP unless told otherwise.
   * @param secure a sips: URI: what was asked for by one stays with it (RFC 3261 §8.1.1.8, §12.1.1)
   */
  contact(localAddress: string, transport?: SipSource['transport'], secure?: boolean): string;
  /** Gives the dialog to another holder, or to none. */
  assign(dialogKey: string, holder: DialogHolder | undefined): void;
}

/** Whoever gets the requests of a dialog. */
export interface DialogHolder {
  /** Where its peer sends from, once it is an answered call. */
  readonly peerAddress?: string;
  /** Has that proved to be its address? Only an ACK does, or another request of the dialog. */
  readonly acknowledged?: boolean;
  /** Any request but ACK and CANCEL, already checked for form. */
  handleRequest(request: IncomingRequest, transaction: ServerTransaction): void;
  /** The ACK of a 2xx. */
  handleAck(request: IncomingRequest): void;
  /** The engine stops: no timer may run on, nothing is sent. */
  abandon(): void;
}

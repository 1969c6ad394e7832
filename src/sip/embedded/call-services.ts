import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { SipSource } from '../engine.ts';
import type { Dialog } from './dialog.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { ClientEvents, ServerTransaction } from './transactions.ts';
import type { HeaderLine, ResponseParts } from './write-response.ts';

/** What a call asks of the user agent it lives in. */
export interface CallServices {
  readonly clock: Clock;
  readonly log: Logger;
  /** Writes a response, sends it by its transaction and counts it. Returns the bytes. */
  respond(transaction: ServerTransaction, request: IncomingRequest, status: number, parts: ResponseParts, repeats?: boolean): Uint8Array;
  /** Sends a request inside the dialog. */
  request(dialog: Dialog, localAddress: string, method: string, headers: readonly HeaderLine[], events: ClientEvents): void;
  /** Value of Contact for a peer that reaches us at this address, by UDP unless told otherwise. */
  contact(localAddress: string, transport?: SipSource['transport']): string;
  /** Gives the dialog to another holder, or to none. */
  assign(dialogKey: string, holder: DialogHolder | undefined): void;
}

/** Whoever gets the requests of a dialog. */
export interface DialogHolder {
  /** Any request but ACK and CANCEL, already checked for form. */
  handleRequest(request: IncomingRequest, transaction: ServerTransaction): void;
  /** The ACK of a 2xx. */
  handleAck(request: IncomingRequest): void;
  /** The engine stops: no timer may run on, nothing is sent. */
  abandon(): void;
}

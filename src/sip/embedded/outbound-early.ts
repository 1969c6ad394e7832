import { sessionDescription } from './admission.ts';
import type { CallServices, DialogHolder } from './call-services.ts';
import { ALLOW, SUPPORTED } from './capabilities.ts';
import type { Dialog } from './dialog.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { SipResponse } from './message.ts';
import { ReliableReceiver } from './reliable-receiver.ts';
import type { ServerTransaction } from './transactions.ts';

/** One branch of a call of ours: what a provisional response with a tag of its own has begun (RFC 3261 §13.2.2.1). */
export class EarlyDialog implements DialogHolder {
  readonly dialog: Dialog;
  readonly #services: CallServices;
  readonly #localAddress: string;
  readonly #reliable = new ReliableReceiver();
  #sdp: string | undefined;

  constructor(services: CallServices, dialog: Dialog, localAddress: string) {
    this.#services = services;
    this.dialog = dialog;
    this.#localAddress = localAddress;
    services.assign(dialog.key, this);
  }

  /** The last description this branch has sent. */
  get sdp(): string | undefined {
    return this.#sdp;
  }

  /** A provisional response of this branch; a reliable one is acknowledged by PRACK. @returns whether it is news */
  take(response: SipResponse): boolean {
    const received = this.#reliable.take(response);
    if (received.type === 'drop') return false;
    this.#sdp = sessionDescription(response) ?? this.#sdp;
    if (received.type === 'acknowledge') {
      const nothing = (): void => undefined; // the peer repeats its response until a PRACK comes through
      this.#services.request(this.dialog, this.#localAddress, 'PRACK', [['RAck', received.rack]], {
        onResponse: nothing,
        onTimeout: nothing,
      });
    }
    return true;
  }

  /** Another branch has answered, or nobody: this one is forgotten. */
  close(): void {
    this.#services.assign(this.dialog.key, undefined);
  }

  handleRequest(request: IncomingRequest, transaction: ServerTransaction): void {
    const respond = (status: number, headers = [ALLOW, SUPPORTED]): void => {
      this.#services.respond(transaction, request, status, { headers });
    };
    if (!this.dialog.takeSequence(request.cseq)) respond(500);
    else if (request.method === 'INFO' || request.method === 'OPTIONS') respond(200);
    else if (request.method !== 'UPDATE') respond(request.method === 'BYE' ? 481 : 405);
    else if (sessionDescription(request.message) !== undefined)
      respond(491); // our own offer is not settled yet (RFC 3311 §5.2)
    else {
      this.dialog.refreshTarget(request);
      const contact = ['Contact', this.#services.contact(this.#localAddress, request.source.transport, this.dialog.secure)] as const;
      this.#services.respond(transaction, request, 200, { headers: [contact, ALLOW, SUPPORTED] });
    }
  }

  handleAck(): void {
    // An ACK belongs to an INVITE of the peer, and in an early dialog there is none.
  }

  abandon(): void {
    // Holds nothing that runs.
  }
}

import type { CallServices } from './call-services.ts';
import type { Flow, Hop } from './flow.ts';
import type { SipResponse } from './message.ts';
import type { ClientEvents } from './transactions.ts';

/** How one INVITE goes out, and with it its CANCEL and the ACK of its refusal: the same Via in all three (RFC 3261 §9.1, §17.1.1.3). */
export interface OutboundWay {
  readonly flow: Flow;
  /** The way that smaller messages take. */
  readonly usual: Flow;
  readonly via: string;
  /** What was written for it. */
  readonly message: Uint8Array;
  /** Too large for a datagram, so it tries TCP: when that is refused it is to be sent anew. */
  readonly mayFail: boolean;
  /** @param acknowledge makes the ACK of a refused INVITE; for INVITE only */
  send(method: string, message: Uint8Array, events: ClientEvents, acknowledge?: (response: SipResponse) => Uint8Array): { forget(): void };
}

/** What a call of ours asks of the user agent beyond what any call does. */
export interface OutboundServices extends CallServices {
  readonly userAgent: string;
  /** No new transaction fits any more, or the process is leaving. */
  readonly takesNoCalls: boolean;
  /** Opens a way outside any dialog, for what `write` makes with its Via. */
  way(hop: Hop, localAddress: string, write: (via: string) => Uint8Array): OutboundWay;
  /** Have we a socket of the family of this address? */
  reaches(address: string): boolean;
  /** The address a peer there reaches us at. */
  localAddressFor(remote: string): string;
}

import type { CallServices } from './call-services.ts';
import type { Flow, Hop } from './flow.ts';
import type { SipResponse } from './message.ts';
import type { ClientEvents } from './transactions.ts';

/** How one INVITE goes out, and with it its CANCEL and the ACK of its refusal: the same Via in all three (RFC 3261 §9.1, §17.1.1.3). */
export interface OutboundWay {
  readonly flow: Flow;
  readonly via: string;
  /** @param acknowledge makes the ACK of a refused INVITE; for INVITE only */
  send(method: string, message: Uint8Array, events: ClientEvents, acknowledge?: (response: SipResponse) => Uint8Array): { forget(): void };
}

/** What a call of ours asks of the user agent beyond what any call does. */
export interface OutboundServices extends CallServices {
  readonly userAgent: string;
  /** No new transaction fits any more, or the process is leaving. */
  readonly takesNoCalls: boolean;
  /** Opens a way outside any dialog. */
  way(hop: Hop, localAddress: string): OutboundWay;
  /** The address a peer there reaches us at. */
  localAddressFor(remote: string): string;
}

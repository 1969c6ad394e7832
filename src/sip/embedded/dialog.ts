import type { Hop } from './flow.ts';
import type { HeaderFields } from './header-fields.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { parseNameAddress } from './name-address.ts';
import { nextHop, type PeerPlace } from './next-hop.ts';
import { parseUri } from './uri.ts';
import { viaAddress } from './via.ts';
import { type Body, finish, type HeaderLine } from './write-response.ts';

/** The key of a dialog in our tables: Call-ID and both tags (RFC 3261 §12). */
export function dialogKey(callId: string, localTag: string, remoteTag: string): string {
  return `${callId} ${localTag} ${remoteTag}`;
}

export interface OutgoingRequest {
  readonly method: string;
  /** Value of our Via. */
  readonly via: string;
  readonly headers?: readonly HeaderLine[];
  readonly body?: Body | undefined;
  /** Of the INVITE, for an ACK; the next number otherwise. */
  readonly cseq?: number;
}

/** What two agents share of a call: tags, sequence numbers, route set and remote target (RFC 3261 §12). */
export class Dialog {
  readonly key: string;
  readonly callId: string;
  readonly #local: string;
  readonly #remote: string;
  readonly #routes: readonly string[];
  #target: string;
  #place: PeerPlace;
  #localSequence = 0;
  #remoteSequence: number;

  /** The dialog an INVITE makes on its receiver's side (RFC 3261 §12.1.1). */
  constructor(invite: IncomingRequest, localTag: string) {
    const { headers } = invite.message;
    this.callId = invite.callId;
    this.key = dialogKey(invite.callId, localTag, invite.fromTag);
    this.#local = `${invite.head.to};tag=${localTag}`;
    this.#remote = invite.head.from;
    this.#routes = headers.elements('record-route') ?? [];
    // RFC 2543 agents may leave Contact out; their From is where they can be reached.
    this.#target = contactUri(invite) ?? invite.from.uri;
    this.#place = placeOf(invite);
    this.#remoteSequence = invite.cseq;
  }

  /** Takes note of a request's number; false when it is older than what has been seen (RFC 3261 §12.2.2: 500). */
  takeSequence(cseq: number): boolean {
    if (cseq < this.#remoteSequence) return false;
    this.#remoteSequence = cseq;
    return true;
  }

  /** A re-INVITE or UPDATE moves the peer to its Contact (RFC 3261 §12.2.2), and to where it came from. */
  refreshTarget(request: IncomingRequest): void {
    this.#target = contactUri(request) ?? this.#target;
    this.#place = placeOf(request);
  }

  /** A 2xx to a re-INVITE or UPDATE of ours does the same. */
  refreshTargetBy(headers: HeaderFields): void {
    this.#target = contactOf(headers) ?? this.#target;
  }

  /** The number of our last request. */
  get localSequence(): number {
    return this.#localSequence;
  }

  /** Where a request of ours goes now. */
  nextHop(): Hop {
    return nextHop(routeUri(this.#routes[0]) ?? this.#target, this.#place);
  }

  /** Writes the next request of ours in this dialog (RFC 3261 §12.2.1.1). */
  writeRequest({ method, via, headers, body, cseq }: OutgoingRequest): Buffer {
    if (cseq === undefined) this.#localSequence += 1;
    const first = routeUri(this.#routes[0]);
    // A first route without ;lr is a strict router: it gets the Request-URI and our target goes last.
    const strict = first !== undefined && !isLoose(first);
    const routes = strict ? [...this.#routes.slice(1), `<${this.#target}>`] : this.#routes;
    let text = `${method} ${withoutHeaders(strict ? first : this.#target)} SIP/2.0\r\nVia: ${via}\r\nMax-Forwards: 70\r\n`;
    for (const route of routes) text += `Route: ${route}\r\n`;
    text += `From: ${this.#local}\r\nTo: ${this.#remote}\r\nCall-ID: ${this.callId}\r\nCSeq: ${cseq ?? this.#localSequence} ${method}\r\n`;
    return finish(text, headers, body);
  }
}

function contactUri(request: IncomingRequest): string | undefined {
  return contactOf(request.message.headers);
}

function contactOf(headers: HeaderFields): string | undefined {
  const contact = headers.first('contact');
  return contact === undefined ? undefined : parseNameAddress(contact)?.uri;
}

function placeOf({ source, via, hops, head }: IncomingRequest): PeerPlace {
  const { address, port } = source;
  const flow = head.flow.reliable ? head.flow : undefined;
  return { source: { address, port }, viaAddress: viaAddress(via), viaPort: via.port, direct: hops === 1, flow };
}

function routeUri(route: string | undefined): string | undefined {
  return route === undefined ? undefined : parseNameAddress(route)?.uri;
}

function isLoose(text: string): boolean {
  const uri = parseUri(text);
  return uri?.type === 'sip' && uri.parameters.has('lr');
}

/** A Request-URI may hold no headers (RFC 3261 §19.1.1). */
function withoutHeaders(uri: string): string {
  const question = uri.indexOf('?');
  return question === -1 ? uri : uri.slice(0, question);
}

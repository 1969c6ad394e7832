import type { Flow, Hop } from './flow.ts';
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

/** What a dialog begins with. From and To are whole header values, tags included, as requests of ours will have them. */
interface DialogStart {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  readonly local: string;
  readonly remote: string;
  readonly routes: readonly string[];
  readonly target: string;
  readonly place: PeerPlace;
  readonly localSequence: number;
  readonly remoteSequence: number;
  readonly secure: boolean;
}

/** What an INVITE of ours and a response to it make a dialog of. */
export interface OutboundStart {
  readonly callId: string;
  readonly localTag: string;
  /** From of our INVITE, with its tag. */
  readonly from: string;
  readonly cseq: number;
  /** Request-URI of our INVITE: where the peer is until it names its Contact. */
  readonly uri: string;
  /** The way the INVITE took. */
  readonly flow: Flow;
  /** It leads through the peer's NAT, and nothing else does. */
  readonly pinned?: boolean;
}

/** What two agents share of a call: tags, sequence numbers, route set and remote target (RFC 3261 §12). */
export class Dialog {
  readonly key: string;
  readonly callId: string;
  /** It was asked for by a sips: URI, so all its URIs are (RFC 3261 §12.1). */
  readonly secure: boolean;
  /** Tags and Call-ID as the peer would write them in Replaces: its own tag is the one of To. */
  readonly asPeerKnowsIt: { readonly callId: string; readonly toTag: string; readonly fromTag: string };
  readonly #local: string;
  readonly #remote: string;
  readonly #routes: readonly string[];
  #target: string;
  #place: PeerPlace;
  #localSequence: number;
  #remoteSequence: number;

  private constructor(start: DialogStart) {
    this.callId = start.callId;
    this.secure = start.secure;
    this.key = dialogKey(start.callId, start.localTag, start.remoteTag);
    this.asPeerKnowsIt = { callId: start.callId, toTag: start.remoteTag || '0', fromTag: start.localTag };
    this.#local = start.local;
    this.#remote = start.remote;
    this.#routes = start.routes;
    this.#target = start.target;
    this.#place = start.place;
    this.#localSequence = start.localSequence;
    this.#remoteSequence = start.remoteSequence;
  }

  /** The dialog an INVITE makes on its receiver's side (RFC 3261 §12.1.1). */
  static ofInvite(invite: IncomingRequest, localTag: string): Dialog {
    return new Dialog({
      callId: invite.callId,
      localTag,
      remoteTag: invite.fromTag,
      local: `${invite.head.to};tag=${localTag}`,
      remote: invite.head.from,
      routes: invite.message.headers.elements('record-route') ?? [],
      // RFC 2543 agents may leave Contact out; their From is where they can be reached.
      target: contactUri(invite) ?? invite.from.uri,
      place: placeOf(invite),
      localSequence: 0,
      remoteSequence: invite.cseq,
      secure: isSecure(invite.message.uri),
    });
  }

  /** The dialog that a response to an INVITE of ours makes (RFC 3261 §12.1.2). */
  static ofResponse({ callId, localTag, from, cseq, uri, flow, pinned }: OutboundStart, headers: HeaderFields): Dialog {
    const to = headers.first('to') ?? '';
    const { remote } = flow;
    return new Dialog({
      callId,
      localTag,
      remoteTag: parseNameAddress(to)?.parameters.get('tag') ?? '',
      local: from,
      remote: to,
      routes: (headers.elements('record-route') ?? []).reverse(),
      target: contactOf(headers) ?? uri,
      place: {
        source: remote,
        viaAddress: remote.address,
        viaPort: remote.port,
        direct: true,
        reaches: reachOf(flow),
        ...(flow.reliable ? { flow } : {}),
        pinned,
      },
      localSequence: cseq,
      remoteSequence: -1,
      secure: isSecure(uri),
    });
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
    // Behind its NAT it stays, whatever address it names next.
    this.#place = { ...placeOf(request), pinned: this.#place.pinned };
  }

  /** A 2xx to a re-INVITE or UPDATE of ours does the same. */
  refreshTargetBy(headers: HeaderFields): void {
    this.#target = contactOf(headers) ?? this.#target;
  }

  /** The number of our last request. */
  get localSequence(): number {
    return this.#localSequence;
  }

  /** The peer's Contact. */
  get remoteTarget(): string {
    return withoutHeaders(this.#target);
  }

  /** Where the peer's last word came from. */
  get peerAddress(): string {
    return this.#place.source.address;
  }

  /** The Request-URI of our next request, for those who sign it. */
  get requestUri(): string {
    const first = routeUri(this.#routes[0]);
    return withoutHeaders(first !== undefined && !isLoose(first) ? first : this.#target);
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
  return {
    source: { address, port },
    viaAddress: viaAddress(via),
    viaPort: via.port,
    direct: hops === 1,
    reaches: reachOf(head.flow),
    flow,
  };
}

function reachOf(flow: Flow): ((address: string) => boolean) | undefined {
  return flow.reaches && ((address) => flow.reaches?.(address) ?? true);
}

function isSecure(uri: string): boolean {
  return /^sips:/i.test(uri);
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

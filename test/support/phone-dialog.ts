import { randomBytes } from 'node:crypto';
import { type Endpoint, endpointText } from './endpoint.ts';
import { endpointOf, type HeaderLine, type SipMessage, uriOf, writeSip } from './sip-message.ts';

export interface DialAddresses {
  /** User part of the Request-URI. */
  readonly user?: string;
  /** The whole Request-URI, when it is not made of `user` and the address. */
  readonly uri?: string;
  /** URI in From; the phone's own when left out. */
  readonly from?: string;
  readonly callId?: string;
}

/** How a call begins: by an INVITE of ours, or one of theirs. */
export type DialogBeginning =
  | { readonly role: 'caller'; readonly to: Endpoint; readonly options: DialAddresses }
  | { readonly role: 'callee'; readonly invite: SipMessage; readonly from: Endpoint };

/** What the phone puts into every request. */
export interface DialogSource {
  readonly uri: string;
  via(branch: string): string;
}

export interface RequestParts {
  readonly branch?: string | undefined;
  readonly cseq?: number | undefined;
  readonly headers?: readonly HeaderLine[] | undefined;
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
  /** As in the first INVITE: the dialled URI and no remote tag. */
  readonly initial?: boolean;
  readonly to?: string | undefined;
}

export function newBranch(): string {
  return `z9hG4bK${randomBytes(8).toString('hex')}`;
}

export function newTag(): string {
  return randomBytes(6).toString('hex');
}

/** The names and addresses of one call (RFC 3261 §12), and requests written with them. */
export class PhoneDialog {
  readonly #source: DialogSource;
  readonly #local: string;
  readonly #remote: string;
  readonly #dialled: string;
  #remoteTag: string | undefined;
  #remoteTarget: string;
  #routes: readonly string[] = [];

  readonly callId: string;
  readonly localTag = newTag();
  /** Where the first message of the call went or came from. */
  readonly peer: Endpoint;
  cseq = 1;

  constructor(source: DialogSource, beginning: DialogBeginning) {
    this.#source = source;
    if (beginning.role === 'caller') {
      const { to, options } = beginning;
      this.callId = options.callId ?? `${randomBytes(8).toString('hex')}@phone`;
      this.peer = to;
      this.#dialled = options.uri ?? `sip:${options.user ?? 'agent'}@${endpointText(to)}`;
      this.#local = `<${options.from ?? source.uri}>`;
      this.#remote = `<${this.#dialled}>`;
      this.#remoteTarget = this.#dialled;
    } else {
      const { invite, from } = beginning;
      this.callId = invite.callId;
      this.peer = from;
      this.#dialled = '';
      this.#local = invite.header('to') ?? '';
      this.#remote = invite.header('from') ?? '';
      this.#remoteTarget = uriOf(invite.header('contact') ?? this.#remote);
      this.#routes = invite.all('record-route');
    }
  }

  /** Takes tag, target and routes from a 2xx to an INVITE of ours. */
  learn(response: SipMessage): void {
    // The From of an INVITE that came in has its tag.
    if (!/;\s*tag=/i.test(this.#remote)) this.#remoteTag = response.toTag;
    const contact = response.header('contact');
    if (contact) this.#remoteTarget = uriOf(contact);
    // Routes are set once; a re-INVITE does not change them (RFC 3261 §12.2).
    if (response.cseq.number === 1) this.#routes = [...response.all('record-route')].reverse();
  }

  /** Where the next request goes. */
  get destination(): Endpoint {
    const [route] = this.#routes;
    return endpointOf(route ? uriOf(route) : this.#remoteTarget) ?? this.peer;
  }

  request(
    method: string,
    { branch, cseq, headers = [], body = '', contentType = 'application/sdp', initial = false, to }: RequestParts = {},
  ): string {
    const remoteTag = this.#remoteTag && !initial ? `;tag=${this.#remoteTag}` : '';
    return writeSip(
      `${method} ${initial ? this.#dialled : this.#remoteTarget} SIP/2.0`,
      [
        ['Via', this.#source.via(branch ?? newBranch())],
        ...this.#routes.map((route) => ['Route', route] as const),
        ['Max-Forwards', '70'],
        ['From', `${this.#local};tag=${this.localTag}`],
        ['To', to ?? `${this.#remote}${remoteTag}`],
        ['Call-ID', this.callId],
        ['CSeq', `${cseq ?? this.cseq} ${method}`],
        ['Contact', `<${this.#source.uri}>`],
        ...headers,
        ...(body ? [['Content-Type', contentType] as const] : []),
      ],
      body,
    );
  }
}

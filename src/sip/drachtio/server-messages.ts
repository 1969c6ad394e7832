import { HeaderFields } from '../embedded/header-fields.ts';
import { spelledName } from '../embedded/header-names.ts';
import { parseMessage, type SipMessage, type SipRequest, type SipResponse } from '../embedded/message.ts';
import { splitElements } from '../embedded/text.ts';
import { parseVia } from '../embedded/via.ts';

/** What the server writes itself, whatever we say. */
const OF_THE_SERVER: ReadonlySet<string> = new Set([
  ...['via', 'max-forwards', 'route', 'record-route', 'contact', 'content-length'],
  // Sessions are refreshed by the server (RFC 4028), and reliable responses numbered (RFC 3262).
  ...['session-expires', 'min-se', 'rseq'],
]);

/** What makes a request a new one: only in those are they ours to say. */
const OF_THE_DIALOG: readonly string[] = ['from', 'to', 'call-id', 'cseq'];

/** A message of ours as the library wants it. */
export interface Outward {
  readonly headers: Record<string, string>;
  readonly body: string | undefined;
}

/** @param dialog whether From, To, Call-ID and CSeq are ours to say */
export function outward(message: SipMessage, dialog: boolean): Outward {
  const { headers, body } = message;
  const registers = /[ \t]REGISTER$/.test(headers.first('cseq') ?? '');
  const written: Record<string, string> = {};
  for (const [name, given] of headers.entries) {
    // A registration is about contacts: ours is at the server, those of phones are theirs.
    const isBinding = registers && name === 'contact';
    const value = isBinding && message.type === 'request' ? atServer(given) : given;
    if ((OF_THE_SERVER.has(name) && !isBinding) || (!dialog && OF_THE_DIALOG.includes(name))) continue;
    const spelled = spelledName(name);
    const text = Buffer.from(value, 'latin1').toString('utf8');
    // The library keeps one value a name and would join them by a comma, which makes one challenge of two.
    const before = written[spelled];
    written[spelled] = before === undefined ? text : `${before}\r\n${spelled}: ${text}`;
  }
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return { headers: written, body: bytes.length === 0 ? undefined : bytes.toString('utf8') };
}

/** The server puts its own address in the place of this host. */
function atServer(contact: string): string {
  return contact.replace(/@(?:\[[^\]]*\]|[^\]:;>]*)(?::\d+)?/, '@localhost');
}

/** What a request of ours looked like when it left the user agent: what its responses must repeat. */
export interface SentLine {
  readonly via: string;
  readonly cseq: string;
}

export function sentLine({ headers }: SipMessage): SentLine {
  return { via: headers.first('via') ?? '', cseq: headers.first('cseq') ?? '' };
}

/** A response of the server, as one to the request that we wrote: by its Via and number, not by the server's. Undefined when it is none. */
export function inwardResponse(raw: string | undefined, sent: SentLine): SipResponse | undefined {
  const message = raw === undefined ? undefined : parseMessage(Buffer.from(raw));
  if (message?.type !== 'response') return undefined;
  return { ...message, headers: replaced(message.headers, { via: sent.via, cseq: sent.cseq }) };
}

/** A request that came by the server; undefined when it is none. @param rack our number of the response that a PRACK means */
export function inwardRequest(raw: string | undefined, rack?: string): SipRequest | undefined {
  const message = raw === undefined ? undefined : parseMessage(Buffer.from(raw));
  if (message?.type !== 'request') return undefined;
  const changes = rack === undefined ? {} : { rack };
  return { ...message, headers: replaced(message.headers, changes, ['session-expires', 'min-se']) };
}

/** A final response that the server never gave. */
export function madeUpResponse(status: number, reason: string, request: SipMessage): SipResponse {
  const kept = request.headers.entries.filter(([name]) => name === 'via' || OF_THE_DIALOG.includes(name));
  const headers = new HeaderFields(
    kept.map(([name]) => name),
    kept.map(([, value]) => value),
  );
  return { type: 'response', status, reason, headers, body: new Uint8Array(0), fault: undefined };
}

/** `branch` and method: by what a response finds its request. */
export function transactionOf({ headers }: SipMessage): string {
  const via = splitElements(headers.first('via') ?? '')?.[0];
  const method = /[ \t](\S+)$/.exec(headers.first('cseq') ?? '')?.[1] ?? '';
  return `${(via === undefined ? undefined : parseVia(via)?.branch) ?? ''} ${headers.first('call-id') ?? ''} ${method}`;
}

function replaced(headers: HeaderFields, changes: Readonly<Record<string, string>>, without: readonly string[] = []): HeaderFields {
  const names = Object.keys(changes);
  const kept = headers.entries.filter(([name]) => !(name in changes) && !without.includes(name));
  return new HeaderFields(
    [...names, ...kept.map(([name]) => name)],
    [...names.map((name) => changes[name] ?? ''), ...kept.map(([, value]) => value)],
  );
}

/** Above any number that a peer may have reached (RFC 3261 §8.1.1.5). */
const LAST_CSEQ = 2 ** 31 - 1;

/** The end of a call whose answer, this one, the server could give to nobody: as if the peer had hung up. */
export function goodbyeAfter({ headers }: SipResponse): SipRequest {
  const of = (name: string): string => headers.first(name) ?? '';
  const via = 'SIP/2.0/UDP server.invalid;branch=z9hG4bKgone';
  const fields = { via, 'max-forwards': '70', from: of('from'), to: of('to'), 'call-id': of('call-id'), cseq: `${LAST_CSEQ} BYE` };
  const body = new Uint8Array(0);
  return {
    ...{ type: 'request', method: 'BYE', uri: 'sip:server.invalid', body, fault: undefined },
    headers: new HeaderFields(Object.keys(fields), Object.values(fields)),
  };
}

/**
 * The BYE that the server has sent for us, when an ACK or a refresh never came: as if the peer had sent it.
 * @param raw as the server sent it, with us in From
 */
export function serverGoodbye(raw: string | undefined): SipRequest | undefined {
  const message = inwardRequest(raw);
  if (message?.method !== 'BYE') return undefined;
  const { headers } = message;
  const turned = { from: headers.first('to') ?? '', to: headers.first('from') ?? '', cseq: `${LAST_CSEQ} BYE` };
  return { ...message, headers: replaced(headers, turned) };
}

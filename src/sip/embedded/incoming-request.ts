import type { SipSource } from '../engine.ts';
import type { Flow } from './flow.ts';
import { bad, type Fault, type SipRequest } from './message.ts';
import { type NameAddress, parseNameAddress } from './name-address.ts';
import { splitElements } from './text.ts';
import { BRANCH_COOKIE, parseVia, type Via, writeReceivedVia } from './via.ts';

/** What every response repeats of its request (RFC 3261 §8.2.6.2), and the way it takes. */
export interface ReplyHead {
  readonly flow: Flow;
  /** Complete Via lines, the top one with received and rport. */
  readonly vias: string;
  readonly from: string;
  readonly to: string;
  /** Whether To has a tag already. */
  readonly toHasTag: boolean;
  readonly callId: string;
  readonly cseq: string;
  /** The length of the request, as far as it is known. */
  readonly sizeBytes?: number | undefined;
}

/** A request whose Via, From, To, Call-ID and CSeq are sound. */
export interface IncomingRequest {
  readonly message: SipRequest;
  readonly method: string;
  readonly source: SipSource;
  readonly head: ReplyHead;
  readonly via: Via;
  /** Via values in all: 1 when the sender is the agent itself and no proxy. */
  readonly hops: number;
  readonly callId: string;
  readonly from: NameAddress;
  /** '' for RFC 2543 agents, which need not send one. */
  readonly fromTag: string;
  readonly to: NameAddress;
  readonly toTag: string | undefined;
  readonly cseq: number;
}

/** Max-Forwards starts at 70, so no honest request has passed more hops (RFC 3261 §8.1.1.6). */
const MAX_VIAS = 70;

/** CSeq numbers are below 2^31 (RFC 3261 §8.1.1.5). */
const MAX_CSEQ = 2 ** 31;

const CSEQ = /^(\d{1,20})[ \t]+([!%'*+.0-9A-Z_`a-z~-]+)$/;

export type ReadRequest =
  | { readonly type: 'request'; readonly request: IncomingRequest }
  /** Malformed; `head` is what a refusal can be made from. */
  | { readonly type: 'fault'; readonly head: ReplyHead; readonly fault: Fault }
  /** Nobody can be told. */
  | { readonly type: 'unanswerable' };

/**
 * Reads what the transport, the transactions and every response need of a request (RFC 3261 §8.1.1, §18.2.1).
 * @param replyFlow the way of responses; its Via is undefined when it cannot be read
 */
export function readRequest(message: SipRequest, source: SipSource, replyFlow: (via: Via | undefined) => Flow): ReadRequest {
  const { headers } = message;
  const vias = headers.all('via');
  if (vias[0] === undefined) return { type: 'unanswerable' };
  const [topText, ...sameLine] = splitElements(vias[0]) ?? [];
  const via = topText === undefined ? undefined : parseVia(topText);
  const below = [...sameLine, ...vias.slice(1)];
  const toText = headers.first('to') ?? '';
  const to = parseNameAddress(toText);
  const head: ReplyHead = {
    flow: replyFlow(via),
    vias: `Via: ${via ? [writeReceivedVia(via, source), ...below].join('\r\nVia: ') : vias.join('\r\nVia: ')}\r\n`,
    from: headers.first('from') ?? '',
    to: toText,
    toHasTag: to ? to.parameters.has('tag') : /;[ \t]*tag[ \t]*=/i.test(toText),
    callId: headers.first('call-id') ?? '',
    cseq: headers.first('cseq') ?? '',
    sizeBytes: message.sizeBytes,
  };
  const fault = (reason: Fault): ReadRequest => ({ type: 'fault', head, fault: reason });
  if (message.fault) return fault(message.fault);
  if (!via || via.branch === '') return fault(bad('Via'));
  if (vias.length > MAX_VIAS) return fault(bad('number of Via'));
  for (const name of ['from', 'to', 'call-id', 'cseq'] as const) {
    if (headers.count(name) !== 1) return fault(bad(SHOWN[name]));
  }
  const from = parseNameAddress(head.from);
  if (!from) return fault(bad('From'));
  if (!to) return fault(bad('To'));
  if (head.callId === '' || /[^!-~\x80-\xff]/.test(head.callId)) return fault(bad('Call-ID'));
  const [, number, method] = CSEQ.exec(head.cseq) ?? [];
  const cseq = Number(number);
  if (!(cseq < MAX_CSEQ) || method !== message.method) return fault(bad('CSeq'));
  return {
    type: 'request',
    request: {
      message,
      method: message.method,
      source,
      head,
      via,
      hops: vias.length + sameLine.length,
      callId: head.callId,
      from,
      fromTag: from.parameters.get('tag') ?? '',
      to,
      toTag: to.parameters.get('tag'),
      cseq,
    },
  };
}

const SHOWN = { from: 'From', to: 'To', 'call-id': 'Call-ID', cseq: 'CSeq' } as const;

/**
 * The key of the server transaction a request belongs to (RFC 3261 §17.2.3): by branch and sent-by, or for RFC 2543
 * agents by what identified a request then.
 * @param method INVITE for the ACK of a refusal and for the INVITE a CANCEL means
 */
export function serverTransactionKey(request: IncomingRequest, method = request.method): string {
  const { via } = request;
  const sentBy = `${via.host}:${via.port ?? ''}`;
  if (via.branch !== undefined && via.branch.length > BRANCH_COOKIE.length && via.branch.startsWith(BRANCH_COOKIE)) {
    return `${via.branch} ${sentBy} ${method}`;
  }
  return `2543 ${request.message.uri} ${request.fromTag} ${request.callId} ${request.cseq} ${sentBy} ${via.branch ?? ''} ${method}`;
}

/** Names a request however many ways it came (RFC 3261 §8.2.2.2): the same by two ways is a merged request. */
export function mergeKey(request: IncomingRequest): string {
  return `${request.callId} ${request.fromTag} ${request.cseq}`;
}

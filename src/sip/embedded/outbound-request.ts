import type { SipResponse } from './message.ts';
import { type Body, finish, type HeaderLine } from './write-response.ts';

/** What all requests of one call of ours have in common until there is a dialog. */
export interface OutboundHead {
  /** Whole value of From, with our tag. */
  readonly from: string;
  /** Whole value of To. */
  readonly to: string;
  readonly callId: string;
}

/** One INVITE of it. */
export interface OutboundLine {
  readonly uri: string;
  readonly via: string;
  readonly cseq: number;
}

/** A request outside a dialog, or the CANCEL of an INVITE (RFC 3261 §8.1.1, §9.1). */
export function writeOutbound(
  method: 'INVITE' | 'CANCEL' | 'OPTIONS' | 'REGISTER',
  { from, to, callId }: OutboundHead,
  { uri, via, cseq }: OutboundLine,
  headers: readonly HeaderLine[],
  body?: Body,
): Buffer {
  const head = `${method} ${uri} SIP/2.0\r\nVia: ${via}\r\nMax-Forwards: 70\r\nFrom: ${from}\r\nTo: ${to}\r\n`;
  return finish(`${head}Call-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\n`, headers, body);
}

/** The ACK of a refusal: To as the response has it (RFC 3261 §17.1.1.3). */
export function writeRefusalAck({ from, to, callId }: OutboundHead, { uri, via, cseq }: OutboundLine, { headers }: SipResponse): Buffer {
  const text = `ACK ${uri} SIP/2.0\r\nVia: ${via}\r\nMax-Forwards: 70\r\nFrom: ${from}\r\nTo: ${headers.first('to') ?? to}\r\n`;
  return finish(`${text}Call-ID: ${callId}\r\nCSeq: ${cseq} ACK\r\n`, undefined, undefined);
}

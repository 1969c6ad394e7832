import { reasonPhrase } from '../sip-status.ts';
import type { ReplyHead } from './incoming-request.ts';

/** A header of ours: name and value as wire text. */
export type HeaderLine = readonly [name: string, value: string];

export interface ResponseParts {
  readonly reason?: string | undefined;
  /** Tag for a To that has none; every response but 100 needs one (RFC 3261 §8.2.6.2). */
  readonly toTag?: string | undefined;
  readonly headers?: readonly HeaderLine[] | undefined;
  readonly body?: Body | undefined;
}

export interface Body {
  readonly type: string;
  readonly text: string;
}

const FULL = { via: 'Via', from: 'From', to: 'To', callId: 'Call-ID', length: 'Content-Length' };
/** RFC 3261 §7.3.3. */
const COMPACT: typeof FULL = { via: 'v', from: 'f', to: 't', callId: 'i', length: 'l' };

/**
 * Writes a response (RFC 3261 §8.2.6). Empty headers of a malformed request are left out.
 * @param compact in short names
 */
export function writeResponse(head: ReplyHead, status: number, parts: ResponseParts, compact = false): Buffer {
  const names = compact ? COMPACT : FULL;
  const tag = parts.toTag !== undefined && !head.toHasTag ? `;tag=${parts.toTag}` : '';
  let text = `SIP/2.0 ${status} ${parts.reason ?? reasonPhrase(status)}\r\n${compact ? head.vias.replaceAll(/^Via: /gm, 'v: ') : head.vias}`;
  if (head.from) text += `${names.from}: ${head.from}\r\n`;
  if (head.to) text += `${names.to}: ${head.to}${tag}\r\n`;
  if (head.callId) text += `${names.callId}: ${head.callId}\r\n`;
  if (head.cseq) text += `CSeq: ${head.cseq}\r\n`;
  return finish(text, parts.headers, parts.body, names.length);
}

/** Ends a message: our headers, Content-Length and the body. `text` is wire text, the body's text is Unicode. */
export function finish(text: string, headers: readonly HeaderLine[] | undefined, body: Body | undefined, length = FULL.length): Buffer {
  let head = text;
  if (headers) for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  if (!body) return Buffer.from(`${head}${length}: 0\r\n\r\n`, 'latin1');
  const bodyBytes = Buffer.byteLength(body.text);
  head += `Content-Type: ${body.type}\r\n${length}: ${bodyBytes}\r\n\r\n`;
  const message = Buffer.allocUnsafe(head.length + bodyBytes);
  message.write(head, 0, 'latin1');
  message.write(body.text, head.length, 'utf8');
  return message;
}

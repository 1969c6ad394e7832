import { HeaderFields } from './header-fields.ts';
import { canonicalName } from './header-names.ts';
import { isBlank, isToken, trimBlanks } from './text.ts';

/** Why a request cannot be served: the status it deserves and a phrase of ours that says what is wrong. */
export interface Fault {
  readonly status: number;
  readonly reason: string;
}

export interface SipRequest {
  readonly type: 'request';
  readonly method: string;
  readonly uri: string;
  readonly headers: HeaderFields;
  readonly body: Uint8Array;
  /** What it took on the wire; unknown of one that somebody else has read. */
  readonly sizeBytes?: number;
  /** Set when the message is malformed but enough of it was read to refuse it politely. */
  readonly fault: Fault | undefined;
}

export interface SipResponse {
  readonly type: 'response';
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderFields;
  readonly body: Uint8Array;
  readonly sizeBytes?: number;
  readonly fault: Fault | undefined;
}

export type SipMessage = SipRequest | SipResponse;

/** No UDP datagram is larger; on streams it is what one message may take. */
export const MAX_MESSAGE_BYTES = 65_535;

/** A busy SBC sends about 40 header lines; 100 leaves room and bounds the work a datagram can cause. */
const MAX_HEADERS = 100;

const CRLF = '\r\n';
const NO_BODY = new Uint8Array(0);

/**
 * Reads one message out of one datagram (RFC 3261 §7, §18.3). Never throws. Undefined for what is no SIP message at all;
 * a message with a `fault` is one that should be refused (a request) or ignored (a response).
 */
export function parseMessage(datagram: Buffer): SipMessage | undefined {
  if (datagram.length > MAX_MESSAGE_BYTES) return undefined;
  let start = 0;
  while (datagram[start] === 0x0d && datagram[start + 1] === 0x0a) start += 2; // RFC 3261 §7.5
  const end = datagram.indexOf('\r\n\r\n', start);
  const head = datagram.toString('latin1', start, end === -1 ? datagram.length : end);
  const lineEnd = head.indexOf(CRLF);
  const startLine = parseStartLine(lineEnd === -1 ? head : head.slice(0, lineEnd));
  if (!startLine) return undefined;
  const { headers, fault: headFault } = parseHeaders(head, lineEnd === -1 ? head.length : lineEnd + 2);
  const body = readBody(datagram, end, headers);
  const fault = startLine.fault ?? headFault ?? body.fault;
  return { ...startLine.line, headers, body: body.bytes, sizeBytes: datagram.length, fault };
}

type StartLine =
  | { readonly type: 'request'; readonly method: string; readonly uri: string }
  | { readonly type: 'response'; readonly status: number; readonly reason: string };

const VERSION = /^SIP\/(\d{1,9})\.(\d{1,9})$/i;
const BAD_URI_CHARACTER = /[^!-~\x80-\xff]|[<>"]/;

function parseStartLine(line: string): { line: StartLine; fault: Fault | undefined } | undefined {
  if (/^SIP\//i.test(line)) return parseStatusLine(line);
  const trimmed = trimBlanks(line);
  const first = trimmed.indexOf(' ');
  const last = trimmed.lastIndexOf(' ');
  if (first === -1 || last === first) return undefined;
  const method = trimmed.slice(0, first);
  const version = VERSION.exec(trimmed.slice(last + 1));
  if (!version || !isToken(method)) return undefined;
  const uri = trimmed.slice(first + 1, last);
  const parsed: StartLine = { type: 'request', method, uri };
  if (version[1] !== '2' || version[2] !== '0') return { line: parsed, fault: { status: 505, reason: 'Version Not Supported' } };
  // Exactly one space between the three, none around them (RFC 3261 §7.1).
  if (trimmed.length !== line.length) return { line: parsed, fault: bad('Request-Line') };
  if (uri === '' || BAD_URI_CHARACTER.test(uri)) return { line: parsed, fault: bad('Request-URI') };
  return { line: parsed, fault: undefined };
}

function parseStatusLine(line: string): { line: StartLine; fault: Fault | undefined } | undefined {
  const match = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/i.exec(line);
  if (!match) return undefined;
  return { line: { type: 'response', status: Number(match[1]), reason: match[2] ?? '' }, fault: undefined };
}

function parseHeaders(head: string, start: number): { headers: HeaderFields; fault: Fault | undefined } {
  const names: string[] = [];
  const values: string[] = [];
  let fault: Fault | undefined;
  for (let at = start; at < head.length; ) {
    let lineEnd = head.indexOf(CRLF, at);
    if (lineEnd === -1) lineEnd = head.length;
    let line = head.slice(at, lineEnd);
    at = lineEnd + 2;
    // Folding: a line that starts with a blank goes on with the one before (RFC 3261 §7.3.1).
    while (at < head.length && isBlank(head.charCodeAt(at))) {
      lineEnd = head.indexOf(CRLF, at);
      if (lineEnd === -1) lineEnd = head.length;
      line += ` ${trimBlanks(head.slice(at, lineEnd))}`;
      at = lineEnd + 2;
    }
    if (names.length === MAX_HEADERS) return { headers: new HeaderFields(names, values), fault: fault ?? bad('number of header fields') };
    const colon = line.indexOf(':');
    const name = colon === -1 ? undefined : canonicalName(trimBlanks(line.slice(0, colon)));
    // A bare CR or LF is how one header is smuggled past a stricter or laxer neighbour.
    if (name === undefined || isBlank(line.charCodeAt(0)) || line.includes('\n') || line.includes('\r')) {
      fault ??= bad('header field');
      continue;
    }
    names.push(name);
    values.push(trimBlanks(line.slice(colon + 1)));
  }
  return { headers: new HeaderFields(names, values), fault };
}

/** @param headEnd where the empty line starts, -1 when there is none */
function readBody(datagram: Buffer, headEnd: number, headers: HeaderFields): { bytes: Uint8Array; fault: Fault | undefined } {
  if (headEnd === -1) return { bytes: NO_BODY, fault: bad('message: no empty line after the header') };
  const rest = datagram.subarray(headEnd + 4);
  const count = headers.count('content-length');
  if (count === 0) return { bytes: rest, fault: undefined }; // allowed over datagrams
  const text = headers.first('content-length') ?? '';
  if (count > 1 || !/^\d{1,9}$/.test(text)) return { bytes: NO_BODY, fault: bad('Content-Length') };
  const length = Number(text);
  if (length > rest.length) return { bytes: NO_BODY, fault: bad('Content-Length') };
  return { bytes: rest.subarray(0, length), fault: undefined };
}

/** A 400 that names what is wrong. */
export function bad(what: string): Fault {
  return { status: 400, reason: `Bad ${what}` };
}

import type { RuleTried } from '../../base/rule-tried.ts';
import { ACCEPT, ACCEPTED_TYPE, ALLOW, ALLOWED_METHODS, KNOWN_METHODS, REGISTER_OPTIONS, SUPPORTED_OPTIONS } from './capabilities.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { bad, type Fault, type SipRequest } from './message.ts';
import { parseNameAddress } from './name-address.ts';
import { readSessionExpires } from './session-expires.ts';
import { splitElements } from './text.ts';
import { parseUri } from './uri.ts';
import type { HeaderLine } from './write-response.ts';

/** A final response the user agent gives by itself. */
export interface Refused extends Fault {
  readonly headers?: readonly HeaderLine[];
  /** The rules looked at, for its record; nothing of it is sent. */
  readonly tried?: readonly RuleTried[];
}

/** Record-Route goes into every request of a dialog; more proxies than Max-Forwards allows hops is no route. */
const MAX_ROUTES = 70;

/**
 * What RFC 3261 §8.2 has a user agent check before it looks at what a request wants, in its order: method, Request-URI,
 * Require, content. Undefined when the request may be served. CANCEL and ACK are not for this function.
 * @param registers whether there is a registrar
 */
export function refuse(request: IncomingRequest, minSessionS: number, registers = false): Refused | undefined {
  const { message, method } = request;
  const malformed = findMalformed(message);
  if (malformed) return malformed;
  const uri = parseUri(message.uri);
  if (!uri) return bad('Request-URI');
  const isRegister = method === 'REGISTER' && registers;
  if (!ALLOWED_METHODS.includes(method) && !isRegister) {
    return KNOWN_METHODS.includes(method)
      ? { status: 405, reason: 'Method Not Allowed', headers: [ALLOW] }
      : { status: 501, reason: 'Not Implemented', headers: [ALLOW] };
  }
  if (uri.type === 'other') return { status: 416, reason: 'Unsupported URI Scheme' };
  if (uri.type === 'sip' && uri.headers !== undefined) return bad('Request-URI'); // no headers in a Request-URI (§19.1.1)
  // A gateway sends calls on, so it looks at the hop count as a proxy does (RFC 7332 §5).
  if (method === 'INVITE' && request.toTag === undefined && message.headers.first('max-forwards') === '0') {
    return { status: 483, reason: 'Too Many Hops' };
  }
  return (
    refuseExtensions(message, isRegister ? REGISTER_OPTIONS : SUPPORTED_OPTIONS) ??
    refuseContent(method, message) ??
    refuseInterval(method, message, minSessionS)
  );
}

/** Header fields that are read by nobody yet must still be well-formed, so that the next one along is not fooled. */
function findMalformed({ method, headers }: SipRequest): Refused | undefined {
  const hops = headers.first('max-forwards');
  if (headers.count('max-forwards') > 1 || (hops !== undefined && !(/^\d{1,9}$/.test(hops) && Number(hops) <= 255)))
    return bad('Max-Forwards');
  if (headers.count('content-type') > 1) return bad('Content-Type');
  const makesDialog = method === 'INVITE' || method === 'UPDATE';
  const contact = headers.first('contact');
  if (contact !== undefined && makesDialog && (headers.count('contact') > 1 || !isSipAddress(contact))) return bad('Contact');
  if (!makesDialog) return headers.all('contact').every((value) => isContact(value, method)) ? undefined : bad('Contact');
  const routes = headers.elements('record-route');
  if (!routes || routes.length > MAX_ROUTES || !routes.every(isSipAddress)) return bad('Record-Route');
  return undefined;
}

function isContact(value: string, method: string): boolean {
  if (value === '*' && method === 'REGISTER') return true;
  return splitElements(value)?.every((contact) => parseNameAddress(contact) !== undefined) ?? false;
}

function isSipAddress(text: string): boolean {
  const address = parseNameAddress(text);
  return address !== undefined && parseUri(address.uri)?.type === 'sip';
}

/** RFC 3261 §8.2.2.3. Proxy-Require is for proxies. */
function refuseExtensions({ headers }: SipRequest, supported: readonly string[]): Refused | undefined {
  const required = headers.elements('require');
  if (!required) return bad('Require');
  const unsupported = required.filter((option) => !supported.includes(option.toLowerCase()));
  if (unsupported.length === 0) return undefined;
  return { status: 420, reason: 'Bad Extension', headers: [['Unsupported', unsupported.join(', ')]] };
}

/** RFC 3261 §8.2.3, and §20.1 for callers that could not read our answer. */
function refuseContent(method: string, { headers, body }: SipRequest): Refused | undefined {
  if (method !== 'INVITE' && method !== 'UPDATE' && method !== 'PRACK') return undefined;
  if (body.length > 0 && !isOptionalContent(headers.first('content-disposition'))) {
    const encoding = headers.first('content-encoding');
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
      return { status: 415, reason: 'Unsupported Media Type', headers: [ACCEPT, ['Accept-Encoding', 'identity']] };
    }
    if (mediaType(headers.first('content-type') ?? '') !== ACCEPTED_TYPE) {
      return { status: 415, reason: 'Unsupported Media Type', headers: [ACCEPT] };
    }
  }
  const accepted = headers.elements('accept') ?? [];
  if (accepted.length > 0 && !accepted.some((range) => [ACCEPTED_TYPE, 'application/*', '*/*'].includes(mediaType(range)))) {
    return { status: 406, reason: 'Not Acceptable' };
  }
  return undefined;
}

/** RFC 4028 §9: a session that would have to be refreshed all the time. */
function refuseInterval(method: string, { headers }: SipRequest, minSessionS: number): Refused | undefined {
  if (method !== 'INVITE' && method !== 'UPDATE') return undefined;
  const asked = readSessionExpires(headers);
  if (asked === 'malformed') return bad('Session-Expires');
  if (!asked || asked.intervalS >= minSessionS) return undefined;
  return { status: 422, reason: 'Session Interval Too Small', headers: [['Min-SE', String(minSessionS)]] };
}

/** `handling=optional` says that the body may be ignored (RFC 3261 §20.11). */
function isOptionalContent(disposition: string | undefined): boolean {
  return disposition !== undefined && /;[ \t]*handling[ \t]*=[ \t]*optional/i.test(disposition);
}

/** `Application/SDP ; charset=x` → `application/sdp`. */
function mediaType(value: string): string {
  const end = value.indexOf(';');
  return (end === -1 ? value : value.slice(0, end)).replaceAll(/[ \t]/g, '').toLowerCase();
}

/** The session description of a message; undefined when it has none, or another body that may be ignored. */
export function sessionDescription({ headers, body }: Pick<SipRequest, 'headers' | 'body'>): string | undefined {
  if (body.length === 0 || mediaType(headers.first('content-type') ?? '') !== ACCEPTED_TYPE) return undefined;
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
}

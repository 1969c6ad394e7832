import { isToken } from './text.ts';

/** What lets somebody in (RFC 3261 §20): no business of whoever is told of a call. */
const CREDENTIALS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'authentication-info',
  'www-authenticate',
  'proxy-authenticate',
]);

/** Compact forms (RFC 3261 §7.3.3 and the extensions that define one). */
const COMPACT: ReadonlyMap<string, string> = new Map([
  ['a', 'accept-contact'],
  ['b', 'referred-by'],
  ['c', 'content-type'],
  ['d', 'request-disposition'],
  ['e', 'content-encoding'],
  ['f', 'from'],
  ['i', 'call-id'],
  ['j', 'reject-contact'],
  ['k', 'supported'],
  ['l', 'content-length'],
  ['m', 'contact'],
  ['n', 'identity-info'],
  ['o', 'event'],
  ['r', 'refer-to'],
  ['s', 'subject'],
  ['t', 'to'],
  ['u', 'allow-events'],
  ['v', 'via'],
  ['x', 'session-expires'],
  ['y', 'identity'],
]);

/** Spellings seen on nearly every message, so that they cost one look-up. */
const USUAL: ReadonlyMap<string, string> = new Map(
  [
    ...['Via', 'From', 'To', 'Call-ID', 'CSeq', 'Max-Forwards', 'Contact', 'Content-Type', 'Content-Length', 'Route', 'Record-Route'],
    ...['Allow', 'Supported', 'Require', 'User-Agent', 'Server', 'Subject', 'Accept', 'Expires', 'Date', 'Reason', 'P-Asserted-Identity'],
    ...['Session-Expires', 'Min-SE', 'Privacy', 'Retry-After', 'Warning', 'Proxy-Require', 'Content-Encoding', 'Content-Disposition'],
    ...['RSeq', 'RAck', 'Authorization', 'Proxy-Authorization', 'WWW-Authenticate', 'Proxy-Authenticate', 'Organization', 'Allow-Events'],
  ].map((name) => [name, name.toLowerCase()]),
);

/** The one form of a header name used inside: long and lower-case. Undefined when it is no token. */
export function canonicalName(name: string): string | undefined {
  const usual = USUAL.get(name);
  if (usual) return usual;
  if (!isToken(name)) return undefined;
  const lower = name.toLowerCase();
  return COMPACT.get(lower) ?? lower;
}

/** By their form inside. */
const SPELLED: ReadonlyMap<string, string> = new Map(Array.from(USUAL, ([spelled, name]) => [name, spelled]));

/** A name as people write it: `Call-ID`, `X-Account`. */
export function spelledName(canonical: string): string {
  return SPELLED.get(canonical) ?? canonical.replace(/(^|-)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase());
}

export function isCredential(canonical: string): boolean {
  return CREDENTIALS.has(canonical);
}

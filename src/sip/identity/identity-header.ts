import { type Faulty, faulty } from './identity-fault.ts';

/** An Identity header as it is written (RFC 8224 §4). */
export interface IdentityHeader {
  /** Base64url; both are empty in the compact form (RFC 8225 §7). */
  readonly header: string;
  readonly payload: string;
  readonly signature: string;
  /** Where the certificate is. */
  readonly info: string;
  readonly alg: string | undefined;
  readonly ppt: string | undefined;
}

/** A PASSporT of a call has some 600 characters; numbers and addresses of a large conference a few thousand. */
const MOST_CHARACTERS = 8192;

const DIGEST = /^[ \t]*([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]+)[ \t]*(?=;|$)/;
const PARAMETER = /;[ \t]*([!%'*+.0-9A-Z_`a-z~-]+)[ \t]*(?:=[ \t]*(<[^<>\s]*>|"[^"\\]*"|[^ \t;"<>]+)[ \t]*)?/y;

/** Reads one Identity header. One name given twice is a fault: two readers could take two different values. */
export function parseIdentityHeader(text: string): IdentityHeader | Faulty {
  const wrong = (why: string): Faulty => faulty('identity', 438, why);
  if (text.length > MOST_CHARACTERS) return wrong(`longer than ${MOST_CHARACTERS} characters`);
  const [digest, header, payload, signature] = DIGEST.exec(text) ?? [];
  if (digest === undefined || header === undefined || payload === undefined || signature === undefined) {
    return wrong('is not header.payload.signature');
  }
  if ((header === '') !== (payload === '')) return wrong('has one of header and payload: it is neither the full nor the compact form');
  const parameters = new Map<string, string>();
  for (let at = digest.length; at < text.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at;
    const [, spelled, value = ''] = PARAMETER.exec(text) ?? [];
    const name = spelled?.toLowerCase();
    if (name === undefined) return wrong('has parameters that cannot be read');
    if (parameters.has(name)) return wrong(`has the parameter ${name} twice`);
    parameters.set(name, value);
  }
  const info = /^<(.+)>$/.exec(parameters.get('info') ?? '')?.[1];
  if (info === undefined) return faulty('identity', 436, 'has no info=<URI>');
  return { header, payload, signature, info, alg: plain(parameters.get('alg')), ppt: plain(parameters.get('ppt')) };
}

/** Some write `ppt="shaken"`. */
function plain(value: string | undefined): string | undefined {
  return value?.replace(/^"(.*)"$/, '$1');
}

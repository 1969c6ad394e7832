import { type Endpoint, formatEndpoint, sameEndpoint } from '../base/addresses.ts';
import { literalEndpoint, parseUri, uriHost } from './embedded/uri.ts';

/** Something that can be dialled by a trunk. */
export interface Destination {
  /** What the allow-list is compared with: a number, a name, or a whole `sip:` URI of another host than the trunk's peer. */
  readonly key: string;
  /** Request-URI. */
  readonly uri: string;
  /** Where the request goes: the peer, or the literal address of the URI. */
  readonly endpoint: Endpoint;
}

/** The longest that is dialled: a number has 15 digits at most, a URI of ours hardly more than its host. */
const MAX_CHARACTERS = 256;

const NUMBER = /^\+?[0-9*#]{1,32}$/;
/** Unreserved characters of a user part (RFC 3261 §25.1). Escapes are refused: they would hide what is dialled from the allow-list. */
const NAME = /^[A-Za-z0-9_.!~+*#-]{1,64}$/;
/** RFC 3966 §5.1.1: visual separators mean nothing. */
const SEPARATORS = /[\s().-]/g;

/** Parameters that change nothing about where a URI leads. */
const HARMLESS: readonly string[] = ['user', 'transport'];

/**
 * Reads what somebody wants to dial: a number with or without separators, a user name at the peer, a `tel:` or a `sip:` URI.
 * A `sip:` URI that leads to the trunk's peer is the same as its user part.
 * @returns a text for people where it cannot be dialled
 */
export function readDestination(text: string, peer: Endpoint): Destination | { readonly fault: string } {
  const wanted = text.trim();
  if (wanted.length === 0 || wanted.length > MAX_CHARACTERS) return { fault: 'no destination, or one that is too long' };
  const scheme = /^([a-z]+):/i.exec(wanted)?.[1]?.toLowerCase();
  if (scheme === 'sip' || scheme === 'sips') return readUri(wanted, peer);
  if (scheme !== undefined && scheme !== 'tel') return { fault: 'only sip: and tel: URIs can be dialled' };
  const plain = scheme === undefined ? wanted : wanted.slice(4);
  const number = plain.replace(SEPARATORS, '');
  if (NUMBER.test(number)) return atPeer(number, peer);
  if (scheme === undefined && NAME.test(plain)) return atPeer(plain, peer);
  return { fault: 'neither a number nor a name' };
}

function readUri(text: string, peer: Endpoint): Destination | { readonly fault: string } {
  const uri = parseUri(text);
  if (uri?.type !== 'sip') return { fault: 'a malformed URI' };
  if (uri.secure) return { fault: 'sips: is not spoken here' };
  if (uri.headers !== undefined) return { fault: 'a URI with headers cannot be dialled' };
  if ([...uri.parameters.keys()].some((name) => !HARMLESS.includes(name)))
    return { fault: 'a URI with these parameters cannot be dialled' };
  const endpoint = literalEndpoint(uri);
  if (!endpoint) return { fault: 'the host is a name, and names are not resolved: give a literal address' };
  const { user } = uri;
  const plain = user?.replaceAll(/%23/g, '#');
  if (plain !== undefined && !NAME.test(plain)) return { fault: 'the user part holds what cannot be dialled' };
  if (plain !== undefined && sameEndpoint(endpoint, peer)) return atPeer(plain, peer);
  const at = user === undefined ? '' : `${user}@`;
  const key = `sip:${at}${formatEndpoint(endpoint)}`;
  return { key, uri: key, endpoint };
}

function atPeer(user: string, peer: Endpoint): Destination {
  return { key: user, uri: `sip:${user.replaceAll('#', '%23')}@${uriHost(peer.address)}:${peer.port}`, endpoint: peer };
}

/** Is it in the list? `+1555*` allows what begins so, everything else is compared whole. `*` alone is every number and name, and no URI. */
export function isAllowed({ key }: Destination, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    if (!pattern.endsWith('*')) return key === normal(pattern);
    const prefix = pattern.slice(0, -1);
    return key.startsWith('sip:') ? prefix.startsWith('sip:') && key.startsWith(prefix) : key.startsWith(prefix);
  });
}

/** A URI without a port means 5060. */
function normal(pattern: string): string {
  const uri = pattern.startsWith('sip:') ? parseUri(pattern) : undefined;
  const endpoint = uri && literalEndpoint(uri);
  if (uri?.type !== 'sip' || !endpoint) return pattern;
  return `sip:${uri.user === undefined ? '' : `${uri.user}@`}${formatEndpoint(endpoint)}`;
}

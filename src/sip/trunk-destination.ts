import { type Endpoint, formatEndpoint, sameEndpoint } from '../base/addresses.ts';
import { literalEndpoint, parseUri, type Uri, uriHost } from './embedded/uri.ts';
import { type NumberRules, rewriteOutbound } from './rewrite-number.ts';
import type { LookUp, Trunk } from './trunk.ts';

/** Something that can be dialled by a trunk. */
export interface Destination {
  /** What the allow-list is compared with: a number, a name, or a whole `sip:` URI of another host than the trunk's peer. */
  readonly key: string;
  /** Request-URI. */
  readonly uri: string;
  /** Where the request goes: the peer, or the literal address of the URI; with `lookUp` its address is that name. */
  readonly endpoint: Endpoint;
  /** Where the request goes is for DNS to say. */
  readonly lookUp?: LookUp;
}

/** The trunk that something is dialled by, as far as it decides where that leads. */
export type DialledBy = Pick<Trunk, 'peer'> & Partial<Pick<Trunk, 'transport' | 'lookUp' | 'destinations'>>;

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
 * Reads what somebody wants to dial: a number with or without separators, a user name at the peer, a `tel:`, a `sip:` or a `sips:` URI.
 * A URI that leads to the trunk's peer is the same as its user part. Another name than the peer's can only be one that the trunk's destinations have
 * whole: nobody makes us ask DNS for names of his.
 * @returns a text for people where it cannot be dialled
 */
export function readDestination(text: string, trunk: DialledBy): Destination | { readonly fault: string } {
  const wanted = text.trim();
  if (wanted.length === 0 || wanted.length > MAX_CHARACTERS) return { fault: 'no destination, or one that is too long' };
  const scheme = /^([a-z]+):/i.exec(wanted)?.[1]?.toLowerCase();
  if (scheme === 'sip' || scheme === 'sips') return readUri(wanted, trunk);
  if (scheme !== undefined && scheme !== 'tel') return { fault: 'only sip:, sips: and tel: URIs can be dialled' };
  const plain = scheme === undefined ? wanted : wanted.slice(4);
  const number = plain.replace(SEPARATORS, '');
  if (NUMBER.test(number)) return atPeer(number, trunk);
  if (scheme === undefined && NAME.test(plain)) return atPeer(plain, trunk);
  return { fault: 'neither a number nor a name' };
}

function readUri(text: string, trunk: DialledBy): Destination | { readonly fault: string } {
  const uri = parseUri(text);
  if (uri?.type !== 'sip') return { fault: 'a malformed URI' };
  if (uri.secure && trunk.transport !== 'tls') return { fault: 'sips: needs a trunk with `transport: tls`' };
  if (uri.headers !== undefined) return { fault: 'a URI with headers cannot be dialled' };
  if ([...uri.parameters.keys()].some((name) => !HARMLESS.includes(name)))
    return { fault: 'a URI with these parameters cannot be dialled' };
  const plain = uri.user?.replaceAll(/%23/g, '#');
  if (plain !== undefined && !NAME.test(plain)) return { fault: 'the user part holds what cannot be dialled' };
  const scheme = uri.secure ? 'sips' : 'sip';
  const at = uri.user === undefined ? '' : `${uri.user}@`;
  const endpoint = literalEndpoint(uri);
  if (!endpoint) return readNamed({ ...uri, at, plain, scheme }, trunk);
  if (plain !== undefined && !trunk.lookUp && sameEndpoint(endpoint, trunk.peer)) return atPeer(plain, trunk, scheme);
  const place = `${at}${formatEndpoint(endpoint)}`;
  return { key: `sip:${place}`, uri: `${scheme}:${place}`, endpoint };
}

function readNamed(
  uri: {
    readonly host: string;
    readonly port: number | undefined;
    readonly at: string;
    readonly plain: string | undefined;
    readonly scheme: Scheme;
  },
  trunk: DialledBy,
): Destination | { readonly fault: string } {
  const { host, port, at, plain, scheme } = uri;
  const { lookUp } = trunk;
  if (plain !== undefined && lookUp?.host === host && lookUp.port === port) return atPeer(plain, trunk, scheme);
  const known = lookUpsOf(trunk).find((each) => each.host === host && each.port === port);
  if (!known) return { fault: 'the host is a name that is not among the destinations of the trunk, and others are not looked up' };
  const place = `${at}${host}${port === undefined ? '' : `:${port}`}`;
  return { key: `sip:${place}`, uri: `${scheme}:${place}`, endpoint: { address: host, port: port ?? 0 }, lookUp: known };
}

type Scheme = 'sip' | 'sips';

function atPeer(user: string, { peer, lookUp }: DialledBy, scheme: Scheme = 'sip'): Destination {
  const port = lookUp ? lookUp.port : peer.port;
  const host = `${uriHost(peer.address)}${port === undefined ? '' : `:${port}`}`;
  return { key: user, uri: `${scheme}:${user.replaceAll('#', '%23')}@${host}`, endpoint: peer, ...(lookUp ? { lookUp } : {}) };
}

/** As the trunk writes it (its `numbers:`); the allow-list has looked at what was asked for. */
export function rewrittenDestination(destination: Destination, trunk: DialledBy & { readonly numbers?: NumberRules }): Destination {
  const { key, uri } = destination;
  if (key.startsWith('sip:')) return destination;
  const user = rewriteOutbound(key, 'called', trunk.numbers);
  return user === key ? destination : { ...atPeer(user, trunk, uri.startsWith('sips:') ? 'sips' : 'sip'), key };
}

/** The names that stand whole among a trunk's destinations. DNS says how to get there, unless the trunk is of another transport than UDP. */
export function lookUpsOf({ destinations = [], transport }: Pick<DialledBy, 'destinations' | 'transport'>): LookUp[] {
  return destinations.flatMap((pattern): LookUp[] => {
    const uri = wholeUri(pattern);
    if (!uri || literalEndpoint(uri)) return [];
    const { host, port } = uri;
    return [{ host, ...(port === undefined ? {} : { port }), ...(transport === undefined || transport === 'udp' ? {} : { transport }) }];
  });
}

/**
 * Is it in the list? `+1555*` allows what begins so, `sip:*@HOST` everybody there, everything else is compared whole. `*` alone is every number and name,
 * and no URI.
 */
export function isAllowed({ key }: Destination, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    if (pattern.startsWith('sip:*@')) return key.startsWith('sip:') && key.slice(key.indexOf('@') + 1) === normal(pattern).slice(6);
    if (!pattern.endsWith('*')) return key === normal(pattern);
    const prefix = pattern.slice(0, -1);
    return key.startsWith('sip:') ? prefix.startsWith('sip:') && key.startsWith(prefix) : key.startsWith(prefix);
  });
}

/** A literal address without a port means 5060; a name without one is for DNS to say. */
function normal(pattern: string): string {
  const uri = wholeUri(pattern);
  if (!uri) return pattern;
  const { user, host, port } = uri;
  const endpoint = literalEndpoint(uri);
  const at = user === undefined ? '' : `${user}@`;
  return `sip:${at}${endpoint ? formatEndpoint(endpoint) : `${host}${port === undefined ? '' : `:${port}`}`}`;
}

function wholeUri(pattern: string): Extract<Uri, { type: 'sip' }> | undefined {
  const uri = pattern.startsWith('sip:') && (!pattern.endsWith('*') || pattern.startsWith('sip:*@')) ? parseUri(pattern) : undefined;
  return uri?.type === 'sip' ? uri : undefined;
}

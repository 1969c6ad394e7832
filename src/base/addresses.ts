import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net';

/** A transport address: a literal IP address (never a name) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** An endpoint with its transport, as ICE names it (RFC 8445 §4); UDP where nothing is said. */
export interface TransportAddress extends Endpoint {
  readonly transport?: 'udp' | 'tcp';
}

/** `192.0.2.1:5060`, `[2001:db8::1]:5060`. Also the key for maps by address. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Reads `host:port` with a literal address; undefined for anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!address || !isIP(address) || !(port <= 65535)) return undefined;
  return { address, port };
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address;
}

/** An IPv4 address that an IPv6 socket shows as ::ffff:192.0.2.1 comes back in its plain form. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address;
}

/**
 * A literal address in the one form that sockets show (RFC 5952; IPv4 never mapped), so that texts can be compared. Undefined for names, and
 * for addresses with a zone (fe80::1%eth0), which mean nothing to anybody else.
 */
export function canonicalAddress(address: string): string | undefined {
  if (isIPv4(address)) return address;
  if (!isIPv6(address) || address.includes('%')) return undefined;
  return plainAddress(new SocketAddress({ address, family: 'ipv6' }).address);
}

/** Who is counted as one sender: an IPv4 address, or the /64 that one IPv6 customer has whole. The address is as sockets show it. */
export function sourceOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [left = '', right] = address.split('::');
  const groups = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const all = right === undefined ? groups : [...groups, ...Array<string>(Math.max(0, 8 - groups.length - tail.length)).fill('0'), ...tail];
  return `${all.slice(0, 4).join(':')}::/64`;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

// Where media is never sent, whatever an SDP says: this-host, broadcast, multicast and reserved ranges (RFC 6890).
const neverMedia = new BlockList();
neverMedia.addAddress('::', 'ipv6');
neverMedia.addSubnet('ff00::', 8, 'ipv6');

function familyOf(address: string): 'ipv4' | 'ipv6' | undefined {
  if (isIPv4(address)) return 'ipv4';
  return isIPv6(address) ? 'ipv6' : undefined;
}

export function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  const family = familyOf(plain);
  return family !== undefined && loopback.check(plain, family);
}

/** May media be sent there at all? No to multicast, broadcast, unspecified and reserved addresses and to ports below 1024. */
export function isMediaTarget({ address, port }: Endpoint): boolean {
  if (!(port >= 1024 && port <= 65535)) return false;
  const plain = plainAddress(address);
  // Asked for every packet: the first number of an IPv4 address says it all, a BlockList takes ten times as long.
  if (isIPv4(plain)) return isMediaNetwork(Number(plain.slice(0, plain.indexOf('.'))));
  return isIPv6(plain) && !neverMedia.check(plain, 'ipv6');
}

/** Not 0.0.0.0/8, 224.0.0.0/4, 240.0.0.0/4. */
function isMediaNetwork(first: number): boolean {
  return first > 0 && first < 224;
}

import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

/** A transport address: a literal IP address (never a name) and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
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

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

// Where media is never sent, whatever an SDP says: this-host, broadcast, multicast and reserved ranges (RFC 6890).
const neverMedia = new BlockList();
neverMedia.addSubnet('0.0.0.0', 8, 'ipv4');
neverMedia.addSubnet('224.0.0.0', 4, 'ipv4');
neverMedia.addSubnet('240.0.0.0', 4, 'ipv4');
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
  const plain = plainAddress(address);
  const family = familyOf(plain);
  return family !== undefined && !neverMedia.check(plain, family) && port >= 1024 && port <= 65535;
}

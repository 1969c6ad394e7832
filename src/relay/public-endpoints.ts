import { isIPv6 } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { type Endpoint, isLoopback, type TransportAddress } from '../base/addresses.ts';

type Interfaces = Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'family' | 'internal'>[] | undefined>>;

/** An SDP answer with more candidates than this only slows the client's checks down. */
const MAX_ENDPOINTS = 8;

/**
 * Where clients reach a relay, best first: the public address if one is configured, then the address it is bound to, or all addresses of the
 * machine when it is bound to all, IPv4 and IPv6 in turn. The public address stands for the machine's addresses of its own family. A bridge on
 * the same machine must reach it too, even behind a NAT that does not turn packets back, so loopback is in the list unless the relay is
 * bound to one address.
 */
export function publicEndpoints(
  bound: Endpoint,
  publicAddress?: string,
  interfaces: Interfaces = networkInterfaces(),
): readonly Endpoint[] {
  const { address, port } = bound;
  const addresses = publicAddress === undefined ? [] : [publicAddress];
  if (address !== '0.0.0.0' && address !== '::') addresses.push(address);
  else {
    const families = address === '::' ? (['IPv4', 'IPv6'] as const) : (['IPv4'] as const);
    const own = families.filter((family) => publicAddress === undefined || isIPv6(publicAddress) !== (family === 'IPv6'));
    addresses.push(...inTurn(own.map((family) => external(interfaces, family))));
    addresses.splice(MAX_ENDPOINTS - 1);
    addresses.push('127.0.0.1');
  }
  return [...new Set(addresses)].map((each) => ({ address: each, port }));
}

/** Link-local addresses mean nothing without the zone of whoever asks. */
function external(interfaces: Interfaces, family: 'IPv4' | 'IPv6'): string[] {
  return Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter((each) => each.family === family && !each.internal && !/^fe[89ab]/i.test(each.address))
    .map(({ address }) => address);
}

/** One of each list after the other: none crowds the others out. */
function inTurn(lists: readonly (readonly string[])[]): string[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list[i] ?? [])).flat();
}

/** A client opens a connection to each at once, and most will never need one. */
const MAX_TCP_CANDIDATES = 2;

/**
 * What an SDP answer names: every endpoint over UDP, then the best ones over TCP (RFC 6544). Not loopback, where UDP always works, unless there
 * is nothing else.
 */
export function publicCandidates(endpoints: readonly Endpoint[]): readonly TransportAddress[] {
  const outside = endpoints.filter(({ address }) => !isLoopback(address));
  const overTcp = (outside.length > 0 ? outside : endpoints).slice(0, MAX_TCP_CANDIDATES);
  return [
    ...endpoints.map((each): TransportAddress => ({ ...each, transport: 'udp' })),
    ...overTcp.map((each): TransportAddress => ({ ...each, transport: 'tcp' })),
  ];
}

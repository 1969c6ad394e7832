import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { type Endpoint, formatEndpoint, isLoopback, type TransportAddress } from '../base/addresses.ts';

type Interfaces = Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'family' | 'internal'>[] | undefined>>;

/** An SDP answer with more candidates than this only slows the client's checks down. */
const MAX_ENDPOINTS = 8;

/**
 * Where clients reach a relay, best first: the public address if one is configured, then the address it is bound to, or all IPv4
 * addresses of the machine when it is bound to all. A bridge on the same machine must reach it too, even behind a NAT that does not turn
 * packets back, so loopback is in the list unless the relay is bound to one address.
 */
export function publicEndpoints(
  bound: Endpoint,
  publicAddress?: string,
  interfaces: Interfaces = networkInterfaces(),
): readonly Endpoint[] {
  const { port } = bound;
  const addresses: string[] = [];
  if (publicAddress !== undefined) addresses.push(publicAddress);
  if (bound.address !== '0.0.0.0' && bound.address !== '::') addresses.push(bound.address);
  else {
    if (publicAddress === undefined) addresses.push(...external(interfaces));
    addresses.splice(MAX_ENDPOINTS - 1);
    addresses.push('127.0.0.1');
  }
  const endpoints = addresses.map((address) => ({ address, port }));
  return endpoints.filter((each, i) => endpoints.findIndex((other) => formatEndpoint(other) === formatEndpoint(each)) === i);
}

function external(interfaces: Interfaces): string[] {
  return Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
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

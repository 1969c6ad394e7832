import { BlockList, isIPv4 } from 'node:net';
import { type Endpoint, isLoopback, plainAddress } from '../../base/addresses.ts';
import type { Flow, Hop } from './flow.ts';
import { isOverTls, literalEndpoint, parseUri, type Uri } from './uri.ts';
import { SIP_PORT, SIPS_PORT } from './via.ts';

/** What the peer's last INVITE or UPDATE showed of where it stands. */
export interface PeerPlace {
  /** Where the packet really came from. */
  readonly source: Endpoint;
  /** sent-by host of its top Via, without brackets. */
  readonly viaAddress: string;
  /** Whether the sender is the agent itself: a single Via. */
  readonly direct: boolean;
  /** The connection it came by; undefined for a datagram. */
  readonly flow?: Flow | undefined;
  /** Have we a socket of the family of this address? Of every family when absent. */
  readonly reaches?: ((address: string) => boolean) | undefined;
  /** sent-by port of its top Via: where a peer by TCP listens, as far as is known. */
  readonly viaPort?: number | undefined;
  /** What it says of itself counts for nothing: it registered from there, and the way back is the only one through its NAT. */
  readonly pinned?: boolean | undefined;
}

const privateNet = new BlockList();
privateNet.addSubnet('10.0.0.0', 8, 'ipv4');
privateNet.addSubnet('172.16.0.0', 12, 'ipv4');
privateNet.addSubnet('192.168.0.0', 16, 'ipv4');
privateNet.addSubnet('100.64.0.0', 10, 'ipv4'); // carrier-grade NAT, RFC 6598
privateNet.addSubnet('fc00::', 7, 'ipv6');

const linkLocal = new BlockList();
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4');
linkLocal.addSubnet('fe80::', 10, 'ipv6');

const nobody = new BlockList();
nobody.addSubnet('0.0.0.0', 8, 'ipv4');
nobody.addSubnet('224.0.0.0', 3, 'ipv4'); // multicast, reserved, broadcast
nobody.addAddress('::', 'ipv6');
nobody.addSubnet('ff00::', 8, 'ipv6');

/** How far an address reaches: a peer that came from further away than its Contact reaches is behind a NAT. */
function reach(address: string): number {
  const plain = plainAddress(address);
  const family = isIPv4(plain) ? 'ipv4' : 'ipv6';
  if (nobody.check(plain, family)) return -1;
  if (isLoopback(plain)) return 0;
  if (linkLocal.check(plain, family)) return 1;
  return privateNet.check(plain, family) ? 2 : 3;
}

/**
 * Where a request inside a dialog goes. The URI of the first route or of the Contact decides when it is a literal address that
 * can be meant; the source of the INVITE otherwise:
 * - for a name: nothing is resolved here, and the source is known to work;
 * - for an address of a family that we have no socket for;
 * - for an address of narrower scope than the source's (a private Contact that came from a public address), and for
 *   multicast, broadcast and 0.0.0.0;
 * - for a peer behind a NAT that keeps its scope: it sent directly, its Via names another address than the packet's source,
 *   and the Contact repeats that address.
 * The connection the INVITE came by is taken as long as it stands, if the hop is the same machine; another one is opened
 * otherwise (RFC 5923 §4). A WebSocket cannot be opened from here, so its dialogs live with it. The URI's transport counts
 * where it can; what began over TLS never goes on in the clear.
 * @param uri of the first route, or the remote target
 */
export function nextHop(uri: string, place: PeerPlace): Hop {
  const parsed = parseUri(uri);
  const named = parsed && literalEndpoint(parsed);
  const { source, flow } = place;
  if (place.pinned) return sourceHop(place, source.port);
  const asked = parsed && transportOf(parsed);
  if (!named || flow?.transport === 'ws' || flow?.transport === 'wss' || !isMeant(plainAddress(named.address), named.address, place)) {
    return sourceHop(place, named?.port);
  }
  const address = plainAddress(named.address);
  const same = address === source.address;
  const transport = asked ?? (same && flow ? flow.transport : 'udp');
  if (flow?.transport === 'tls' && transport !== 'tls') return sourceHop(place, undefined);
  const tls = transport === 'tls' && flow?.tls ? { tls: flow.tls } : {};
  return { address, port: named.port, transport, ...tls, ...(same && flow?.transport === transport ? { flow } : {}) };
}

/** What a URI asks for, among what we could dial. */
function transportOf(uri: Uri): 'udp' | 'tcp' | 'tls' | undefined {
  if (isOverTls(uri)) return 'tls';
  const asked = uri.type === 'sip' ? uri.parameters.get('transport')?.toLowerCase() : undefined;
  if (asked === undefined) return undefined;
  return asked === 'tcp' ? 'tcp' : 'udp';
}

/** Whether an address can be meant by a peer that stands there. */
function isMeant(address: string, written: string, { source, viaAddress, direct, reaches }: PeerPlace): boolean {
  if (address === source.address) return true;
  if (reaches?.(address) === false) return false;
  if (reach(address) < reach(source.address)) return false;
  return !(direct && viaAddress !== source.address && viaAddress === written);
}

/** Back where the INVITE came from. The far port of a connection is nobody's to listen on, so another one is tried when it is gone. */
function sourceHop({ source, flow, viaPort }: PeerPlace, namedPort: number | undefined): Hop {
  const { address, port } = source;
  if (!flow) return { address, port, transport: 'udp' };
  const { transport, tls } = flow;
  return { address, port: namedPort ?? viaPort ?? (transport === 'tls' ? SIPS_PORT : SIP_PORT), transport, flow, ...(tls ? { tls } : {}) };
}

import { BlockList, isIP, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback, plainAddress } from './addresses.ts';

/** One address of this machine with its subnet, as os.networkInterfaces tells it. */
export interface InterfaceAddress {
  readonly address: string;
  readonly cidr: string | null;
  readonly internal: boolean;
}

/**
 * The local address a peer can reach us at: what `bind` says when it is one address; else, for a socket bound to all
 * interfaces, loopback for a peer on loopback, the address that shares the peer's subnet (the narrowest one), or the first
 * address that leaves the machine. Asks no route and sends nothing.
 * @param remote literal address of the peer
 */
export function localAddressTowards(bind: string, remote: string, interfaces?: readonly InterfaceAddress[]): string {
  if (!isUnspecified(bind)) return plainAddress(bind);
  const peer = withoutZone(plainAddress(remote));
  const family = isIPv6(peer) ? 'ipv6' : 'ipv4';
  if (isLoopback(peer)) return family === 'ipv6' ? '::1' : '127.0.0.1';
  // Asking the system takes 80 µs, so it comes after the cases that need no asking.
  const candidates = (interfaces ?? ownAddresses()).filter((each) => (isIPv6(each.address) ? 'ipv6' : 'ipv4') === family);
  let best: InterfaceAddress | undefined;
  let bestBits = -1;
  for (const each of candidates) {
    const [network, bitsText] = each.cidr?.split('/') ?? [];
    const bits = Number(bitsText);
    if (!network || !isIP(network) || !isIP(peer) || bits <= bestBits) continue;
    const subnet = new BlockList();
    subnet.addSubnet(network, bits, family);
    if (subnet.check(peer, family)) [best, bestBits] = [each, bits];
  }
  best ??= candidates.find((each) => !each.internal && !each.address.startsWith('fe80:')) ?? candidates.find((each) => !each.internal);
  return best?.address ?? (family === 'ipv6' ? '::1' : '127.0.0.1');
}

/** Can a socket bound there reach that address? One bound to all of IPv6 speaks IPv4 too. */
export function speaksTo(bind: string, remote: string): boolean {
  return bind === '::' || sameFamily(bind, remote);
}

function sameFamily(a: string, b: string): boolean {
  return isIPv6(plainAddress(a)) === isIPv6(plainAddress(b));
}

/** Where the doors of this machine are. */
export interface OwnPlace {
  readonly bind: string;
  /** What others know us by. Stands for the addresses of its own family: behind a NAT of IPv4, IPv6 peers come directly. */
  readonly publicAddress?: string | undefined;
}

/** The address to name to a peer as ours; undefined when it cannot be reached from here. */
export function announcedAddress({ bind, publicAddress }: OwnPlace, remote: string): string | undefined {
  if (!speaksTo(bind, remote)) return undefined;
  if (publicAddress !== undefined && sameFamily(publicAddress, remote)) return publicAddress;
  return localAddressTowards(bind, remote);
}

function ownAddresses(): InterfaceAddress[] {
  return Object.values(networkInterfaces()).flatMap((each) => each ?? []);
}

function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::' || address === '';
}

/** `fe80::1%eth0` without its zone: subnets know no zones. */
function withoutZone(address: string): string {
  const percent = address.indexOf('%');
  return percent === -1 ? address : address.slice(0, percent);
}

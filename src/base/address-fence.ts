import { BlockList, isIP, isIPv4 } from 'node:net';
import { canonicalAddress } from './addresses.ts';

/** Addresses that servers may have although they are special; with a port only there. */
export interface AllowedNetwork {
  readonly address: string;
  /** Length of the network's prefix. */
  readonly bits: number;
  /** undefined: any. */
  readonly port?: number | undefined;
}

/** IPv4 blocks of the IANA special-purpose registry (RFC 6890), multicast and what is reserved: nobody's public service is there. */
const SPECIAL_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];

/** Of IPv6 only what is given out as global unicast is public, and these parts of it are special all the same. */
const GLOBAL_V6 = ['2000::', 3] as const;
const SPECIAL_V6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
];

const specialV4 = blockList('ipv4', SPECIAL_V4);
const globalV6 = blockList('ipv6', [GLOBAL_V6]);
const specialV6 = blockList('ipv6', SPECIAL_V6);

/** Is this a literal address of a machine on the public internet? Names, zones, and what hides an IPv4 address (NAT64, 6to4, Teredo) are not. */
export function isPublicAddress(address: string): boolean {
  const plain = canonicalAddress(address);
  if (plain === undefined) return false;
  if (isIPv4(plain)) return !specialV4.check(plain, 'ipv4');
  return globalV6.check(plain, 'ipv6') && !specialV6.check(plain, 'ipv6');
}

/** Who may be connected to: the public internet, and what is allowed by name. Asked with the address that is connected to, never with a name. */
export class AddressFence {
  readonly #allowed: readonly { readonly network: BlockList; readonly port: number | undefined }[];

  constructor(allowed: readonly AllowedNetwork[]) {
    this.#allowed = allowed.map(({ address, bits, port }) => ({
      network: blockList(isIPv4(address) ? 'ipv4' : 'ipv6', [[address, bits]]),
      port,
    }));
  }

  /** @param isEncrypted without encryption only what is allowed by name may be connected to */
  permits(address: string, port: number, isEncrypted: boolean): boolean {
    return this.allows(address, port) || (isEncrypted && isPublicAddress(address));
  }

  /** Is it allowed by name? */
  allows(address: string, port: number): boolean {
    const plain = canonicalAddress(address);
    if (plain === undefined) return false;
    const family = isIPv4(plain) ? 'ipv4' : 'ipv6';
    return this.#allowed.some((each) => (each.port === undefined || each.port === port) && each.network.check(plain, family));
  }
}

/** The literal address in a URL's host; undefined for a name. */
export function literalHost(url: URL): string | undefined {
  const host = url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
  return isIP(host) ? host : undefined;
}

function blockList(family: 'ipv4' | 'ipv6', networks: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [address, bits] of networks) list.addSubnet(address, bits, family);
  return list;
}

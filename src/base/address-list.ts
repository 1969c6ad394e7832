import { BlockList, isIPv6 } from 'node:net';
import { plainAddress } from './addresses.ts';

/** Addresses and networks (`192.0.2.0/24`, `fd00::/8`), all literal. */
export function addressList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const each of entries) {
    const [address = '', prefix] = each.split('/');
    if (prefix === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(prefix), familyOf(address));
  }
  return list;
}

/** Is this literal address in the list? An IPv4 address that an IPv6 socket shows counts as what it is. */
export function isListed(list: BlockList, address: string): boolean {
  const plain = plainAddress(address);
  return list.check(plain, familyOf(plain));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4';
}

import { isIP, isIPv6 } from 'node:net';
import { text } from './model-fields.ts';

/** An entry of a list of addresses, as base/address-list.ts reads it. */
export const listedNetwork = text(64).refine((value) => {
  const [address = '', prefix, ...rest] = value.split('/');
  if (isIP(address) === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (isIPv6(address) ? 128 : 32));
}, 'an address, or a network like 192.0.2.0/24');

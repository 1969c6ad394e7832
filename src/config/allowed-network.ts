import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { canonicalAddress } from '../base/addresses.ts';

/** Addresses that may be connected to although they are not on the public internet. */
export interface AllowedNetworkConfig {
  readonly address: string;
  readonly bits: number;
  readonly port?: number;
}

/** `10.0.0.5`, `10.0.0.0/8`, `127.0.0.1:3001`, `[::1]:3001`, `fd00::/8`. */
export const allowedNetwork = z.string({ error: 'must be text' }).transform((value, context): AllowedNetworkConfig => {
  const match = /^(?:\[([^\]/]+)\]|([^/[\]]+?))(?:\/(\d{1,3}))?(?::(\d{1,5}))?$/.exec(value.trim());
  const [, bracketed, plain = '', bitsText, portText] = match ?? [];
  // Of an IPv6 address without brackets the last part is no port.
  const whole = canonicalAddress(value.trim());
  const address = whole ?? canonicalAddress(bracketed ?? plain);
  if (address === undefined) {
    context.addIssue({
      code: 'custom',
      message: 'a literal address, with /BITS for a network and :PORT for one port of it (IPv6 with a port in brackets)',
    });
    return z.NEVER;
  }
  const most = isIPv4(address) ? 32 : 128;
  const bits = whole !== undefined || bitsText === undefined ? most : Number(bitsText);
  const port = whole !== undefined || portText === undefined ? undefined : Number(portText);
  if (bits > most) context.addIssue({ code: 'custom', message: `a prefix has at most ${most} bits` });
  if (port !== undefined && (port < 1 || port > 65535)) context.addIssue({ code: 'custom', message: 'a port is 1 to 65535' });
  return { address, bits, ...(port === undefined ? {} : { port }) };
});

/** As it was written. */
export function shownNetwork({ address, bits, port }: AllowedNetworkConfig): string {
  const named = isIPv4(address) || port === undefined ? address : `[${address}]`;
  const whole = bits === (isIPv4(address) ? 32 : 128);
  return `${named}${whole ? '' : `/${bits}`}${port === undefined ? '' : `:${port}`}`;
}

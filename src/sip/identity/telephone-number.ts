import { parseUri } from '../embedded/uri.ts';

/** E.164 has 15 digits; with what private plans and the # and * of services add. */
const NUMBER = /^[0-9*#]{1,32}$/;

/** A number in the form in which PASSporTs are compared (RFC 8224 §8.3): digits, `#` and `*`. Undefined when it is none. */
export function canonicalNumber(text: string): string | undefined {
  const bare = text.replaceAll(/[ ().-]/g, '').replace(/^\+/, '');
  return NUMBER.test(bare) ? bare : undefined;
}

/** The number in a tel: URI, or in the user part of a sip: one; undefined when there is none. */
export function numberOfUri(text: string): string | undefined {
  const uri = parseUri(text);
  if (uri?.type === 'tel') return canonicalNumber(uri.number);
  if (uri?.type !== 'sip' || uri.user === undefined) return undefined;
  return canonicalNumber((uri.user.split(/[:;]/, 1)[0] ?? '').replaceAll(/%(23|2A|2B)/gi, decodeURIComponent));
}

/** A SIP URI in the form in which PASSporTs are compared (RFC 8224 §8.5): scheme, user and host, no parameters. */
export function canonicalUri(text: string): string | undefined {
  const uri = parseUri(text);
  if (uri?.type !== 'sip') return undefined;
  const user = uri.user?.split(/[:;]/, 1)[0];
  return `${uri.secure ? 'sips' : 'sip'}:${user === undefined ? '' : `${user}@`}${uri.host}`;
}

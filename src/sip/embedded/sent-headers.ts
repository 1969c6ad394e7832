import { GatewayError } from '../../base/errors.ts';
import { encodeText, isToken } from './text.ts';
import type { HeaderLine } from './write-response.ts';

const MAX_HEADERS = 20;
const MAX_CHARACTERS = 1024;

/** Besides `X-…`: what says something about a call and steers no message. */
const ALLOWED: readonly string[] = [
  'subject',
  'user-to-user',
  'history-info',
  'diversion',
  'referred-by',
  'replaces',
  'privacy',
  'p-asserted-identity',
  'reason',
];

/**
 * Header fields that somebody wants in a request of ours, as they are written. A line break would end the field and begin another one.
 * @throws GatewayError ERR_FORBIDDEN for what may not be set, or does not fit
 */
export function sentHeaderLines(headers: readonly (readonly [name: string, value: string])[]): HeaderLine[] {
  if (headers.length > MAX_HEADERS) throw new GatewayError('ERR_FORBIDDEN', `more than ${MAX_HEADERS} headers`);
  return headers.map(([name, value]) => {
    const lower = name.toLowerCase();
    if (!isToken(name) || !(lower.startsWith('x-') || ALLOWED.includes(lower))) {
      throw new GatewayError('ERR_FORBIDDEN', `a call may not set the header ${name.slice(0, 64)}`);
    }
    if (value.length > MAX_CHARACTERS || /\p{Cc}/u.test(value.replaceAll('\t', ' '))) {
      throw new GatewayError('ERR_FORBIDDEN', `the header ${name} does not fit`);
    }
    return [name, encodeText(value)];
  });
}

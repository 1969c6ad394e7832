import type { Refusal } from '../engine.ts';
import { encodeText } from './text.ts';
import type { HeaderLine, ResponseParts } from './write-response.ts';

/** A refusal of the application as parts of a response: Retry-After, and Warning 399 with its text (RFC 3261 §20.43). */
export function refusalParts(refusal: Refusal): ResponseParts {
  const headers: HeaderLine[] = [];
  if (refusal.retryAfterS !== undefined) headers.push(['Retry-After', String(Math.max(0, Math.ceil(refusal.retryAfterS)))]);
  if (refusal.warning !== undefined) headers.push(['Warning', `399 ringdown ${quotedString(refusal.warning)}`]);
  const reason = refusal.reason === undefined ? undefined : encodeText(oneLine(refusal.reason));
  return { reason, headers };
}

/** A quoted string (RFC 3261 §25.1): one line, quotes escaped. */
export function quotedString(text: string): string {
  return `"${encodeText(oneLine(text)).replaceAll(/["\\]/g, '\\$&')}"`;
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\0]+/g, ' ');
}

import { isBlank } from './text.ts';

/** `;name=value` pairs, names in lower case; a quoted value keeps its quotes, a flag has no value. */
export type Parameters = ReadonlyMap<string, string | undefined>;

const NONE: Parameters = new Map();

const PARAMETER = /[ \t]*;[ \t]*([!%'*+.0-9A-Z_`a-z~-]+)(?:[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^ \t",;<>]+))?/y;

/**
 * Reads parameters from `at` to the end of the text, with blanks allowed where RFC 3261 allows them. Undefined when
 * anything else stands there, or when one name comes twice (RFC 3261 §7.3.1).
 */
export function parseParameters(text: string, at: number): Parameters | undefined {
  let end = text.length;
  while (end > at && isBlank(text.charCodeAt(end - 1))) end -= 1;
  if (at >= end) return NONE;
  const parameters = new Map<string, string | undefined>();
  while (at < end) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(text);
    const name = match?.[1]?.toLowerCase();
    if (name === undefined || parameters.has(name)) return undefined;
    parameters.set(name, match?.[2]);
    at = PARAMETER.lastIndex;
  }
  return parameters;
}

export function writeParameters(parameters: Parameters): string {
  let text = '';
  for (const [name, value] of parameters) text += value === undefined ? `;${name}` : `;${name}=${value}`;
  return text;
}

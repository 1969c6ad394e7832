/** The parameters of a Digest challenge or of credentials, names in lower case, values without their quotes. */
export type DigestParameters = ReadonlyMap<string, string>;

/** No honest challenge comes near: it bounds what one header line can cost. */
const MAX_CHARACTERS = 4096;

const SCHEME = /^[ \t]*digest[ \t]+/i;
const PARAMETER = /[ \t]*([!%'*+.0-9A-Z_`a-z~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^ \t",;]+))[ \t]*(,|$)/y;

/**
 * Reads `Digest name=value, name="value"` (RFC 7616 §3.3, §3.4). What stands in quotes is kept as it was written, escapes included: both ends
 * hash those characters. Undefined for another scheme, for anything malformed, and when a name comes twice.
 */
export function parseDigest(value: string): DigestParameters | undefined {
  const start = SCHEME.exec(value)?.[0].length;
  if (start === undefined || value.length > MAX_CHARACTERS) return undefined;
  const parameters = new Map<string, string>();
  for (let at = start; at < value.length; at = PARAMETER.lastIndex) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(value);
    const name = match?.[1]?.toLowerCase();
    if (name === undefined || parameters.has(name)) return undefined;
    parameters.set(name, match?.[2] ?? match?.[3] ?? '');
    if (match?.[4] === '') break;
  }
  return parameters.size === 0 ? undefined : parameters;
}

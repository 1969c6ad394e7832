interface Field {
  readonly name: string;
  readonly value: string;
}

/** What says that somebody has looked; only a network that is trusted may say so. */
const FINDINGS = /^p-(?:attestation-indicator|origination-id)$/i;
const ANY_VERSTAT = /;[ \t]*verstat[ \t]*=[^;@>,\s"?]*/gi;

/** Header fields without what somebody claims that others have found. */
export function withoutVerstat(headers: readonly Field[]): readonly Field[] {
  return headers
    .filter(({ name }) => !FINDINGS.test(name))
    .map(({ name, value }) => ({ name, value: /verstat/i.test(value) ? value.replace(ANY_VERSTAT, '') : value }));
}

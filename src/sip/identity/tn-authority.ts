import { readDer } from '../../base/read-der.ts';
import { canonicalNumber } from './telephone-number.ts';

/** For which numbers a certificate speaks: the TN Authorization List (RFC 8226 §9). */
export interface TnAuthority {
  /** Service provider codes: for all numbers of that provider. Which ones these are, no certificate says. */
  readonly providers: readonly string[];
  readonly ranges: readonly { readonly start: string; readonly count: bigint }[];
}

const TAG = { provider: 0xa0, range: 0xa1, one: 0xa2, ia5String: 0x16, integer: 0x02, sequence: 0x30 } as const;

/** Blocks of numbers that one certificate has. */
const MOST_ENTRIES = 10_000;
const MOST_CODE = 64;
const MOST_COUNT_BYTES = 8;

/** Reads the value of the extension; undefined when it is malformed. */
export function readTnAuthority(value: Uint8Array): TnAuthority | undefined {
  const [list, ...more] = readDer(value) ?? [];
  const entries = list?.tag === TAG.sequence && more.length === 0 ? readDer(list.content) : undefined;
  if (!entries || entries.length === 0 || entries.length > MOST_ENTRIES) return undefined;
  const providers: string[] = [];
  const ranges: { start: string; count: bigint }[] = [];
  for (const { tag, content } of entries) {
    const [inner, ...rest] = readDer(content) ?? [];
    if (!inner || rest.length > 0) return undefined;
    const text = inner.tag === TAG.ia5String ? inner.content.toString('latin1') : undefined;
    if (tag === TAG.provider && text !== undefined && text.length <= MOST_CODE) providers.push(text);
    else if (tag === TAG.one && text !== undefined) {
      const start = canonicalNumber(text);
      if (start === undefined) return undefined;
      ranges.push({ start, count: 1n });
    } else {
      const range = tag === TAG.range && inner.tag === TAG.sequence ? readRange(inner.content) : undefined;
      if (!range) return undefined;
      ranges.push(range);
    }
  }
  return { providers, ranges };
}

function readRange(content: Uint8Array): TnAuthority['ranges'][number] | undefined {
  const [first, count, ...more] = readDer(content) ?? [];
  if (first?.tag !== TAG.ia5String || count?.tag !== TAG.integer || more.length > 0) return undefined;
  const start = canonicalNumber(first.content.toString('latin1'));
  if (start === undefined || !/^\d+$/.test(start)) return undefined;
  if (count.content.length === 0 || count.content.length > MOST_COUNT_BYTES || ((count.content[0] ?? 0) & 0x80) !== 0) return undefined;
  return { start, count: BigInt(`0x${count.content.toString('hex')}`) };
}

/** May it vouch for this number? A provider may for whatever its customers have. @param number canonical; undefined for a caller without one */
export function coversNumber({ providers, ranges }: TnAuthority, number: string | undefined): boolean {
  if (providers.length > 0) return true;
  if (number === undefined) return false;
  return ranges.some(({ start, count }) => {
    if (count === 1n) return start === number;
    // A range goes on in the last digits: all of its numbers have as many as the first one.
    if (start.length !== number.length || !/^\d+$/.test(number)) return false;
    const offset = BigInt(number) - BigInt(start);
    return offset >= 0n && offset < count;
  });
}

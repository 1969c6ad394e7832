/** One value of DER (X.690): its tag octet, what is in it, and all of it. */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

/** Names, extensions and entries that stand in one list: more than any certificate that is meant has. */
const MOST_ELEMENTS = 10_000;

/** The values that stand one after the other; undefined where they are not DER, or end in the middle. Tags of one octet, lengths of four at the most. */
export function readDer(bytes: Uint8Array): DerElement[] | undefined {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elements: DerElement[] = [];
  let at = 0;
  while (at < all.length) {
    const tag = all[at] ?? 0;
    const first = all[at + 1];
    if (first === undefined || (tag & 0x1f) === 0x1f || elements.length === MOST_ELEMENTS) return undefined;
    const octets = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + octets;
    if (first === 0x80 || octets > 4 || start > all.length) return undefined;
    const length = octets === 0 ? first : all.readUIntBE(at + 2, octets);
    // Shortest form only: two spellings of one certificate would have two fingerprints (X.690 §10.1).
    if (octets > 0 && (length < 0x80 || all[at + 2] === 0)) return undefined;
    const end = start + length;
    if (end > all.length) return undefined;
    elements.push({ tag, content: all.subarray(start, end), whole: all.subarray(at, end) });
    at = end;
  }
  return elements;
}

/** An object identifier in dotted form; undefined when it is none. Arcs beyond 2^28 are no arcs that anybody gave out. */
export function readObjectIdentifier(content: Uint8Array): string | undefined {
  const arcs: number[] = [];
  let arc = 0;
  let octets = 0;
  for (const byte of content) {
    if (octets === 4) return undefined;
    arc = arc * 128 + (byte & 0x7f);
    octets += 1;
    if (byte & 0x80) continue;
    arcs.push(arc);
    arc = 0;
    octets = 0;
  }
  const [first, ...rest] = arcs;
  if (first === undefined || octets !== 0) return undefined;
  const root = Math.min(2, Math.floor(first / 40));
  return [root, first - root * 40, ...rest].join('.');
}

const TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const UTC_TIME = 0x17;

/** Unix milliseconds of a UTCTime or GeneralizedTime of a certificate (RFC 5280 §4.1.2.5); undefined when it is neither. */
export function readDerTime({ tag, content }: DerElement): number | undefined {
  const text = content.toString('latin1');
  const century = tag === UTC_TIME ? (text < '50' ? '20' : '19') : '';
  const [, year, month, day, hour, minute, second] = TIME.exec(`${century}${text}`) ?? [];
  if (year === undefined) return undefined;
  // biome-ignore lint/style/noRestrictedGlobals: reads a time that is given, and no clock
  const at = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  return Number.isNaN(at) ? undefined : at;
}

/** As much DER (X.690) as certificates need. */

const UNIVERSAL = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.of(tag), lengthOf(body.length), body]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length);
  if (length < 0x100) return Buffer.of(0x81, length);
  return Buffer.of(0x82, length >>> 8, length & 0xff);
}

export function derSequence(...content: readonly Uint8Array[]): Buffer {
  return element(UNIVERSAL.sequence, ...content);
}

export function derSet(...content: readonly Uint8Array[]): Buffer {
  return element(UNIVERSAL.set, ...content);
}

/** `[number]` around `content` (explicit tagging). */
export function derTagged(number: number, content: Uint8Array): Buffer {
  return element(0xa0 | number, content);
}

/** A positive integer from its big-endian bytes. */
export function derInteger(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const minimal = bytes.subarray(start);
  return element(UNIVERSAL.integer, (minimal[0] ?? 0) & 0x80 ? Buffer.of(0) : Buffer.alloc(0), minimal);
}

/** An object identifier in dotted form. */
export function derObjectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f));
    bytes.push(...digits);
  }
  return element(UNIVERSAL.objectIdentifier, Buffer.from(bytes));
}

export function derNull(): Buffer {
  return element(UNIVERSAL.null);
}

export function derText(text: string): Buffer {
  return element(UNIVERSAL.utf8String, Buffer.from(text));
}

export function derTrue(): Buffer {
  return element(UNIVERSAL.boolean, Buffer.of(0xff));
}

export function derOctetString(bytes: Uint8Array): Buffer {
  return element(UNIVERSAL.octetString, bytes);
}

/** `[number]` in place of the tag of a primitive (implicit tagging). */
export function derImplicit(number: number, bytes: Uint8Array): Buffer {
  return element(0x80 | number, bytes);
}

/** Named bits, the first one highest. @param unused bits at the end that mean nothing */
export function derBits(bits: number, unused: number): Buffer {
  return element(UNIVERSAL.bitString, Buffer.of(unused, bits));
}

export function derBitString(bytes: Uint8Array): Buffer {
  return element(UNIVERSAL.bitString, Buffer.of(0), bytes);
}

/** Unix milliseconds as X.509 wants them (RFC 5280 §4.1.2.5): two-digit years before 2050, four digits from then on. */
export function derTime(wallclock: number): Buffer {
  // biome-ignore lint/style/noRestrictedGlobals: writes a time that was given, reads no clock
  const iso = new Date(wallclock).toISOString();
  const digits = `${iso.slice(0, 19).replace(/[-:T]/g, '')}Z`;
  if (digits < '2050') return element(UNIVERSAL.utcTime, Buffer.from(digits.slice(2)));
  return element(UNIVERSAL.generalizedTime, Buffer.from(digits));
}

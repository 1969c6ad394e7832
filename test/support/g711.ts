/*
 * G.711 written a second time, straight from the recommendation's value tables and by search instead of by bit tricks, so
 * that a mistake in the gateway's codec is heard and not mirrored.
 */

export type G711Law = 'PCMU' | 'PCMA';

/** ITU-T G.711 table 2: eight segments of sixteen steps, bias 33 in 14 bits (132 in 16 bits). */
function expandMu(code: number): number {
  const bits = code ^ 0xff;
  const magnitude = (2 * (bits & 0x0f) + 33) * 2 ** ((bits >> 4) & 7) - 33;
  return (bits & 0x80 ? -magnitude : magnitude) * 4;
}

/** ITU-T G.711 table 1: the first two segments share a step; even bits are inverted on the line. */
function expandA(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits >> 4) & 7;
  const step = 2 * (bits & 0x0f) + 1;
  const magnitude = segment === 0 ? step : (step + 32) * 2 ** (segment - 1);
  return (bits & 0x80 ? magnitude : -magnitude) * 8;
}

const expand = { PCMU: expandMu, PCMA: expandA } as const;

function makeTables(law: G711Law): { readonly decode: Int16Array; readonly encode: Uint8Array } {
  const decode = Int16Array.from({ length: 256 }, (_, code) => expand[law](code));
  const byValue = Array.from({ length: 256 }, (_, code) => ({ code, value: expand[law](code) })).sort((a, b) => a.value - b.value);
  const encode = new Uint8Array(65_536);
  let at = 0;
  for (let sample = -32_768; sample <= 32_767; sample++) {
    // The nearest value wins; both lists are sorted, so the nearest only ever moves up.
    while (at < 255 && Math.abs(byValue[at + 1]!.value - sample) <= Math.abs(byValue[at]!.value - sample)) at++;
    encode[sample + 32_768] = byValue[at]!.code;
  }
  return { decode, encode };
}

const tables = { PCMU: makeTables('PCMU'), PCMA: makeTables('PCMA') } as const;

/** 16 bit samples to one byte each. */
export function encodeG711(law: G711Law, samples: Int16Array): Uint8Array {
  const { encode } = tables[law];
  return Uint8Array.from(samples, (sample) => encode[sample + 32_768] as number);
}

/** One byte a sample to 16 bit samples. */
export function decodeG711(law: G711Law, bytes: Uint8Array): Int16Array {
  const { decode } = tables[law];
  return Int16Array.from(bytes, (byte) => decode[byte] as number);
}

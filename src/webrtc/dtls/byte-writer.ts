/** Pieces of TLS messages, put together with Buffer.concat. */

export function uint8(value: number): Buffer {
  return Buffer.of(value);
}

export function uint16(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  values.forEach((value, i) => {
    bytes.writeUInt16BE(value, 2 * i);
  });
  return bytes;
}

export function uint24(value: number): Buffer {
  const bytes = Buffer.alloc(3);
  bytes.writeUIntBE(value, 0, 3);
  return bytes;
}

/** A vector with an 8-bit length. */
export function vector8(...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([uint8(content.length), content]);
}

/** A vector with a 16-bit length. */
export function vector16(...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([uint16(content.length), content]);
}

/** A vector with a 24-bit length. */
export function vector24(...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([uint24(content.length), content]);
}

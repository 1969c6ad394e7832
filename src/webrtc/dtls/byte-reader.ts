const EMPTY = Buffer.alloc(0);

/** Reads big-endian fields and TLS vectors. Reading past the end never throws: it gives zeros and makes `isWhole` false for good. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;
  #failed = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Every read so far was within the bytes. */
  get isSound(): boolean {
    return !this.#failed;
  }

  /** Every read was within the bytes, and nothing is left. */
  get isWhole(): boolean {
    return !this.#failed && this.#at === this.#bytes.length;
  }

  get remaining(): number {
    return this.#failed ? 0 : this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.#take(1) ? this.#bytes.readUInt8(this.#at - 1) : 0;
  }

  uint16(): number {
    return this.#take(2) ? this.#bytes.readUInt16BE(this.#at - 2) : 0;
  }

  uint24(): number {
    return this.#take(3) ? this.#bytes.readUIntBE(this.#at - 3, 3) : 0;
  }

  uint48(): number {
    return this.#take(6) ? this.#bytes.readUIntBE(this.#at - 6, 6) : 0;
  }

  /** A view, not a copy. */
  bytes(length: number): Buffer {
    return this.#take(length) ? this.#bytes.subarray(this.#at - length, this.#at) : EMPTY;
  }

  vector8(): Buffer {
    return this.bytes(this.uint8());
  }

  vector16(): Buffer {
    return this.bytes(this.uint16());
  }

  vector24(): Buffer {
    return this.bytes(this.uint24());
  }

  #take(length: number): boolean {
    if (this.#failed || this.#at + length > this.#bytes.length) {
      this.#failed = true;
      return false;
    }
    this.#at += length;
    return true;
  }
}

/** The 16-bit numbers that fill `bytes`, or undefined when it is not a whole number of them. */
export function readUint16List(bytes: Buffer): number[] | undefined {
  if (bytes.length % 2 !== 0) return undefined;
  const list: number[] = [];
  for (let at = 0; at < bytes.length; at += 2) list.push(bytes.readUInt16BE(at));
  return list;
}

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { MAX_SEQUENCE } from './record.ts';
import type { OpenedRecord, RecordProtection, WireRecord } from './record-protection.ts';

const ALGORITHM = 'aes-128-gcm';
const TAG_BYTES = 16;
const TAG = { authTagLength: TAG_BYTES } as const;
const HEADER_BYTES = 5;
const TYPE_BYTES = 1;
/** 001CSLEE: no connection id, a sequence number of 16 bits, a length. */
const FLAGS = 0x2c;
/** Of the ciphertext, for the mask of the sequence number (RFC 9147 §4.2.3). */
const SAMPLE_BYTES = 16;

export interface Tls13Keys {
  readonly key: Buffer;
  readonly iv: Buffer;
  /** Hides the sequence number. */
  readonly sequenceKey: Buffer;
}

/** AES-128-GCM records of DTLS 1.3 (RFC 9147 §4): the content type is inside, the sequence number is short and masked. */
export class Tls13Protection implements RecordProtection {
  readonly isUnified = true;
  readonly overhead = HEADER_BYTES + TYPE_BYTES + TAG_BYTES;
  readonly #key: Buffer;
  readonly #iv: Buffer;
  readonly #sequenceKey: Buffer;
  #mask: ReturnType<typeof createCipheriv> | undefined;

  constructor({ key, iv, sequenceKey }: Tls13Keys) {
    this.#key = key;
    this.#iv = iv;
    this.#sequenceKey = sequenceKey;
  }

  seal(contentType: number, epoch: number, sequence: number, plain: Uint8Array): Buffer {
    const record = Buffer.alloc(this.overhead + plain.length);
    const tagAt = record.length - TAG_BYTES;
    record[0] = FLAGS | (epoch & 3);
    record.writeUInt16BE(sequence & 0xffff, 1);
    record.writeUInt16BE(record.length - HEADER_BYTES, 3);
    const cipher = createCipheriv(ALGORITHM, this.#key, this.#nonce(sequence), TAG);
    cipher.setAAD(record.subarray(0, HEADER_BYTES));
    record.set(plain, HEADER_BYTES);
    record[tagAt - TYPE_BYTES] = contentType;
    cipher.update(record.subarray(HEADER_BYTES, tagAt)).copy(record, HEADER_BYTES);
    cipher.final();
    cipher.getAuthTag().copy(record, tagAt);
    const mask = this.#maskOf(record.subarray(HEADER_BYTES));
    record.writeUInt16BE(record.readUInt16BE(1) ^ mask, 1);
    return record;
  }

  sequenceOf(record: WireRecord, next: number): number | undefined {
    if (!record.unified || record.fragment.length < SAMPLE_BYTES + TYPE_BYTES) return undefined;
    const mask = this.#maskOf(record.fragment);
    const isLong = hasLongSequence(record.unified);
    const low = record.sequence ^ (isLong ? mask : mask >>> 8);
    return nearest(low, isLong ? 0x1_0000 : 0x100, next);
  }

  open({ unified, fragment }: WireRecord, sequence: number): OpenedRecord | undefined {
    const length = fragment.length - TAG_BYTES;
    if (!unified || length < TYPE_BYTES) return undefined;
    const header = Buffer.from(unified);
    if (hasLongSequence(header)) header.writeUInt16BE(sequence & 0xffff, 1);
    else header[1] = sequence & 0xff;
    const decipher = createDecipheriv(ALGORITHM, this.#key, this.#nonce(sequence), TAG);
    decipher.setAAD(header);
    decipher.setAuthTag(fragment.subarray(length));
    const inner = decipher.update(fragment.subarray(0, length));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    // RFC 8446 §5.4: padding of zeros stands after the type.
    let end = inner.length;
    while (end > 0 && inner[end - 1] === 0) end -= 1;
    const contentType = inner[end - 1];
    return contentType === undefined ? undefined : { contentType, plain: inner.subarray(0, end - 1) };
  }

  /** RFC 8446 §5.3 with the 64-bit sequence number of RFC 9147 §4.2.1, the epoch not part of it. */
  #nonce(sequence: number): Buffer {
    const nonce = Buffer.from(this.#iv);
    const high = Math.floor(sequence / 2 ** 32);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ sequence) >>> 0, 8);
    nonce.writeUInt32BE((nonce.readUInt32BE(4) ^ high) >>> 0, 4);
    return nonce;
  }

  #maskOf(ciphertext: Buffer): number {
    // One object for the life of the epoch, since in ECB every block is for itself; made late, since most calls say nothing in it.
    this.#mask ??= createCipheriv('aes-128-ecb', this.#sequenceKey, null).setAutoPadding(false);
    return this.#mask.update(ciphertext.subarray(0, SAMPLE_BYTES)).readUInt16BE(0);
  }
}

function hasLongSequence(header: Buffer): boolean {
  return ((header[0] ?? 0) & 0x08) !== 0;
}

/** The number that ends in `low` and is nearest to `next` (RFC 9147 §4.2.2). */
function nearest(low: number, span: number, next: number): number | undefined {
  let number = next - (next % span) + low;
  if (number > next + span / 2 && number >= span) number -= span;
  else if (number <= next - span / 2) number += span;
  return number <= MAX_SEQUENCE ? number : undefined;
}

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { RECORD_HEADER_BYTES, writeRecordHeader } from './record.ts';
import type { OpenedRecord, RecordProtection, WireRecord } from './record-protection.ts';

const ALGORITHM = 'aes-128-gcm';
const TAG_BYTES = 16;
const EXPLICIT_NONCE_BYTES = 8;
const TAG = { authTagLength: TAG_BYTES } as const;

/** AES-128-GCM records of DTLS 1.2 (RFC 5288 §3): the explicit nonce is the epoch and sequence number, which never repeat. */
export class Aes128GcmProtection implements RecordProtection {
  readonly isUnified = false;
  readonly overhead = RECORD_HEADER_BYTES + EXPLICIT_NONCE_BYTES + TAG_BYTES;
  readonly #key: Buffer;
  readonly #fixedIv: Buffer;

  constructor(key: Buffer, fixedIv: Buffer) {
    this.#key = key;
    this.#fixedIv = fixedIv;
  }

  seal(contentType: number, epoch: number, sequence: number, plain: Uint8Array): Buffer {
    const record = Buffer.alloc(this.overhead + plain.length);
    const bodyAt = RECORD_HEADER_BYTES + EXPLICIT_NONCE_BYTES;
    const tagAt = bodyAt + plain.length;
    writeRecordHeader(record, contentType, epoch, sequence, record.length - RECORD_HEADER_BYTES);
    const explicitNonce = numbersOf(epoch, sequence);
    explicitNonce.copy(record, RECORD_HEADER_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, Buffer.concat([this.#fixedIv, explicitNonce]), TAG);
    cipher.setAAD(associatedData(contentType, epoch, sequence, plain.length));
    cipher.update(plain).copy(record, bodyAt);
    cipher.final();
    cipher.getAuthTag().copy(record, tagAt);
    return record;
  }

  sequenceOf({ sequence }: WireRecord): number {
    return sequence;
  }

  open({ contentType, epoch, sequence, fragment }: WireRecord): OpenedRecord | undefined {
    const length = fragment.length - EXPLICIT_NONCE_BYTES - TAG_BYTES;
    if (length < 0) return undefined;
    const nonce = Buffer.concat([this.#fixedIv, fragment.subarray(0, EXPLICIT_NONCE_BYTES)]);
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce, TAG);
    decipher.setAAD(associatedData(contentType, epoch, sequence, length));
    decipher.setAuthTag(fragment.subarray(EXPLICIT_NONCE_BYTES + length));
    const plain = decipher.update(fragment.subarray(EXPLICIT_NONCE_BYTES, EXPLICIT_NONCE_BYTES + length));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return { contentType, plain };
  }
}

function numbersOf(epoch: number, sequence: number): Buffer {
  const numbers = Buffer.alloc(8);
  numbers.writeUInt16BE(epoch, 0);
  numbers.writeUIntBE(sequence, 2, 6);
  return numbers;
}

/** RFC 6347 §4.1.2.1 with RFC 5246 §6.2.3.3: epoch and sequence number, then type, version and plaintext length. */
function associatedData(contentType: number, epoch: number, sequence: number, length: number): Buffer {
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  writeRecordHeader(header, contentType, epoch, sequence, length);
  return Buffer.concat([header.subarray(3, 11), header.subarray(0, 3), header.subarray(11)]);
}

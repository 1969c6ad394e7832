import { ByteReader } from './byte-reader.ts';
import { ContentType, type WireRecord } from './record-protection.ts';

export const DTLS_1_2 = 0xfefd;
export const DTLS_1_3 = 0xfefc;
/** On the first flight of many stacks, which do not know yet what the peer speaks. */
const DTLS_1_0 = 0xfeff;

export const RECORD_HEADER_BYTES = 13;
/** RFC 6347 §4.1: sequence numbers have 48 bits and may not wrap. */
export const MAX_SEQUENCE = 2 ** 48 - 1;
/** A flight of the handshake has at most ten; more in one datagram is no DTLS of ours to read. */
const MAX_RECORDS = 32;

export interface ParsedDatagram {
  readonly records: readonly WireRecord[];
  /** False when something at the end could not be read. */
  readonly isWhole: boolean;
}

/** RFC 9147 §4: the first byte is 001CSLEE. */
const UNIFIED_MASK = 0xe0;
const UNIFIED = 0x20;
const HAS_CONNECTION_ID = 0x10;
const HAS_LONG_SEQUENCE = 0x08;
const HAS_LENGTH = 0x04;

/** A connection id is never asked for here, so a record with one is not for us. */
function readUnified(datagram: Buffer, reader: ByteReader): WireRecord | undefined {
  const start = datagram.length - reader.remaining;
  const flags = reader.uint8();
  if (flags & HAS_CONNECTION_ID) return undefined;
  const sequence = flags & HAS_LONG_SEQUENCE ? reader.uint16() : reader.uint8();
  const length = flags & HAS_LENGTH ? reader.uint16() : reader.remaining;
  const unified = datagram.subarray(start, datagram.length - reader.remaining);
  const fragment = reader.bytes(length);
  return reader.isSound ? { contentType: ContentType.applicationData, epoch: flags & 3, sequence, fragment, unified } : undefined;
}

/** The records of a datagram, up to the first that cannot be read (RFC 6347 §4.1). Views, not copies. */
export function parseRecords(datagram: Buffer): ParsedDatagram {
  const records: WireRecord[] = [];
  const reader = new ByteReader(datagram);
  while (reader.remaining > 0 && records.length < MAX_RECORDS) {
    const first = datagram[datagram.length - reader.remaining] ?? 0;
    if ((first & UNIFIED_MASK) === UNIFIED) {
      const record = readUnified(datagram, reader);
      if (!record) return { records, isWhole: false };
      records.push(record);
      continue;
    }
    const contentType = reader.uint8();
    const version = reader.uint16();
    const epoch = reader.uint16();
    const sequence = reader.uint48();
    const fragment = reader.vector16();
    if (!reader.isSound || (version !== DTLS_1_2 && version !== DTLS_1_0)) return { records, isWhole: false };
    records.push({ contentType, epoch, sequence, fragment });
  }
  return { records, isWhole: reader.isWhole };
}

/** Writes the header of a DTLS 1.2 record whose fragment has `length` bytes to the start of `into`. */
export function writeRecordHeader(into: Buffer, contentType: number, epoch: number, sequence: number, length: number): void {
  into.writeUInt8(contentType, 0);
  into.writeUInt16BE(DTLS_1_2, 1);
  into.writeUInt16BE(epoch, 3);
  into.writeUIntBE(sequence, 5, 6);
  into.writeUInt16BE(length, 11);
}

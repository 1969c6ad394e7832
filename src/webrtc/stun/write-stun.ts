import { crc32 } from 'node:zlib';
import { integrityOf } from './integrity.ts';
import {
  BINDING_METHOD,
  FINGERPRINT_XOR,
  type RawAttribute,
  STUN_HEADER_BYTES,
  STUN_MAGIC_COOKIE,
  StunAttribute,
  type StunClass,
} from './stun-message.ts';
import { writeXorAddress } from './xor-address.ts';

/** A Binding message to write; attributes appear in the order of these fields. */
export interface StunDraft {
  readonly class: StunClass;
  /** 12 bytes. */
  readonly transactionId: Uint8Array;
  readonly error?: { readonly code: number; readonly reason: string };
  readonly unknownAttributes?: readonly number[];
  readonly username?: string;
  readonly priority?: number;
  readonly useCandidate?: boolean;
  readonly iceControlling?: bigint;
  readonly iceControlled?: bigint;
  readonly xorMappedAddress?: { readonly address: string; readonly port: number };
  /** Anything else that integrity shall cover. */
  readonly extra?: readonly RawAttribute[];
}

const CLASS_BITS: Record<StunClass, number> = { request: 0x000, indication: 0x010, success: 0x100, error: 0x110 };

/** Writes a Binding message, with MESSAGE-INTEGRITY when a password is given, and always with FINGERPRINT. */
export function writeStun(draft: StunDraft, password?: string): Buffer {
  const attributes = attributesOf(draft);
  const bodyBytes = attributes.reduce((sum, { value }) => sum + 4 + value.length + (-value.length & 3), 0);
  const integrityBytes = password === undefined ? 0 : 24;
  const datagram = Buffer.alloc(STUN_HEADER_BYTES + bodyBytes + integrityBytes + 8);
  datagram.writeUInt16BE(BINDING_METHOD | CLASS_BITS[draft.class], 0);
  datagram.writeUInt16BE(datagram.length - STUN_HEADER_BYTES, 2);
  datagram.writeUInt32BE(STUN_MAGIC_COOKIE, 4);
  datagram.set(draft.transactionId.subarray(0, 12), 8);
  let offset = STUN_HEADER_BYTES;
  for (const { type, value } of attributes) {
    datagram.writeUInt16BE(type, offset);
    datagram.writeUInt16BE(value.length, offset + 2);
    datagram.set(value, offset + 4);
    offset += 4 + value.length + (-value.length & 3);
  }
  if (password !== undefined) {
    datagram.writeUInt16BE(StunAttribute.messageIntegrity, offset);
    datagram.writeUInt16BE(20, offset + 2);
    integrityOf(datagram, offset, password).copy(datagram, offset + 4);
    offset += 24;
  }
  datagram.writeUInt16BE(StunAttribute.fingerprint, offset);
  datagram.writeUInt16BE(4, offset + 2);
  datagram.writeUInt32BE((crc32(datagram.subarray(0, offset)) ^ FINGERPRINT_XOR) >>> 0, offset + 4);
  return datagram;
}

function attributesOf(draft: StunDraft): RawAttribute[] {
  const attributes: RawAttribute[] = [];
  const add = (type: number, value: Uint8Array | undefined) => {
    if (value) attributes.push({ type, value });
  };
  const { error, xorMappedAddress } = draft;
  if (error) {
    const head = Buffer.from([0, 0, Math.floor(error.code / 100), error.code % 100]);
    add(StunAttribute.errorCode, Buffer.concat([head, Buffer.from(error.reason)]));
  }
  if (draft.unknownAttributes) {
    const value = Buffer.alloc(2 * draft.unknownAttributes.length);
    draft.unknownAttributes.forEach((type, i) => {
      value.writeUInt16BE(type, 2 * i);
    });
    add(StunAttribute.unknownAttributes, value);
  }
  if (draft.username !== undefined) add(StunAttribute.username, Buffer.from(draft.username));
  if (draft.priority !== undefined) {
    const value = Buffer.alloc(4);
    value.writeUInt32BE(draft.priority >>> 0);
    add(StunAttribute.priority, value);
  }
  if (draft.iceControlling !== undefined) add(StunAttribute.iceControlling, tieBreaker(draft.iceControlling));
  if (draft.iceControlled !== undefined) add(StunAttribute.iceControlled, tieBreaker(draft.iceControlled));
  if (draft.useCandidate) add(StunAttribute.useCandidate, Buffer.alloc(0));
  if (xorMappedAddress) {
    add(StunAttribute.xorMappedAddress, writeXorAddress(xorMappedAddress.address, xorMappedAddress.port, draft.transactionId));
  }
  for (const { type, value } of draft.extra ?? []) add(type, value);
  return attributes;
}

function tieBreaker(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

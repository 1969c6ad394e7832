import { crc32 } from 'node:zlib';
import { FINGERPRINT_XOR, STUN_HEADER_BYTES, STUN_MAGIC_COOKIE, StunAttribute, type StunClass, type StunMessage } from './stun-message.ts';
import { readXorAddress } from './xor-address.ts';

/** More attributes than any ICE agent writes (browsers: about 8); a hostile message ends the walk early. */
const MAX_ATTRIBUTES = 32;

/** USERNAME is at most 508 bytes of text (RFC 8489 §14.3). */
const MAX_USERNAME_BYTES = 508;

const CLASSES: readonly StunClass[] = ['request', 'indication', 'success', 'error'];

/**
 * Parses a whole datagram as one STUN message. Strict: wrong lengths, a missing cookie, a wrong or misplaced FINGERPRINT and
 * malformed known attributes give undefined. Of repeated attributes the first counts; after MESSAGE-INTEGRITY only
 * FINGERPRINT is looked at (RFC 8489 §14, §14.5). Never throws, never copies the datagram.
 */
export function parseStun(datagram: Buffer): StunMessage | undefined {
  if (!isStunFramed(datagram)) return undefined;
  const type = datagram.readUInt16BE(0);
  const message: Writable<StunMessage> = {
    class: CLASSES[((type >> 7) & 2) | ((type >> 4) & 1)] ?? 'request',
    method: (type & 0xf) | ((type >> 1) & 0x70) | ((type >> 2) & 0xf80),
    transactionId: datagram.subarray(8, STUN_HEADER_BYTES),
    username: undefined,
    priority: undefined,
    useCandidate: false,
    iceControlling: undefined,
    iceControlled: undefined,
    xorMappedAddress: undefined,
    errorCode: undefined,
    dtlsInStun: undefined,
    dtlsAcks: undefined,
    unknownRequired: [],
    integrityOffset: undefined,
    hasFingerprint: false,
  };
  let count = 0;
  for (let offset = STUN_HEADER_BYTES; offset < datagram.length; ) {
    count += 1;
    if (count > MAX_ATTRIBUTES || message.hasFingerprint || offset + 4 > datagram.length) return undefined;
    const attribute = datagram.readUInt16BE(offset);
    const length = datagram.readUInt16BE(offset + 2);
    const end = offset + 4 + length;
    if (end > datagram.length) return undefined;
    if (!readAttribute(message, datagram, attribute, offset, end)) return undefined;
    offset = end + (-length & 3);
  }
  return message;
}

/** The checks every STUN datagram must pass, before any attribute is looked at. */
export function isStunFramed(datagram: Buffer): boolean {
  if (datagram.length < STUN_HEADER_BYTES || (datagram[0] ?? 0xff) > 0x3f) return false;
  const length = datagram.readUInt16BE(2);
  return (length & 3) === 0 && length + STUN_HEADER_BYTES === datagram.length && datagram.readUInt32BE(4) === STUN_MAGIC_COOKIE;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** False when the attribute makes the whole message malformed. */
function readAttribute(message: Writable<StunMessage>, datagram: Buffer, type: number, offset: number, end: number): boolean {
  const start = offset + 4;
  const length = end - start;
  if (type === StunAttribute.fingerprint) {
    message.hasFingerprint = true;
    return length === 4 && datagram.readUInt32BE(start) === (crc32(datagram.subarray(0, offset)) ^ FINGERPRINT_XOR) >>> 0;
  }
  if (message.integrityOffset !== undefined) return true;
  switch (type) {
    case StunAttribute.username:
      if (length > MAX_USERNAME_BYTES) return false;
      message.username ??= datagram.subarray(start, end);
      return true;
    case StunAttribute.messageIntegrity:
      message.integrityOffset = offset;
      return length === 20;
    case StunAttribute.priority:
      if (length !== 4) return false;
      message.priority ??= datagram.readUInt32BE(start);
      return true;
    case StunAttribute.useCandidate:
      message.useCandidate = true;
      return length === 0;
    case StunAttribute.iceControlling:
      if (length !== 8) return false;
      message.iceControlling ??= datagram.readBigUInt64BE(start);
      return true;
    case StunAttribute.iceControlled:
      if (length !== 8) return false;
      message.iceControlled ??= datagram.readBigUInt64BE(start);
      return true;
    case StunAttribute.xorMappedAddress: {
      const address = readXorAddress(datagram.subarray(start, end), message.transactionId);
      message.xorMappedAddress ??= address;
      return address !== undefined;
    }
    case StunAttribute.errorCode: {
      if (length < 4) return false;
      const hundreds = (datagram[start + 2] ?? 0) & 7;
      const rest = datagram[start + 3] ?? 0;
      message.errorCode ??= hundreds * 100 + rest;
      return hundreds >= 3 && hundreds <= 6 && rest <= 99;
    }
    case StunAttribute.dtlsInStun:
      message.dtlsInStun ??= datagram.subarray(start, end);
      return true;
    case StunAttribute.dtlsInStunAck:
      message.dtlsAcks ??= datagram.subarray(start, end);
      return true;
    case StunAttribute.unknownAttributes:
    case StunAttribute.messageIntegritySha256: // known, but not what ICE uses: RFC 8445 asks for MESSAGE-INTEGRITY
      return true;
    default:
      if (type < 0x8000 && !message.unknownRequired.includes(type)) (message.unknownRequired as number[]).push(type);
      return true;
  }
}

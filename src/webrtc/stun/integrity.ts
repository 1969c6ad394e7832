import { createHmac, timingSafeEqual } from 'node:crypto';
import type { StunMessage } from './stun-message.ts';

const INTEGRITY_BYTES = 20;

/**
 * Does MESSAGE-INTEGRITY (RFC 8489 §14.5, short-term credentials) fit the password? Constant time; false when there is none.
 * @param datagram the bytes that `message` was parsed from
 * @param password ICE password of the agent that receives a request, or of the one that answered
 */
export function verifyIntegrity(datagram: Buffer, message: StunMessage, password: string): boolean {
  const offset = message.integrityOffset;
  if (offset === undefined || offset + 4 + INTEGRITY_BYTES > datagram.length) return false;
  return timingSafeEqual(integrityOf(datagram, offset, password), datagram.subarray(offset + 4, offset + 4 + INTEGRITY_BYTES));
}

/** HMAC-SHA1 over the message up to `offset`, with a header length that ends after MESSAGE-INTEGRITY. */
export function integrityOf(datagram: Buffer, offset: number, password: string): Buffer {
  const header = Buffer.alloc(4);
  datagram.copy(header, 0, 0, 2);
  header.writeUInt16BE(offset + 4 + INTEGRITY_BYTES - 20, 2);
  return createHmac('sha1', password).update(header).update(datagram.subarray(4, offset)).digest();
}

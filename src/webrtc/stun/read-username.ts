import { isStunFramed } from './parse-stun.ts';
import { STUN_HEADER_BYTES, StunAttribute } from './stun-message.ts';

const BINDING_REQUEST = 0x0001;

/** Browsers write USERNAME first; whoever hides it deeper than this is no ICE agent we serve. */
const MAX_STEPS = 16;

/** Two fragments of at most 256 characters (RFC 8445 §5.3) and a colon. */
const MAX_USERNAME_BYTES = 513;

/**
 * The USERNAME of a Binding request and nothing else: what a relay routes by. Not authenticated, not checked further; a bounded walk
 * that makes no message object. Undefined for any other datagram and for names with characters outside printable ASCII.
 * @returns `receiver's ufrag:sender's ufrag`
 */
export function readUsername(datagram: Buffer): string | undefined {
  if (!isStunFramed(datagram) || datagram.readUInt16BE(0) !== BINDING_REQUEST) return undefined;
  let offset = STUN_HEADER_BYTES;
  for (let step = 0; step < MAX_STEPS && offset + 4 <= datagram.length; step += 1) {
    const length = datagram.readUInt16BE(offset + 2);
    const start = offset + 4;
    if (datagram.readUInt16BE(offset) === StunAttribute.username) {
      if (length > MAX_USERNAME_BYTES || start + length > datagram.length) return undefined;
      for (let i = start; i < start + length; i += 1) {
        const byte = datagram[i] ?? 0;
        if (byte < 0x21 || byte > 0x7e) return undefined;
      }
      return datagram.toString('latin1', start, start + length);
    }
    offset = start + length + (-length & 3);
  }
  return undefined;
}

import { SctpChunk } from './sctp-filter.ts';

const COMMON_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 4;

/** RFC 9260 §3.3.10.12. Every other cause is a fault that the far side found. */
const USER_INITIATED_ABORT = 12;

/**
 * Does the far side end its association here because it wants to? SHUTDOWN says so, and an ABORT that names no cause or that of its user. One
 * that names a fault (out of memory, protocol violation) is the end of the data channels and of nothing else.
 * @param packet as the filter lets it through
 */
export function isFarewell(packet: Buffer): boolean {
  for (let offset = COMMON_HEADER_BYTES; offset + CHUNK_HEADER_BYTES <= packet.length; ) {
    const type = packet.readUInt8(offset);
    const length = packet.readUInt16BE(offset + 2);
    if (type === SctpChunk.shutdown) return true;
    if (type === SctpChunk.abort) {
      const namesCause = length >= CHUNK_HEADER_BYTES + 4;
      return !namesCause || packet.readUInt16BE(offset + CHUNK_HEADER_BYTES) === USER_INITIATED_ABORT;
    }
    offset += length + (-length & 3);
  }
  return false;
}

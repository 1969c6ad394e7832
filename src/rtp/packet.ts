/** What an RTP packet says (RFC 3550 §5.1), without its CSRC list, header extension and padding. */
export interface RtpPacket {
  readonly payloadType: number;
  readonly marker: boolean;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly ssrc: number;
  /** A view into the datagram, not a copy. May be empty (RFC 6263 keep-alive). */
  readonly payload: Uint8Array;
}

export type RtpHeader = Omit<RtpPacket, 'payload'>;

const RTP_HEADER_BYTES = 12;
const VERSION_2 = 0x80;

function uint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
  );
}

/** Reads a datagram without copying; undefined when it is not RTP version 2 or its lengths do not fit. */
export function parseRtp(datagram: Uint8Array): RtpPacket | undefined {
  const length = datagram.length;
  if (length < RTP_HEADER_BYTES) return undefined;
  const first = datagram[0] as number;
  if ((first & 0xc0) !== VERSION_2) return undefined;
  let start = RTP_HEADER_BYTES + 4 * (first & 0x0f);
  if (first & 0x10) {
    if (start + 4 > length) return undefined;
    start += 4 + 4 * (((datagram[start + 2] as number) << 8) | (datagram[start + 3] as number));
  }
  let end = length;
  if (first & 0x20) {
    // The padding counts itself (RFC 3550 §5.1): zero is a lie.
    const padding = datagram[length - 1] as number;
    if (padding === 0) return undefined;
    end -= padding;
  }
  if (start > end) return undefined;
  const second = datagram[1] as number;
  return {
    payloadType: second & 0x7f,
    marker: second > 0x7f,
    sequenceNumber: ((datagram[2] as number) << 8) | (datagram[3] as number),
    timestamp: uint32(datagram, 4),
    ssrc: uint32(datagram, 8),
    payload: datagram.subarray(start, end),
  };
}

/**
 * Writes a packet without CSRC, extension or padding.
 * @param out where to write; must hold 12 bytes and the payload. Without it a buffer is made.
 * @returns the written part of `out`
 */
export function writeRtp(header: RtpHeader, payload: Uint8Array, out?: Buffer): Buffer {
  const length = RTP_HEADER_BYTES + payload.length;
  const packet = out === undefined ? Buffer.allocUnsafe(length) : out.length === length ? out : out.subarray(0, length);
  packet[0] = VERSION_2;
  packet[1] = (header.marker ? 0x80 : 0) | header.payloadType;
  packet.writeUInt16BE(header.sequenceNumber, 2);
  packet.writeUInt32BE(header.timestamp, 4);
  packet.writeUInt32BE(header.ssrc, 8);
  packet.set(payload, RTP_HEADER_BYTES);
  return packet;
}

const FIXED_BYTES = 12;

/** Length of the part of an RTP packet that SRTP leaves readable: fixed header, CSRCs, extension. Undefined when it is not RTP. */
export function rtpHeaderBytes(packet: Uint8Array): number | undefined {
  if (packet.length < FIXED_BYTES) return undefined;
  const first = packet[0]!;
  if (first >>> 6 !== 2) return undefined;
  let bytes = FIXED_BYTES + 4 * (first & 0x0f);
  if (first & 0x10) {
    if (packet.length < bytes + 4) return undefined;
    bytes += 4 + 4 * ((packet[bytes + 2]! << 8) | packet[bytes + 3]!);
  }
  return bytes <= packet.length ? bytes : undefined;
}

/** The SSRC of an RTP packet. */
export function rtpSsrc(packet: Uint8Array): number {
  return readUint32(packet, 8);
}

/** The sender's SSRC of an RTCP packet. */
export function rtcpSsrc(packet: Uint8Array): number {
  return readUint32(packet, 4);
}

function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

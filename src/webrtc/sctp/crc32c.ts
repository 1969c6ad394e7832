// CRC-32C (Castagnoli), reflected: what RFC 9260 §6.8 and appendix A ask for.
const TABLE = new Uint32Array(256);
for (let i = 0; i < 256; i += 1) {
  let value = i;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  TABLE[i] = value >>> 0;
}

/** The checksum of an SCTP packet, its own checksum field counted as zero. Packets shorter than the header give 0. */
export function sctpChecksum(packet: Uint8Array): number {
  if (packet.length < 12) return 0;
  let crc = 0xffffffff;
  for (let i = 0; i < packet.length; i += 1) {
    const byte = i >= 8 && i < 12 ? 0 : (packet[i] ?? 0);
    crc = (TABLE[(crc ^ byte) & 255] ?? 0) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

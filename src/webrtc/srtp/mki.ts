/**
 * Takes the master key identifier out of a protected packet (RFC 3711 §3.1), in place. It is not authenticated: a wrong one only saves the look
 * at the tag.
 * @param behind bytes that stand behind it
 * @returns the part of `packet` that is left; undefined when the identifier is not the one expected
 */
export function withoutMki(packet: Buffer, mki: Buffer, behind: number): Buffer | undefined {
  const at = packet.length - behind - mki.length;
  if (at < 0 || packet.compare(mki, 0, mki.length, at, at + mki.length) !== 0) return undefined;
  packet.copyWithin(at, at + mki.length);
  return packet.subarray(0, packet.length - mki.length);
}

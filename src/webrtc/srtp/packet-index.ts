/**
 * RFC 3711 §3.3.1: the 48-bit index (roll-over counter ‖ sequence number) that lies nearest to the greatest one seen.
 * A hole of up to 2^15 packets (11 minutes of audio) is crossed, wrap or not. Negative: before the first packet.
 */
export function nearestIndex(highest: number, sequence: number): number {
  if (highest < 0) return sequence;
  let ahead = sequence - (highest & 0xffff);
  if (ahead > 0x8000) ahead -= 0x10000;
  else if (ahead < -0x8000) ahead += 0x10000;
  return highest + ahead;
}

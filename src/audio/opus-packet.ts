/** Samples at 48 kHz that one frame of a configuration lasts (RFC 6716 §3.1, table 2). */
function frameTicks(configuration: number): number {
  // SILK: 10, 20, 40, 60 ms; hybrid: 10, 20; CELT: 2.5, 5, 10, 20.
  if (configuration < 12) return [480, 960, 1920, 2880][configuration & 3] as number;
  if (configuration < 16) return configuration & 1 ? 960 : 480;
  return 120 << (configuration & 3);
}

/** RFC 6716 §3.2.5: 120 ms are the most in a packet. */
const MAX_TICKS = 5760;

/** How long an Opus packet lasts, in ticks of its RTP clock of 48 kHz; undefined when it is none (RFC 6716 §3). */
export function opusTicks(packet: Uint8Array): number | undefined {
  const first = packet[0];
  if (first === undefined) return undefined;
  const code = first & 3;
  const second = packet[1];
  if (code === 3 && second === undefined) return undefined;
  const frames = code === 0 ? 1 : code === 3 ? (second as number) & 0x3f : 2;
  const ticks = frames * frameTicks(first >> 3);
  return frames > 0 && ticks <= MAX_TICKS ? ticks : undefined;
}

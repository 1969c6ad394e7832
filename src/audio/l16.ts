/** Linear PCM in network byte order (RFC 3551 §4.5.11). @returns how many bytes of `out` were written */
export function encodeL16(pcm: Int16Array, out: Uint8Array): number {
  for (let i = 0, at = 0; i < pcm.length; i += 1, at += 2) {
    const sample = pcm[i] as number;
    out[at] = sample >> 8;
    out[at + 1] = sample;
  }
  return 2 * pcm.length;
}

/** The other way; an odd byte at the end is left out. @returns how many samples of `out` were written */
export function decodeL16(payload: Uint8Array, out: Int16Array): number {
  const samples = payload.length >> 1;
  for (let i = 0, at = 0; i < samples; i += 1, at += 2) out[i] = ((payload[at] as number) << 8) | (payload[at + 1] as number);
  return samples;
}

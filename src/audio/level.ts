/** What a digitally silent frame measures; RFC 6464 §3 has the same floor. */
export const SILENCE_DBOV = -127;

/** Level of a frame in dBov: 0 is a square wave of full scale, a full-scale sine is -3 (RFC 6464 §3). */
export function levelDbov(pcm: Int16Array): number {
  let sum = 0;
  for (let i = 0; i < pcm.length; i += 1) sum += (pcm[i] as number) * (pcm[i] as number);
  if (sum === 0) return SILENCE_DBOV;
  return Math.max(SILENCE_DBOV, 10 * Math.log10(sum / pcm.length / (32768 * 32768)));
}

/** The RMS amplitude, in sample units, that a level in dBov stands for. */
export function amplitudeOf(dbov: number): number {
  return 32768 * 10 ** (dbov / 20);
}

/** A tone of so many milliseconds. */
export function sine(hz: number, ms: number, rateHz: number): Int16Array {
  return Int16Array.from({ length: (ms * rateHz) / 1000 }, (_, n) => Math.round(8000 * Math.sin((2 * Math.PI * hz * n) / rateHz)));
}

/** The frequency of a tone, by its crossings of zero; the first and last 50 ms are not looked at. */
export function findTone(pcm: Int16Array, rateHz: number): number {
  const edge = rateHz / 20;
  const middle = pcm.subarray(edge, pcm.length - edge);
  let crossings = 0;
  for (let n = 1; n < middle.length; n++) if ((middle[n - 1] ?? 0) < 0 && (middle[n] ?? 0) >= 0) crossings += 1;
  return (crossings * rateHz) / middle.length;
}

/** The nearest 16-bit sample: what would overflow is clipped. */
export function toSample(value: number): number {
  return Math.max(-32768, Math.min(32767, Math.round(value)));
}

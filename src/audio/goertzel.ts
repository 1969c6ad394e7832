/**
 * The share of a frame's power that lies at one frequency, 0 to 1: 1 for a pure sine there, near 0 for speech or another
 * tone. The band it looks at is about 2·rate/length wide. Silence has no share of anything: 0.
 */
export function powerShare(pcm: Int16Array, rateHz: number, frequencyHz: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequencyHz) / rateHz);
  let previous = 0;
  let beforeThat = 0;
  let energy = 0;
  for (let i = 0; i < pcm.length; i += 1) {
    const sample = pcm[i] as number;
    const next = sample + coefficient * previous - beforeThat;
    beforeThat = previous;
    previous = next;
    energy += sample * sample;
  }
  if (energy === 0) return 0;
  const power = previous * previous + beforeThat * beforeThat - coefficient * previous * beforeThat;
  return Math.min(1, (2 * power) / (pcm.length * energy));
}

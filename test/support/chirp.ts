import { PHONE_RATE_HZ, TONE_AMPLITUDE, type ToneOptions } from './tones.ts';

/**
 * A sweep through the telephone band that matches itself at one place only: the marker for measuring delay.
 * 64 ms fit in one playout and give a correlation peak about 0.2 ms wide.
 */
export function chirp(ms = 64, { rateHz = PHONE_RATE_HZ, amplitude = TONE_AMPLITUDE }: ToneOptions = {}): Int16Array {
  const fromHz = 400;
  const toHz = 3200;
  const length = Math.round((ms * rateHz) / 1000);
  return Int16Array.from({ length }, (_, n) => {
    const at = n / rateHz;
    const phase = 2 * Math.PI * (fromHz * at + ((toHz - fromHz) * at * at) / (2 * (ms / 1000)));
    // Soft ends: no click for a codec to smear.
    const edge = Math.min(1, n / (rateHz * 0.004), (length - 1 - n) / (rateHz * 0.004));
    return Math.round(amplitude * edge * Math.sin(phase));
  });
}

export interface FoundMarker {
  /** Where the marker begins, in samples of the recording, with a fraction. */
  readonly atSample: number;
  /** The same in milliseconds. */
  readonly atMs: number;
  /** Correlation, 0 … 1: above 0.7 it is the marker, G.711 and Opus keep it above 0.9. */
  readonly likeness: number;
}

export interface FindMarkerOptions {
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly rateHz?: number;
  /** Matches below this do not count. */
  readonly minLikeness?: number;
}

/** Finds the best match of `marker` in a recording by normalised correlation; undefined when nothing is alike enough. */
export function findMarker(samples: Int16Array, marker: Int16Array, options: FindMarkerOptions = {}): FoundMarker | undefined {
  const { fromMs = 0, toMs = Number.POSITIVE_INFINITY, rateHz = PHONE_RATE_HZ, minLikeness = 0.7 } = options;
  const first = Math.max(0, Math.round((fromMs * rateHz) / 1000));
  const last = Math.min(samples.length - marker.length, Math.round((toMs * rateHz) / 1000));
  let markerEnergy = 0;
  for (const sample of marker) markerEnergy += sample * sample;
  let energy = 0;
  for (let n = first; n < first + marker.length && n < samples.length; n++) energy += (samples[n] as number) ** 2;
  const likeness: number[] = [];
  let best = 0;
  for (let at = first; at <= last; at++) {
    let product = 0;
    // Nothing to find in near silence, and a division by almost nothing would find it.
    if (energy > markerEnergy * 1e-4) {
      for (let n = 0; n < marker.length; n++) product += (marker[n] as number) * (samples[at + n] as number);
      product /= Math.sqrt(energy * markerEnergy);
    }
    likeness.push(product);
    if (product > (likeness[best] as number)) best = at - first;
    energy += ((samples[at + marker.length] as number | undefined) ?? 0) ** 2 - (samples[at] as number) ** 2;
  }
  const peak = likeness[best];
  if (peak === undefined || peak < minLikeness) return undefined;
  // A parabola through the peak and its neighbours gives the fraction of a sample.
  const left = likeness[best - 1] ?? peak;
  const right = likeness[best + 1] ?? peak;
  const bend = left - 2 * peak + right;
  const atSample = first + best + (bend === 0 ? 0 : (left - right) / (2 * bend));
  return { atSample, atMs: (atSample * 1000) / rateHz, likeness: peak };
}

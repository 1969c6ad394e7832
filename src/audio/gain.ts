import { toSample } from './sample.ts';

/**
 * Scales a frame in place, the factor moving in a straight line from `from` (before the first sample) to `to` (at the last
 * one), so that frames join without a step. Clips at full scale.
 */
export function applyGain(pcm: Int16Array, from: number, to: number = from): void {
  const step = (to - from) / pcm.length;
  let gain = from;
  for (let i = 0; i < pcm.length; i += 1) {
    gain += step;
    pcm[i] = toSample((pcm[i] as number) * gain);
  }
}

/** One frame from full level to nothing: how speech is cut off without a click. */
export function fadeOut(pcm: Int16Array): void {
  applyGain(pcm, 1, 0);
}

/** One frame from nothing to full level. */
export function fadeIn(pcm: Int16Array): void {
  applyGain(pcm, 0, 1);
}

/** Two frames become one: `into` begins as `first` and ends as itself. */
export function mergeFrames(first: Int16Array, into: Int16Array): void {
  for (let i = 0; i < into.length; i += 1) {
    const share = (i + 1) / into.length;
    into[i] = toSample((into[i] as number) * share + (first[i] as number) * (1 - share));
  }
}

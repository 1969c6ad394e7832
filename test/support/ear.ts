import { rms, toneShare } from './tones.ts';
import { eventually } from './wait.ts';

/* What somebody hears of a call, while it goes on. */

/** A fifth of a second is heard: a packet may be late on a busy machine, and a queue runs dry for it. */
const LISTEN_MS = 200;

/** Nobody takes it for silence, nor what a codec leaves of silence for a sound. */
export const LOUD = 300;

/** Where sound arrives, at 8 kHz. */
export interface Ear {
  readonly arrivals: { readonly count: number };
  recording(from?: number): { readonly samples: Int16Array };
}

/** Waits until what arrives from now on is so for a fifth of a second. */
export async function heard(ear: Ear, isSo: (newest: Int16Array) => boolean, what: string): Promise<void> {
  const from = ear.arrivals.count;
  const isHeard = (): boolean => {
    const { samples } = ear.recording(from);
    const newest = samples.subarray(Math.max(0, samples.length - LISTEN_MS * 8));
    return newest.length >= LISTEN_MS * 8 && isSo(newest);
  };
  await eventually(isHeard, 8000, what);
}

/** Waits until this tone is nearly all that arrives. */
export function hears(ear: Ear, hz: number, what: string): Promise<void> {
  return heard(ear, (newest) => rms(newest) > LOUD && toneShare(newest, hz) > 0.6, what);
}

import { MODEL_RATE_HZ } from '../realtime/model.ts';
import type { LineSounds } from './persons.ts';
import { ringbackTone } from './sound-loop.ts';

/** A fifth up and down, a note in 400 ms; -26 dBov: nobody takes it for silence, and nobody for a busy line. */
const NOTES_HZ = [392, 494, 587, 494];
const NOTE_SAMPLES = 0.4 * MODEL_RATE_HZ;
const AMPLITUDE = 1640;

let sounds: LineSounds | undefined;

/** What those hear who wait, as long as nothing better is configured: made once a process. */
export function plainSounds(): LineSounds {
  sounds ??= { music: plainMusic(), ringback: ringbackTone() };
  return sounds;
}

function plainMusic(): Int16Array {
  const samples = new Int16Array(NOTES_HZ.length * NOTE_SAMPLES);
  for (const [note, hz] of NOTES_HZ.entries()) {
    const step = (2 * Math.PI * hz) / MODEL_RATE_HZ;
    for (let n = 0; n < NOTE_SAMPLES; n++) {
      const swell = Math.sin((Math.PI * n) / NOTE_SAMPLES);
      samples[note * NOTE_SAMPLES + n] = Math.round(AMPLITUDE * swell * Math.sin(step * n));
    }
  }
  return samples;
}

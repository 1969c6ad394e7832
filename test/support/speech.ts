import { seededRandom } from './random.ts';
import { PHONE_RATE_HZ } from './tones.ts';

export interface SpeechOptions {
  readonly rateHz?: number;
  /** The same seed speaks the same. */
  readonly seed?: number;
  /** Pitch of the voice at its middle. */
  readonly pitchHz?: number;
  /** Loudest sample. */
  readonly peak?: number;
}

/** First three formants of some vowels, in Hz. */
const VOWELS: readonly (readonly [number, number, number])[] = [
  [730, 1090, 2440],
  [270, 2290, 3010],
  [300, 870, 2240],
  [530, 1840, 2480],
  [570, 840, 2410],
];

/** How strong a harmonic at `hz` comes out of a mouth shaped for this vowel. */
function formantGain(hz: number, vowel: readonly number[]): number {
  let gain = 0.02;
  vowel.forEach((centre, n) => {
    const width = 60 + 40 * n;
    gain += [1, 0.6, 0.35][n]! / (1 + ((hz - centre) / width) ** 2);
  });
  return gain;
}

/**
 * Sound that a voice activity detector takes for a person: voiced syllables of 120–260 ms with formants and a gliding
 * pitch, breaths of at most 40 ms between them, no pause. Says nothing.
 */
export function speech(ms: number, options: SpeechOptions = {}): Int16Array {
  const { rateHz = PHONE_RATE_HZ, seed = 1, pitchHz = 120, peak = 16_000 } = options;
  const random = seededRandom(seed);
  const length = Math.round((ms * rateHz) / 1000);
  const voice = new Float64Array(length);
  let phase = 0;
  for (let start = 0; start < length; ) {
    const syllable = Math.round(rateHz * (0.12 + 0.14 * random()));
    const vowel = VOWELS[Math.floor(random() * VOWELS.length)] as readonly number[];
    const from = pitchHz * (0.85 + 0.3 * random());
    const glide = 0.85 + 0.3 * random();
    const harmonics = Math.floor(Math.min(3400, rateHz * 0.45) / (from * Math.max(1, glide)));
    const gains = Array.from({ length: harmonics }, (_, k) => formantGain((k + 1) * from, vowel));
    for (let n = 0; n < syllable && start + n < length; n++) {
      phase += (2 * Math.PI * from * (1 + ((glide - 1) * n) / syllable)) / rateHz;
      const envelope = Math.min(1, n / (0.015 * rateHz), (syllable - n) / (0.03 * rateHz));
      let sample = 0;
      for (let k = 0; k < harmonics; k++) sample += (gains[k] as number) * Math.sin((k + 1) * phase);
      voice[start + n] = envelope * sample;
    }
    start += syllable + Math.round(rateHz * 0.04 * random());
  }
  const loudest = voice.reduce((most, sample) => Math.max(most, Math.abs(sample)), 1e-9);
  return Int16Array.from(voice, (sample) => Math.round((sample * peak) / loudest));
}

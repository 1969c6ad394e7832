/*
 * Sound that a voice activity detector takes for a person: syllables of a gliding voice with three formants. Says nothing.
 */

const VOWELS = [
  [730, 1090, 2440],
  [270, 2290, 3010],
  [530, 1840, 2480],
  [300, 870, 2240],
];

function gain(hz, vowel) {
  return vowel.reduce((sum, centre, n) => sum + [1, 0.6, 0.35][n] / (1 + ((hz - centre) / (60 + 40 * n)) ** 2), 0.02);
}

/** @returns Int16Array, `ms` of it at `rateHz` */
export function speech(ms, rateHz) {
  const out = new Float64Array(Math.round((ms * rateHz) / 1000));
  let phase = 0;
  let loudest = 0;
  for (let start = 0, syllable = 0; start < out.length; syllable++) {
    const length = Math.round(rateHz * (0.14 + 0.03 * (syllable % 4)));
    const vowel = VOWELS[(syllable * 7) % VOWELS.length];
    const pitchHz = 110 + 5 * ((syllable * 3) % 7);
    const gains = Array.from({ length: Math.floor(3400 / pitchHz) }, (_, k) => gain((k + 1) * pitchHz, vowel));
    for (let n = 0; n < length && start + n < out.length; n++) {
      phase += (2 * Math.PI * pitchHz * (1 + (0.1 * n) / length)) / rateHz;
      const envelope = Math.min(1, n / (0.015 * rateHz), (length - n) / (0.03 * rateHz));
      let sample = 0;
      for (let k = 0; k < gains.length; k++) sample += gains[k] * Math.sin((k + 1) * phase);
      out[start + n] = envelope * sample;
      loudest = Math.max(loudest, Math.abs(envelope * sample));
    }
    start += length + Math.round(rateHz * 0.02);
  }
  return Int16Array.from(out, (sample) => Math.round((sample * 14_000) / loudest));
}

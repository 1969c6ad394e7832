import { speak } from '../corpus/render.mjs';
import { ANSWERS, VOICES } from '../corpus/scripts.mjs';

const RATE_HZ = 8000;
const SECONDS = 12;

/** What is behind a caller, RMS 1, to be repeated: 12 s of 8 kHz. `white`, `street` (low, with cars in it) or `babble` (five others). */
export function noiseOf(kind, random) {
  const made = { white, street, babble }[kind](random, SECONDS * RATE_HZ);
  const rms = Math.sqrt(made.reduce((sum, x) => sum + x * x, 0) / made.length);
  return made.map((x) => x / rms);
}

function white(random, length) {
  return Float64Array.from({ length }, () => random.normal());
}

/** Falls by about 6 dB an octave above 300 Hz; its loudness wanders by some dB within a second, and cars come by. */
function street(random, length) {
  const out = new Float64Array(length);
  const cars = Array.from({ length: 4 }, () => ({
    at: random.next() * length,
    width: random.between(0.4, 1.2) * RATE_HZ,
    up: random.between(1, 2.5),
  }));
  let low = 0;
  let slow = 0;
  for (let n = 0; n < length; n++) {
    low += 0.21 * (random.normal() - low);
    // A walk with a memory of a quarter of a second.
    slow += random.normal() * 0.0315 - slow / (RATE_HZ / 4);
    const passing = cars.reduce((sum, { at, width, up }) => sum + up * Math.exp(-(((n - at) / width) ** 2)), 1);
    out[n] = low * passing * 10 ** (Math.max(-6, Math.min(6, 2.2 * slow)) / 20);
  }
  return out;
}

function babble(random, length) {
  const sum = new Float64Array(length);
  for (let talker = 0; talker < 5; talker++) {
    const voice = random.of(VOICES);
    let at = Math.floor(random.between(0, RATE_HZ));
    while (at < length) {
      const sound = speak(random.of(ANSWERS), voice);
      for (let n = 0; n < sound.length && at + n < length; n++) sum[at + n] += sound[n];
      at += sound.length + Math.floor(random.between(500, 4000));
    }
  }
  return sum;
}

// Makes sounds/*.ul (G.711 µ-law code, mono, 8 kHz): what callers hear on hold and while a tool runs. All of it is computed here, from nothing but numbers;
// run it after a change (`node --import tsx scripts/render-sounds.mjs`), its output is committed and a test says whether it is current.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PCMU } from '../src/audio/g711.ts';

const RATE_HZ = 8000;

/** A loop: what is added beyond its end goes on at its beginning. */
class Loop {
  constructor(seconds) {
    this.samples = new Float64Array(Math.round(seconds * RATE_HZ));
  }

  /** @param shape amplitude at a time since the beginning of the note, in seconds */
  add(atS, seconds, shape) {
    const from = Math.round(atS * RATE_HZ);
    for (let n = 0; n < seconds * RATE_HZ; n++) this.samples[(from + n) % this.samples.length] += shape(n / RATE_HZ);
  }

  /** @param peak of full scale, 0 to 1 */
  code(peak) {
    const loudest = this.samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    const pcm = Int16Array.from(this.samples, (sample) => Math.round((sample / loudest) * peak * 32767));
    const coded = new Uint8Array(pcm.length);
    PCMU.encode(pcm, coded);
    return coded;
  }
}

const hz = (midi) => 440 * 2 ** ((midi - 69) / 12);
const wave = (frequency, t) => Math.sin(2 * Math.PI * frequency * t);

/** Four soft chords of four seconds, with a note of them plucked every half second. */
export function hold() {
  const loop = new Loop(16);
  const chords = [
    [48, 55, 64, 67, 71],
    [45, 52, 60, 64, 67],
    [41, 53, 60, 64, 69],
    [43, 50, 59, 62, 64],
  ];
  const order = [2, 3, 4, 3, 2, 4, 3, 4];
  for (const [bar, chord] of chords.entries()) {
    for (const note of chord) {
      const f = hz(note);
      const swell = (t) => Math.sin((Math.PI * t) / 5.2) ** 2;
      loop.add(bar * 4 - 0.6 + 16, 5.2, (t) => 0.16 * swell(t) * (wave(f, t) + 0.25 * wave(2 * f, t) + 0.08 * wave(3 * f, t)));
    }
    for (const [step, which] of order.entries()) {
      const f = hz(chord[which] + 12);
      const pluck = (t) => Math.min(1, t / 0.006) * Math.exp(-3.2 * t) * (1 - t / 2);
      loop.add(bar * 4 + step * 0.5, 2, (t) => 0.3 * pluck(t) * (wave(f, t) + 0.18 * wave(2 * f, t)));
    }
  }
  return loop.code(0.22);
}

/** A short soft note every two seconds. */
export function tone() {
  const loop = new Loop(2);
  loop.add(0, 0.16, (t) => Math.sin((Math.PI * t) / 0.16) ** 2 * wave(660, t));
  return loop.code(0.12);
}

/** Somebody types: uneven, in words. */
export function typing() {
  const loop = new Loop(4.8);
  let seed = 20_240_501;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed / 2 ** 32;
  };
  for (let at = 0.05; at < 4.6; at += random() < 0.16 ? 0.34 + 0.2 * random() : 0.09 + 0.09 * random()) {
    const [loud, f] = [0.5 + 0.5 * random(), 900 + 900 * random()];
    let low = 0;
    loop.add(at, 0.03, (t) => {
      low += 0.5 * (random() * 2 - 1 - low);
      return loud * Math.exp(-160 * t) * (0.8 * low + 0.4 * wave(f, t));
    });
    loop.add(at + 0.05 + 0.02 * random(), 0.015, (t) => 0.3 * loud * Math.exp(-260 * t) * (random() * 2 - 1));
  }
  return loop.code(0.14);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, make] of Object.entries({ hold, tone, typing }))
    writeFileSync(new URL(`../sounds/${name}.ul`, import.meta.url), make());
}

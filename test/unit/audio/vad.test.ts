import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ComfortNoise } from '../../../src/audio/comfort-noise.ts';
import { Tone } from '../../../src/audio/tone.ts';
import { loadVad, VoiceActivity } from '../../../src/audio/vad.ts';

let made: VoiceActivity[] = [];
function detector(): VoiceActivity {
  const vad = new VoiceActivity();
  made.push(vad);
  return vad;
}

/** A vowel-like sound: harmonics of 120 Hz under two formants, with the rise and fall of syllables. */
function vowel(frame: number, peak: number): Int16Array {
  const envelope = 0.6 + 0.4 * Math.sin((2 * Math.PI * frame) / 12);
  return Int16Array.from({ length: 160 }, (_, i) => {
    const t = (frame * 160 + i) / 8000;
    let sum = 0;
    for (let k = 1; k <= 25; k += 1) {
      const hz = 120 * k;
      const weight = 1 / (1 + ((hz - 600) / 200) ** 2) + 0.5 / (1 + ((hz - 1500) / 250) ** 2);
      sum += weight * Math.sin(2 * Math.PI * hz * t + k * k);
    }
    return sum * peak * 0.25 * envelope;
  });
}

function share(frames: boolean[]): number {
  return frames.filter(Boolean).length / frames.length;
}

beforeAll(loadVad);
afterEach(() => {
  for (const vad of made) vad.free();
  made = [];
});

describe('voice activity', () => {
  it('hears a voice on a quiet line within two frames, and its end', () => {
    const vad = detector();
    const noise = new ComfortNoise();
    const quiet = (): Int16Array => {
      const frame = new Int16Array(160);
      noise.fill(frame, -65);
      return frame;
    };
    expect(share(Array.from({ length: 100 }, () => vad.process(quiet()).voiced))).toBe(0);
    const voice = Array.from({ length: 50 }, (_, i) => vad.process(vowel(i, 8000)).voiced);
    expect(voice.indexOf(true)).toBeLessThanOrEqual(2);
    expect(share(voice)).toBeGreaterThan(0.9);
    // libfvad keeps a few frames of hangover of its own, energy does not.
    expect(share(Array.from({ length: 50 }, () => vad.process(quiet()).voiced))).toBe(0);
  });

  it('does not take steady noise for a voice, and still hears one 15 dB above it', () => {
    const vad = detector();
    const noise = new ComfortNoise();
    const frame = new Int16Array(160);
    const judged = Array.from({ length: 400 }, () => {
      noise.fill(frame, -40);
      return vad.process(frame);
    });
    expect(share(judged.slice(150).map((each) => each.voiced))).toBeLessThan(0.05);
    expect(judged.at(-1)!.floorDb).toBeGreaterThan(-43);
    expect(judged.at(-1)!.floorDb).toBeLessThan(-39);
    const voice = Array.from({ length: 50 }, (_, i) => {
      noise.fill(frame, -40);
      const mixed = vowel(i, 6000).map((sample, k) => sample + frame[k]!);
      return vad.process(mixed).voiced;
    });
    expect(share(voice)).toBeGreaterThan(0.7);
  });

  it('never calls digital silence or a frame of odd length a voice', () => {
    const vad = detector();
    expect(share(Array.from({ length: 100 }, () => vad.process(new Int16Array(160)).voiced))).toBe(0);
    const loud = new Int16Array(100);
    new Tone({ rateHz: 8000, frequencyHz: 440, levelDbov: -10 }).fill(loud);
    expect(vad.process(loud).voiced).toBe(false);
  });

  it('keeps the floor low through a held vowel', () => {
    const vad = detector();
    const voice = Array.from({ length: 150 }, (_, i) => vad.process(vowel(i, 8000)).voiced);
    expect(share(voice.slice(5))).toBeGreaterThan(0.9);
  });

  it('works on after the memory of the module has grown', () => {
    const first = detector();
    // Some hundred bytes each: enough of them make the heap grow under the first one.
    for (let i = 0; i < 60_000 / 2; i += 1) made.push(new VoiceActivity());
    for (let i = 0; i < 20; i += 1) first.process(new Int16Array(160));
    expect(share(Array.from({ length: 30 }, (_, i) => first.process(vowel(i, 8000)).voiced))).toBeGreaterThan(0.8);
  });

  it('is silent once freed, however often', () => {
    const vad = detector();
    vad.free();
    vad.free();
    expect(vad.process(vowel(0, 8000)).voiced).toBe(false);
  });
});

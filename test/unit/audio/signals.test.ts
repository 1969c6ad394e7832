import { describe, expect, it } from 'vitest';
import { ComfortNoise } from '../../../src/audio/comfort-noise.ts';
import { DTMF_DIGITS, dtmfFrequencies } from '../../../src/audio/dtmf-tones.ts';
import { applyGain, fadeIn, fadeOut } from '../../../src/audio/gain.ts';
import { powerShare } from '../../../src/audio/goertzel.ts';
import { levelDbov, SILENCE_DBOV } from '../../../src/audio/level.ts';
import { Tone } from '../../../src/audio/tone.ts';

describe('level', () => {
  it('is 0 for a square wave of full scale, -3 for a sine and the floor for silence', () => {
    expect(levelDbov(new Int16Array(160).fill(-32768))).toBeCloseTo(0, 3);
    const sine = new Int16Array(800);
    new Tone({ rateHz: 8000, frequencyHz: 400, levelDbov: -3.02 }).fill(sine);
    expect(levelDbov(sine)).toBeCloseTo(-3.02, 1);
    expect(levelDbov(new Int16Array(160))).toBe(SILENCE_DBOV);
    expect(levelDbov(new Int16Array(0))).toBe(SILENCE_DBOV);
  });
});

describe('tone', () => {
  it('goes on without a step from frame to frame', () => {
    const whole = new Int16Array(960);
    new Tone({ rateHz: 24_000, frequencyHz: 1004 }).fill(whole);
    const tone = new Tone({ rateHz: 24_000, frequencyHz: 1004 });
    const first = new Int16Array(480);
    const second = new Int16Array(480);
    tone.fill(first);
    tone.fill(second);
    for (let i = 0; i < 480; i += 1) {
      expect(Math.abs(first[i]! - whole[i]!)).toBeLessThanOrEqual(1);
      expect(Math.abs(second[i]! - whole[480 + i]!)).toBeLessThanOrEqual(1);
    }
  });

  it('keeps its level for an hour', () => {
    const tone = new Tone({ rateHz: 8000, frequencyHz: 1004, levelDbov: -13 });
    const frame = new Int16Array(160);
    for (let i = 0; i < 50 * 60 * 60; i += 1) tone.fill(frame);
    expect(levelDbov(frame)).toBeCloseTo(-13, 0);
  });

  it('is found by its own frequency and by no other', () => {
    const frame = new Int16Array(800);
    new Tone({ rateHz: 8000, frequencyHz: 440 }).fill(frame);
    expect(powerShare(frame, 8000, 440)).toBeGreaterThan(0.99);
    expect(powerShare(frame, 8000, 1004)).toBeLessThan(0.01);
    expect(powerShare(new Int16Array(160), 8000, 440)).toBe(0);
  });

  it('makes every DTMF digit of its two frequencies', () => {
    for (const digit of DTMF_DIGITS) {
      const [low, high] = dtmfFrequencies(digit)!;
      const frame = new Int16Array(800);
      new Tone({ rateHz: 8000, frequencyHz: low, secondFrequencyHz: high }).fill(frame);
      expect(powerShare(frame, 8000, low)).toBeGreaterThan(0.45);
      expect(powerShare(frame, 8000, high)).toBeGreaterThan(0.45);
    }
    expect(dtmfFrequencies('5')).toEqual([770, 1336]);
    expect(dtmfFrequencies('x')).toBeUndefined();
    expect(dtmfFrequencies('')).toBeUndefined();
    expect(dtmfFrequencies('12')).toBeUndefined();
  });
});

describe('gain', () => {
  it('moves in a straight line and ends on its target', () => {
    const frame = new Int16Array(160).fill(16_000);
    fadeOut(frame);
    expect(frame[0]).toBe(15_900);
    expect(frame[79]).toBe(8000);
    expect(frame[159]).toBe(0);
    const rising = new Int16Array(160).fill(16_000);
    fadeIn(rising);
    expect(rising[159]).toBe(16_000);
  });

  it('clips instead of wrapping', () => {
    const frame = Int16Array.of(30_000, -30_000);
    applyGain(frame, 2);
    expect(frame).toEqual(Int16Array.of(32_767, -32_768));
  });
});

describe('comfort noise', () => {
  it('has the level it was asked for and is no tone', () => {
    const noise = new ComfortNoise();
    const frame = new Int16Array(8000);
    noise.fill(frame, -50);
    expect(levelDbov(frame)).toBeGreaterThan(-51);
    expect(levelDbov(frame)).toBeLessThan(-49);
    expect(powerShare(frame, 8000, 1000)).toBeLessThan(0.05);
  });

  it('is silent at the floor', () => {
    const frame = new Int16Array(160).fill(1);
    new ComfortNoise().fill(frame, SILENCE_DBOV);
    expect(levelDbov(frame)).toBe(SILENCE_DBOV);
  });
});

import { describe, expect, it } from 'vitest';
import { Decimator } from '../../../src/audio/decimate.ts';
import { powerShare } from '../../../src/audio/goertzel.ts';
import { levelDbov } from '../../../src/audio/level.ts';
import { Resampler, resample } from '../../../src/audio/resampler.ts';
import { Tone } from '../../../src/audio/tone.ts';

function tone(rateHz: number, frequencyHz: number, samples: number): Int16Array {
  const pcm = new Int16Array(samples);
  new Tone({ rateHz, frequencyHz }).fill(pcm);
  return pcm;
}

function decimate(frequencyHz: number): Int16Array {
  const decimator = new Decimator();
  const source = tone(24_000, frequencyHz, 4800);
  const out = new Int16Array(1600);
  for (let i = 0; i < 10; i += 1) decimator.process(source.subarray(i * 480, i * 480 + 480), out.subarray(i * 160, i * 160 + 160));
  return out.subarray(160);
}

describe('decimator', () => {
  it.each([200, 1000, 3000])('passes %i Hz as it is', (hz) => {
    const out = decimate(hz);
    expect(levelDbov(out)).toBeCloseTo(-13, 0);
    expect(powerShare(out, 8000, hz)).toBeGreaterThan(0.98);
  });

  it.each([5000, 7000, 11_000])('lets nothing of %i Hz fold back', (hz) => {
    expect(levelDbov(decimate(hz))).toBeLessThan(-63);
  });

  it('does not care how the signal is cut into frames', () => {
    const source = tone(24_000, 700, 2880);
    const whole = new Int16Array(960);
    new Decimator().process(source, whole);
    const pieces = new Int16Array(960);
    const decimator = new Decimator();
    for (const [from, to] of [
      [0, 3],
      [3, 480],
      [480, 1920],
      [1920, 2880],
    ] as const) {
      decimator.process(source.subarray(from, to), pieces.subarray(from / 3, to / 3));
    }
    expect(pieces).toEqual(whole);
  });
});

describe('resampler', () => {
  it.each([
    [22_050, 24_000],
    [8000, 24_000],
    [24_000, 8000],
    [16_000, 24_000],
    [44_100, 8000],
  ])('turns a tone at %i Hz into the same tone at %i Hz', (from, to) => {
    const out = resample(tone(from, 1000, from / 2), from, to);
    expect(out.length).toBe(to / 2);
    const peak = 32768 * 10 ** (-13 / 20) * Math.SQRT2;
    let signal = 0;
    let error = 0;
    for (let i = 400; i < out.length - 400; i += 1) {
      const expected = peak * Math.sin((2 * Math.PI * 1000 * i) / to);
      signal += expected ** 2;
      error += (out[i]! - expected) ** 2;
    }
    expect(10 * Math.log10(signal / error)).toBeGreaterThan(70);
  });

  it('gives the same in pieces as in one', () => {
    const source = tone(22_050, 440, 5000);
    const whole = new Resampler(22_050, 24_000).process(source);
    const resampler = new Resampler(22_050, 24_000);
    const pieces: number[] = [];
    for (const [from, to] of [
      [0, 1],
      [1, 20],
      [20, 333],
      [333, 5000],
    ] as const) {
      pieces.push(...resampler.process(source.subarray(from, to)));
    }
    expect(Int16Array.from(pieces)).toEqual(whole);
  });

  it('copies when nothing is to be done', () => {
    const source = tone(8000, 440, 160);
    const out = resample(source, 8000, 8000);
    expect(out).toEqual(source);
    expect(out).not.toBe(source);
  });
});

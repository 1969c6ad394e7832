import { describe, expect, test } from 'vitest';
import { Concealer } from '../../../src/audio/concealer.ts';
import { concat, findTone, rms, tone } from '../../support/tones.ts';

const FRAME = 480;
const RATE = { rateHz: 24_000 };

function having(sound: Int16Array): Concealer {
  const concealer = new Concealer(24_000);
  for (let at = 0; at + FRAME <= sound.length; at += FRAME) concealer.pass(sound.slice(at, at + FRAME));
  return concealer;
}

function conceal(concealer: Concealer, frames: number): Int16Array[] {
  return Array.from({ length: frames }, () => {
    const out = new Int16Array(FRAME);
    concealer.conceal(out);
    return out;
  });
}

/** The largest step between two neighbours. */
function steepest(sound: Int16Array): number {
  let most = 0;
  for (let n = 1; n < sound.length; n++) most = Math.max(most, Math.abs((sound[n] as number) - (sound[n - 1] as number)));
  return most;
}

describe('a concealer', () => {
  test('goes on with what was heard last, 2 dB quieter with each frame', () => {
    const sound = tone(200, 200, RATE);
    const made = conceal(having(sound), 10);
    expect(findTone(concat(...made), 200, RATE).share).toBeGreaterThan(0.9);
    expect(rms(made[0] as Int16Array) / rms(sound)).toBeCloseTo(0.9, 1);
    expect(rms(made[9] as Int16Array) / rms(sound)).toBeLessThan(0.15);
  });

  test.each([80, 120, 211, 380])('makes no step at either end of a gap in %i Hz', (hz) => {
    const sound = tone(hz, 300, RATE);
    const concealer = having(sound.subarray(0, 10 * FRAME));
    const gap = conceal(concealer, 1)[0] as Int16Array;
    const next = sound.slice(11 * FRAME, 12 * FRAME);
    concealer.pass(next);
    const whole = concat(sound.subarray(9 * FRAME, 10 * FRAME), gap, next);
    expect(steepest(whole)).toBeLessThan(2 * steepest(sound));
  });

  test('goes to the loudness of what comes next, where that is known', () => {
    const loud = tone(200, 200, RATE);
    const concealer = having(loud);
    concealer.aim(tone(200, 20, { ...RATE, amplitude: 900 }), 3);
    const made = conceal(concealer, 3).map((frame) => rms(frame.subarray(FRAME - 120)));
    expect(made[0]).toBeGreaterThan(made[1] as number);
    expect((made[2] as number) / rms(loud)).toBeLessThan(0.2);
  });

  test('never gets much louder than what was heard', () => {
    const concealer = having(tone(200, 200, { ...RATE, amplitude: 300 }));
    concealer.aim(tone(200, 20, { ...RATE, amplitude: 30_000 }), 2);
    for (const frame of conceal(concealer, 2)) expect(rms(frame)).toBeLessThan(400);
  });

  test('is silent after silence', () => {
    const concealer = having(tone(200, 200, RATE));
    concealer.forget();
    for (const frame of conceal(concealer, 3)) expect(rms(frame)).toBe(0);
  });
});

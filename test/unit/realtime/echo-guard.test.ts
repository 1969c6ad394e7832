import { describe, expect, it } from 'vitest';
import { EchoDelay } from '../../../src/realtime/echo-delay.ts';
import { EchoGuard } from '../../../src/realtime/echo-guard.ts';
import { BANDS, HopSpectrum } from '../../../src/realtime/hop-spectrum.ts';

const FRAME = 160;

/** Numbers that look random, the same each time. */
function noiseOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Syllables of a voice: harmonics whose strengths change every 120 to 280 ms, with short holes. Full scale 32768. */
function voice(seed: number, ms: number, amplitude: number): Float64Array {
  const random = noiseOf(seed);
  const out = new Float64Array(ms * 8);
  for (let at = 0; at < out.length; ) {
    const length = Math.round((200 + 80 * random()) * 8);
    const pitch = 120 + 40 * random();
    const gains = Array.from({ length: 24 }, () => Math.max(0.03, random()) ** 2);
    for (let n = 0; n < length - 300 && at + n < out.length; n++) {
      let sum = 0;
      for (const [k, gain] of gains.entries()) sum += gain * Math.sin((2 * Math.PI * pitch * (k + 1) * n) / 8000);
      out[at + n] = (sum * amplitude * Math.min(1, n / 160)) / 2;
    }
    at += length;
  }
  return out;
}

/** Plays over a line with an echo, and tells for each frame whether it was near. */
function pass(
  guard: EchoGuard,
  played: Float64Array,
  near: Float64Array | undefined,
  { gain, delayMs }: { gain: number; delayMs: number },
): (boolean | undefined)[] {
  const random = noiseOf(9);
  const told: (boolean | undefined)[] = [];
  for (let at = 0; at + FRAME <= played.length; at += FRAME) {
    const heard = Int16Array.from({ length: FRAME }, (_, n) =>
      Math.round((near?.[at + n] ?? 0) + gain * (played[at + n - delayMs * 8] ?? 0) + 8 * random()),
    );
    told.push(guard.isNear(heard));
    guard.playing(Int16Array.from(played.subarray(at, at + FRAME), Math.round));
  }
  return told;
}

describe('the guard against our own echo', () => {
  it.each([20, 120, 250, 400])('does not take an echo %i ms late for a voice, and finds how loud it is', (delayMs) => {
    const guard = new EchoGuard();
    const told = pass(guard, voice(1, 8000, 6000), undefined, { gain: 10 ** (-15 / 20), delayMs });
    const alarms = told.filter(Boolean).length;
    expect(alarms).toBeLessThan(8);
    expect(guard.couplingDb).toBeGreaterThan(-20);
  });

  it.each([
    [120, 'later'],
    [-60, 'sooner'],
  ])('takes no echo for a voice that comes back %i ms %s after a stumble, and hears a voice meanwhile', (changeMs) => {
    const gain = 10 ** (-15 / 20);
    const alarms = (stumbles: boolean, near?: Float64Array): number => {
      const guard = new EchoGuard();
      pass(guard, voice(1, 8000, 6000), undefined, { gain, delayMs: 120 });
      if (stumbles) guard.stumbled();
      const told = pass(guard, voice(2, 2000, 6000), near, { gain, delayMs: 120 + changeMs });
      return told.filter(Boolean).length;
    };
    const unaware = alarms(false);
    expect(alarms(true)).toBeLessThan(unaware / 4);
    expect(unaware).toBeGreaterThan(8);
    expect(alarms(true, voice(77, 2000, 5000))).toBeGreaterThan(30);
  });

  it.each(['what is heard', 'what is played'])('knows the delay after a second when %s comes first of each beat', (first) => {
    const guard = new EchoGuard();
    if (first === 'what is played') guard.playing(undefined);
    pass(guard, voice(1, 1000, 6000), undefined, { gain: 10 ** (-15 / 20), delayMs: 120 });
    expect(guard.couplingDb).toBeDefined();
  });

  it.each([
    [20, 0],
    [0, 20],
    [15, 0],
  ])('finds its sound again when %i frames of the caller or %i of ours went missing in a silence', (heardLess, playedLess) => {
    const guard = new EchoGuard();
    const line = { gain: 10 ** (-15 / 20), delayMs: 120 };
    pass(guard, voice(1, 8000, 6000), undefined, line);
    for (let n = 0; n < 100 - playedLess; n++) guard.playing(undefined);
    for (let n = 0; n < 100 - heardLess; n++) guard.isNear(new Int16Array(FRAME));
    const told = pass(guard, voice(2, 2000, 6000), undefined, line);
    expect(told.filter(Boolean).length).toBeLessThan(4);
  });

  it('is not led astray by a caller who interrupts the first sentence', () => {
    const guard = new EchoGuard();
    const line = { gain: 10 ** (-15 / 20), delayMs: 180 };
    const sentence = new Float64Array(3000 * 8);
    sentence.set(voice(1, 1200, 6000));
    const interruption = new Float64Array(3000 * 8);
    interruption.set(voice(77, 1900, 5000), 1000 * 8);
    pass(guard, sentence, interruption, line);
    const told = pass(guard, voice(2, 2000, 6000), undefined, line);
    expect(told.filter(Boolean).length).toBeLessThan(4);
    // Nor is it deaf from then on.
    const next = pass(guard, voice(3, 2000, 6000), voice(78, 2000, 5000), line);
    expect(next.filter(Boolean).length).toBeGreaterThan(40);
  });

  it('hears a voice beside the echo', () => {
    const guard = new EchoGuard();
    const line = { gain: 10 ** (-15 / 20), delayMs: 120 };
    pass(guard, voice(1, 8000, 6000), undefined, line);
    const told = pass(guard, voice(2, 2000, 6000), voice(77, 2000, 5000), line);
    expect(told.filter(Boolean).length).toBeGreaterThan(50);
  });

  it('knows nothing, and says so, when nothing of ours can be heard', () => {
    const guard = new EchoGuard();
    expect(guard.isNear(new Int16Array(FRAME).fill(3000))).toBeUndefined();
    pass(guard, voice(1, 1000, 6000), undefined, { gain: 0, delayMs: 0 });
    for (let n = 0; n < 40; n++) guard.playing(undefined);
    expect(guard.isNear(new Int16Array(FRAME))).toBeUndefined();
    expect(guard.couplingDb).toBeUndefined();
  });

  it('takes any frames in any order, and none', () => {
    const guard = new EchoGuard();
    for (let n = 0; n < 300; n++) guard.playing(new Int16Array(FRAME).fill(n % 2 === 0 ? 32767 : -32768));
    for (let n = 0; n < 300; n++) expect([true, false, undefined]).toContain(guard.isNear(new Int16Array(FRAME).fill(-32768)));
  });
});

describe('the spectrum of a hop', () => {
  it('puts a tone into its band, at its level, in both hops', () => {
    const spectrum = new HopSpectrum();
    const levels = new Float64Array(2 * BANDS);
    const tone = Int16Array.from({ length: 320 }, (_, n) => Math.round(16_384 * Math.sin((2 * Math.PI * 1000 * n) / 8000)));
    spectrum.process(tone.subarray(0, 160), levels);
    spectrum.process(tone.subarray(160), levels);
    for (const hop of [levels.subarray(0, BANDS), levels.subarray(BANDS)]) {
      // A sine of half scale is -9 dBov; some of it leaks into the next band.
      expect(Math.abs(Math.max(...hop) + 9.5)).toBeLessThan(1);
      expect(hop.indexOf(Math.max(...hop))).toBe(7);
    }
  });
});

describe('the delay of an echo', () => {
  it('is not found where there is none, nor given up for a voice over it', () => {
    const random = noiseOf(3);
    const word = (): number => Math.floor((random() + 1) * 32_768) & 0xffff;
    const delay = new EchoDelay();
    const others = Int32Array.from({ length: 128 }, word);
    for (let n = 0; n < 1000; n++) {
      others[n & 127] = word();
      delay.compare(word(), others, n);
    }
    expect(delay.lag).toBeUndefined();
    const played = Int32Array.from({ length: 512 }, word);
    for (let at = 60; at < 300; at++) delay.compare(played[at - 23] ?? 0, played, at);
    expect(delay.lag).toBe(23);
    for (let at = 300; at < 340; at++) delay.compare(word(), played, at);
    expect(delay.lag).toBe(23);
  });
});

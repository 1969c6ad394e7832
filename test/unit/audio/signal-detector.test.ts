import { describe, expect, test } from 'vitest';
import { type Signal, SignalDetector } from '../../../src/audio/signal-detector.ts';
import { decodeG711, encodeG711 } from '../../support/g711.ts';
import { seededRandom } from '../../support/random.ts';
import { speech } from '../../support/speech.ts';
import { concat, dtmfTone, silence, tone } from '../../support/tones.ts';

/** All signals in this sound (8 kHz), with the millisecond at which they were told. */
function signalsIn(sound: Int16Array, afterVoice = true): (Signal & { readonly atMs: number })[] {
  const detector = new SignalDetector();
  const found: (Signal & { readonly atMs: number })[] = [];
  for (let at = 0; at + 160 <= sound.length; at += 160) {
    const signal = detector.push(sound.subarray(at, at + 160), afterVoice);
    if (signal) found.push({ ...signal, atMs: at / 8 + 20 });
  }
  return found;
}

const beep = (hz: number, ms: number, amplitude = 9000): Int16Array => concat(silence(300), tone(hz, ms, { amplitude }), silence(400));

/** Two sines at once. */
function pair(low: number, high: number, ms: number): Int16Array {
  const [a, b] = [tone(low, ms, { amplitude: 5000 }), tone(high, ms, { amplitude: 5000 })];
  return a.map((sample, n) => sample + (b[n] as number));
}

describe('a beep', () => {
  test.each([350, 440, 620, 850, 1000, 1400, 2000, 2480])('of %i Hz is heard, with its frequency and length', (hz) => {
    const [found, ...others] = signalsIn(beep(hz, 400));
    expect(others).toEqual([]);
    expect(found).toMatchObject({ type: 'beep' });
    if (found?.type !== 'beep') return;
    expect(Math.abs(found.hz - hz)).toBeLessThan(6);
    expect(Math.abs(found.ms - 400)).toBeLessThanOrEqual(40);
    expect(found.atMs - 700).toBeLessThanOrEqual(180);
  });

  test.each([100, 250, 1000, 1500])('of %i ms is heard', (ms) => {
    expect(signalsIn(beep(1000, ms))).toMatchObject([{ type: 'beep' }]);
  });

  test('is heard at -40 dBov, in noise 8 dB below it, and through µ-law', () => {
    const random = seededRandom(3);
    const quiet = beep(1000, 300, 460).map((sample) => sample + Math.round(260 * (random() - 0.5)));
    expect(signalsIn(decodeG711('PCMU', encodeG711('PCMU', quiet)))).toMatchObject([{ type: 'beep' }]);
  });

  test('of two frequencies is heard', () => {
    expect(signalsIn(concat(silence(300), pair(800, 1150, 400), silence(400)))).toMatchObject([
      { type: 'beep', hz: expect.closeTo(800, -1) },
    ]);
  });
});

describe('no beep is', () => {
  test('ringing, busy and dial tones', () => {
    for (const [low, high] of [
      [440, 480],
      [480, 620],
      [350, 440],
    ] as const)
      expect(signalsIn(concat(silence(200), pair(low, high, 500), silence(500)), false), `${low}+${high}`).toEqual([]);
    expect(signalsIn(beep(425, 1000), false)).toEqual([]);
    expect(signalsIn(beep(1000, 2000))).toEqual([]);
  });

  test.each([...'0123456789*#'])('key %s', (digit) => {
    expect(signalsIn(concat(silence(200), dtmfTone(digit, 160), silence(400)))).toEqual([]);
  });

  test('a voice', () => {
    for (let seed = 1; seed <= 12; seed++)
      expect(signalsIn(concat(speech(4000, { seed, pitchHz: 80 + 10 * seed }), silence(400))), `seed ${seed}`).toEqual([]);
  });

  test('a vowel that is held, and goes on as a word', () => {
    expect(signalsIn(concat(tone(500, 140), speech(600, { seed: 4 }), silence(400)))).toEqual([]);
  });
});

describe('networks and fax machines', () => {
  test.each([
    ['European', [950, 1400, 1800], 330],
    ['American', [913.8, 1370.6, 1776.7], 276],
    ['American, high', [985.2, 1428.5, 1776.7], 380],
  ] as const)('%s information tones are told once, and are no beeps', (_, tones, ms) => {
    const sound = concat(silence(200), ...tones.map((hz) => tone(hz, ms)), silence(500));
    expect(signalsIn(sound)).toMatchObject([{ type: 'network' }]);
  });

  test('the first of three tones alone is a beep', () => {
    expect(signalsIn(beep(950, 330))).toMatchObject([{ type: 'beep' }]);
  });

  test('a fax answers with 2100 Hz, and a short beep of 2100 Hz is none', () => {
    expect(signalsIn(concat(silence(200), tone(2100, 3000), silence(300)))).toMatchObject([{ type: 'fax' }]);
    expect(signalsIn(beep(2100, 300))).toMatchObject([{ type: 'beep' }]);
  });
});

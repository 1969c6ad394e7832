import { describe, expect, test } from 'vitest';
import { chirp, findMarker } from '../../support/chirp.ts';
import { decodeG711, encodeG711, type G711Law } from '../../support/g711.ts';
import {
  concat,
  dtmfTone,
  findTone,
  isSilent,
  rms,
  silence,
  soundOnset,
  tone,
  toneOnset,
  toneRuns,
  toneShare,
} from '../../support/tones.ts';

function throughG711(law: G711Law, samples: Int16Array): Int16Array {
  return decodeG711(law, encodeG711(law, samples));
}

describe('finding tones', () => {
  test('a tone is found by its own frequency and by no other', () => {
    const heard = throughG711('PCMU', tone(440, 500));
    expect(toneShare(heard, 440)).toBeGreaterThan(0.98);
    expect(toneShare(heard, 480)).toBeLessThan(0.1);
    expect(toneShare(heard, 1004)).toBeLessThan(0.01);
    expect(findTone(heard, 440).present).toBe(true);
    expect(findTone(heard, 1004).present).toBe(false);
  });

  test('silence holds no tone', () => {
    expect(findTone(silence(500), 440)).toEqual({ share: 0, rms: 0, present: false });
    expect(isSilent(silence(500))).toBe(true);
    expect(isSilent(concat(silence(500), tone(1000, 10), silence(500)))).toBe(false);
  });

  test.each([440, 1004, 697])('the onset of %i Hz is known to 5 ms wherever it falls', (freqHz) => {
    for (let startMs = 100; startMs < 120; startMs += 1.375) {
      const heard = throughG711('PCMA', concat(silence(startMs), tone(freqHz, 300), silence(100)));
      expect(toneOnset(heard, freqHz)).toBeGreaterThan(startMs - 5);
      expect(toneOnset(heard, freqHz)).toBeLessThan(startMs + 5);
      expect(soundOnset(heard)).toBeGreaterThanOrEqual(startMs - 1);
      expect(soundOnset(heard)).toBeLessThan(startMs + 2);
    }
  });

  test('one tone after another: each run with its two ends', () => {
    const heard = concat(silence(100), tone(440, 200), tone(1004, 200), silence(80), tone(440, 120));
    const runs = toneRuns(heard, 440);
    expect(runs).toHaveLength(2);
    expect(runs[0]!.fromMs).toBeCloseTo(100, -1);
    expect(Math.abs(runs[0]!.toMs - 300)).toBeLessThan(6);
    expect(Math.abs(runs[1]!.fromMs - 580)).toBeLessThan(6);
    expect(Math.abs(runs[1]!.toMs - 700)).toBeLessThan(6);
  });

  test('a recording that begins in the middle of a tone has it from the start', () => {
    expect(toneOnset(tone(440, 200), 440)).toBe(0);
  });

  test('a key has its two frequencies in equal parts', () => {
    const key = dtmfTone('5', 200);
    expect(toneShare(key, 770)).toBeCloseTo(0.5, 1);
    expect(toneShare(key, 1336)).toBeCloseTo(0.5, 1);
  });
});

describe('finding the marker', () => {
  test.each(['PCMU', 'PCMA'] as const)('a chirp through %s is placed to a fifth of a millisecond', (law) => {
    const marker = chirp();
    const heard = throughG711(law, concat(silence(437.25), marker, silence(500)));
    const found = findMarker(heard, marker);
    expect(found?.likeness).toBeGreaterThan(0.99);
    expect(Math.abs((found?.atMs ?? 0) - 437.25)).toBeLessThan(0.2);
  });

  test('speech, tones and silence are no chirp', () => {
    expect(findMarker(concat(tone(440, 300), silence(300), tone(1004, 300)), chirp())).toBeUndefined();
  });
});

describe('G.711 as the test phone writes it', () => {
  test.each(['PCMU', 'PCMA'] as const)('%s: encoding a decoded byte gives the byte back', (law) => {
    const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
    const again = encodeG711(law, decodeG711(law, bytes));
    // µ-law has two zeros; both mean silence.
    expect([...again].filter((byte, n) => byte !== n).length).toBeLessThanOrEqual(law === 'PCMU' ? 1 : 0);
  });

  test.each(['PCMU', 'PCMA'] as const)('%s keeps a tone 35 dB above its noise', (law) => {
    const sent = tone(1004, 400);
    const heard = throughG711(law, sent);
    const noise = heard.map((sample, n) => sample - (sent[n] as number));
    expect(20 * Math.log10(rms(sent) / rms(noise))).toBeGreaterThan(35);
  });

  test('known values: silence, and the loudest byte of each law', () => {
    expect([...encodeG711('PCMU', Int16Array.of(0, 32_767, -32_768))]).toEqual([0xff, 0x80, 0x00]);
    expect([...encodeG711('PCMA', Int16Array.of(8, 32_767, -32_768))]).toEqual([0xd5, 0xaa, 0x2a]);
    expect([...decodeG711('PCMU', Uint8Array.of(0x80, 0x00, 0xff))]).toEqual([32_124, -32_124, 0]);
    expect([...decodeG711('PCMA', Uint8Array.of(0xaa, 0x2a, 0xd5))]).toEqual([32_256, -32_256, 8]);
  });
});

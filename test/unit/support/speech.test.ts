import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { decodeG711, encodeG711 } from '../../support/g711.ts';
import { seededRandom } from '../../support/random.ts';
import { speech } from '../../support/speech.ts';
import { concat, silence, tone } from '../../support/tones.ts';
import { parseWav, readWav, writeWav } from '../../support/wav.ts';

interface Fvad {
  readonly HEAP16: Int16Array;
  _malloc(bytes: number): number;
  _fvad_new(): number;
  _fvad_set_mode(vad: number, mode: number): number;
  _fvad_set_sample_rate(vad: number, rateHz: number): number;
  _fvad_process(vad: number, frame: number, samples: number): number;
}

const library = '@echogarden/fvad-wasm';
const { default: makeFvad } = (await import(library)) as { default: () => Promise<Fvad> };

/** Share of the 20 ms frames that the WebRTC detector, at its strictest, takes for speech. */
async function speechShare(samples: Int16Array): Promise<number> {
  const fvad = await makeFvad();
  const vad = fvad._fvad_new();
  fvad._fvad_set_mode(vad, 3);
  fvad._fvad_set_sample_rate(vad, 8000);
  const frame = fvad._malloc(320);
  let speaking = 0;
  let frames = 0;
  for (let from = 0; from + 160 <= samples.length; from += 160) {
    fvad.HEAP16.set(samples.subarray(from, from + 160), frame / 2);
    speaking += fvad._fvad_process(vad, frame, 160);
    frames += 1;
  }
  return speaking / frames;
}

describe('synthetic speech', () => {
  test.each([1, 2, 3, 4, 5])('voice %i is speech to the WebRTC detector, also after G.711', async (seed) => {
    expect(await speechShare(decodeG711('PCMU', encodeG711('PCMU', speech(4000, { seed }))))).toBeGreaterThan(0.95);
  });

  test('silence is not', async () => {
    expect(await speechShare(silence(2000))).toBe(0);
  });

  test('the same seed says the same, another seed something else', () => {
    expect(speech(500, { seed: 7 })).toEqual(speech(500, { seed: 7 }));
    expect(speech(500, { seed: 7 })).not.toEqual(speech(500, { seed: 8 }));
  });
});

describe('WAV files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wav-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('what is written is read back', () => {
    const samples = concat(tone(440, 100), silence(20));
    writeWav(join(folder, 'a.wav'), samples, 16_000);
    expect(readWav(join(folder, 'a.wav'))).toEqual({ rateHz: 16_000, channels: 1, samples });
  });

  test('a file without its length yet is read to its end', () => {
    writeWav(join(folder, 'b.wav'), Int16Array.of(1, 2, 3));
    const file = Buffer.from([
      82,
      73,
      70,
      70,
      0,
      0,
      0,
      0,
      ...Buffer.from('WAVEfmt '),
      16,
      0,
      0,
      0,
      1,
      0,
      2,
      0,
      0x40,
      0x1f,
      0,
      0,
      0,
      0x7d,
      0,
      0,
      4,
      0,
      16,
      0,
    ]);
    const data = Buffer.concat([file, Buffer.from('data'), Buffer.alloc(4), Buffer.from(Int16Array.of(5, -5, 6, -6).buffer)]);
    expect(parseWav(data)).toEqual({ rateHz: 8000, channels: 2, samples: Int16Array.of(5, 6) });
    expect(() => parseWav(Buffer.from('nothing'))).toThrow('no WAV file');
  });
});

test('random numbers depend on the seed alone and are spread evenly', () => {
  const random = seededRandom(42);
  const numbers = Array.from({ length: 10_000 }, random);
  expect(numbers.slice(0, 3)).toEqual([seededRandom(42)(), numbers[1], numbers[2]]);
  expect(numbers.reduce((sum, each) => sum + each, 0) / numbers.length).toBeCloseTo(0.5, 1);
});

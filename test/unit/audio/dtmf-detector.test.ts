import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DtmfDetector } from '../../../src/audio/dtmf-detector.ts';
import { DTMF_DIGITS, dtmfDigitAt, dtmfFrequencies } from '../../../src/audio/dtmf-tones.ts';
import { type G711, PCMA, PCMU } from '../../../src/audio/g711.ts';
import { G722Decoder, G722Encoder } from '../../../src/audio/g722.ts';
import { resample } from '../../../src/audio/resampler.ts';
import { seededRandom } from '../../support/random.ts';
import { speech } from '../../support/speech.ts';
import { concat, silence, tone } from '../../support/tones.ts';

interface Dialled {
  readonly onMs: number;
  readonly offMs: number;
  /** Level of the louder tone, 0 being half of full scale, the loudest that two tones can have. */
  readonly levelDb?: number;
  /** How much louder the high tone is. */
  readonly twistDb?: number;
  /** Both frequencies off by this. */
  readonly offset?: number;
  readonly rateHz?: 8000 | 16_000;
  /** Samples before the first key: where the blocks fall. */
  readonly lead?: number;
}

function dial(digits: string, { onMs, offMs, levelDb = -10, twistDb = 0, offset = 0, rateHz = 8000, lead = 0 }: Dialled): Int16Array {
  const low = 16_383 * 10 ** ((levelDb - Math.max(0, twistDb)) / 20);
  const high = 16_383 * 10 ** ((levelDb + Math.min(0, twistDb)) / 20);
  const keys = [...digits].flatMap((digit, k) => {
    const [lowHz, highHz] = dtmfFrequencies(digit)!;
    const samples = Int16Array.from({ length: (onMs * rateHz) / 1000 }, (_, n) => {
      const turn = (2 * Math.PI * n * (1 + offset)) / rateHz;
      return Math.round(low * Math.sin(lowHz * turn + k) + high * Math.sin(highHz * turn + 2 * k));
    });
    return [samples, silence(offMs, rateHz)];
  });
  return concat(new Int16Array(lead), ...keys, silence(100, rateHz));
}

function overG711(law: G711, pcm: Int16Array): Int16Array {
  const bytes = new Uint8Array(pcm.length);
  const back = new Int16Array(pcm.length);
  law.encode(pcm, bytes);
  law.decode(bytes, back);
  return back;
}

function withNoise(pcm: Int16Array, rms: number): Int16Array {
  const random = seededRandom(1);
  return pcm.map((sample) => sample + Math.round(rms * Math.sqrt(12) * (random() - 0.5)));
}

function hear(pcm: Int16Array, sampleRateHz: 8000 | 16_000 = 8000): { readonly digits: string; readonly durations: number[] } {
  let digits = '';
  const durations: number[] = [];
  const detector = new DtmfDetector(
    (digit, durationMs) => {
      digits += digit;
      durations.push(durationMs);
    },
    { sampleRateHz },
  );
  const frame = sampleRateHz / 50;
  for (let at = 0; at < pcm.length; at += frame) detector.push(pcm.subarray(at, at + frame));
  return { digits, durations };
}

/** Every key, and some of them twice in a row. */
const ALL = `${DTMF_DIGITS}1100##`;

describe('keys heard as sound', () => {
  it('stand in rows and columns', () => {
    for (const digit of DTMF_DIGITS) {
      const [low, high] = dtmfFrequencies(digit)!;
      expect(dtmfDigitAt([697, 770, 852, 941].indexOf(low), [1209, 1336, 1477, 1633].indexOf(high))).toBe(digit);
    }
  });

  it.each([
    [40, 40],
    [40, 60],
    [50, 50],
    [60, 40],
    [80, 60],
  ])('are all found after G.711 when pressed for %i ms with pauses of %i ms, from -6 to -28 dB, with 3 dB twist', (onMs, offMs) => {
    for (const levelDb of [-6, -17, -28]) {
      for (const twistDb of [-3, 0, 3]) {
        for (const lead of [0, 27, 79]) {
          for (const law of [PCMU, PCMA]) {
            const { digits, durations } = hear(overG711(law, dial(ALL, { onMs, offMs, levelDb, twistDb, lead })));
            expect(digits, `${law.name} ${levelDb} dB, twist ${twistDb} dB, lead ${lead}`).toBe(ALL);
            for (const durationMs of durations) expect(Math.abs(durationMs - onMs)).toBeLessThanOrEqual(15);
          }
        }
      }
    }
  });

  it('are found at 16 kHz after G.722', () => {
    const pcm = dial(ALL, { onMs: 50, offMs: 50, rateHz: 16_000, twistDb: 3, levelDb: -20 });
    const coded = new Uint8Array(pcm.length / 2);
    const back = new Int16Array(pcm.length);
    new G722Encoder().encode(pcm, coded);
    new G722Decoder().decode(coded, back);
    expect(hear(back, 16_000).digits).toBe(ALL);
  });

  it('are found in noise 15 dB below them', () => {
    const pcm = dial(ALL, { onMs: 60, offMs: 60 });
    const level = 16_383 * 10 ** (-10 / 20);
    expect(hear(withNoise(pcm, level * 10 ** (-15 / 20))).digits).toBe(ALL);
  });

  it.each([0.015, -0.015])('are found when off by %f, as ITU-T Q.24 asks', (offset) => {
    expect(hear(dial(ALL, { onMs: 50, offMs: 50, offset })).digits).toBe(ALL);
  });

  it.each([0.03, -0.03, 0.05])('are none when off by %f', (offset) => {
    expect(hear(dial(DTMF_DIGITS, { onMs: 80, offMs: 60, offset })).digits).toBe('');
  });

  it('are none when shorter than 20 ms, or when one tone is missing or 15 dB too weak', () => {
    for (let lead = 0; lead < 80; lead += 9) expect(hear(dial(DTMF_DIGITS, { onMs: 20, offMs: 80, lead })).digits).toBe('');
    for (const hz of [697, 941, 1209, 1633]) expect(hear(tone(hz, 500)).digits).toBe('');
    for (const twistDb of [15, -15]) expect(hear(dial(DTMF_DIGITS, { onMs: 80, offMs: 60, twistDb })).digits).toBe('');
  });

  it('are one key however long, and however the audio is cut', () => {
    const pcm = dial('5', { onMs: 3000, offMs: 100 });
    const random = seededRandom(9);
    const heard: [string, number][] = [];
    const detector = new DtmfDetector((digit, durationMs) => heard.push([digit, durationMs]));
    for (let at = 0; at < pcm.length; ) {
      const length = Math.ceil(400 * random());
      detector.push(pcm.subarray(at, at + length));
      at += length;
    }
    expect(heard).toEqual([['5', 3000]]);
  });

  it('are told once when a packet in their middle is lost, and twice when pressed twice', () => {
    const heard: string[] = [];
    const detector = new DtmfDetector((digit) => heard.push(digit));
    const pcm = dial('8', { onMs: 200, offMs: 0 });
    detector.push(pcm.subarray(0, 640));
    detector.skip(20);
    detector.push(pcm.subarray(800));
    expect(heard).toEqual(['8']);
    detector.push(pcm.subarray(0, 1600));
    detector.skip(150);
    detector.push(pcm);
    expect(heard).toEqual(['8', '8', '8']);
  });

  it('are one when 10 ms within them are silent', () => {
    for (let at = 400; at < 560; at += 20) {
      const pcm = dial('3', { onMs: 200, offMs: 50 });
      pcm.fill(0, at, at + 80);
      expect(hear(pcm).digits).toBe('3');
    }
  });
});

describe('what sounds a little like keys', () => {
  it.each([90, 120, 180, 220])('a minute of talk of a voice at %i Hz has none', (pitchHz) => {
    expect(hear(overG711(PCMU, speech(60_000, { pitchHz, seed: pitchHz }))).digits).toBe('');
  });

  it('nor have the prompts', () => {
    const files = readdirSync('prompts').filter((file) => file.endsWith('.ul'));
    expect(files.length).toBeGreaterThan(3);
    for (const file of files) {
      const bytes = readFileSync(`prompts/${file}`);
      const pcm = new Int16Array(bytes.length);
      PCMU.decode(bytes, pcm);
      expect(hear(resample(pcm, 24_000, 8000)).digits).toBe('');
    }
  });

  it('nor have call progress tones, noise and clipped squares', () => {
    const random = seededRandom(4);
    const noise = Int16Array.from({ length: 80_000 }, () => Math.floor(20_000 * (random() - 0.5)));
    const mixed = (a: number, b: number) => {
      const second = tone(b, 2000);
      return tone(a, 2000).map((sample, n) => sample + second[n]!);
    };
    for (const pcm of [noise, mixed(350, 440), mixed(440, 480), mixed(480, 620), tone(425, 2000), tone(1000, 2000)]) {
      expect(hear(pcm).digits).toBe('');
    }
  });
});

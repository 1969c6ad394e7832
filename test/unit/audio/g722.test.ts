import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { G722Decoder, G722Encoder } from '../../../src/audio/g722.ts';
import { seededRandom } from '../../support/random.ts';
import { speech } from '../../support/speech.ts';
import { tone } from '../../support/tones.ts';

const RATE_HZ = 16_000;
/** The two filters: 11 pairs each, less the one that comes and goes at once. */
const DELAY_SAMPLES = 22;

function encode(pcm: Int16Array): Uint8Array {
  const bytes = new Uint8Array(pcm.length / 2);
  expect(new G722Encoder().encode(pcm, bytes)).toBe(bytes.length);
  return bytes;
}

function decode(bytes: Uint8Array): Int16Array {
  const pcm = new Int16Array(2 * bytes.length);
  expect(new G722Decoder().decode(bytes, pcm)).toBe(pcm.length);
  return pcm;
}

function digest(data: Uint8Array | Int16Array): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex')
    .slice(0, 16);
}

function snrDb(original: Int16Array, coded: Int16Array): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i + DELAY_SAMPLES < coded.length; i += 1) {
    signal += original[i]! ** 2;
    noise += (original[i]! - coded[i + DELAY_SAMPLES]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

/** Integers alone, so that no machine's sine can move a bit: noise, then squares of full scale, then quiet noise, then silence. */
function hardSignal(): Int16Array {
  const random = seededRandom(722);
  return Int16Array.from({ length: 2 * RATE_HZ }, (_, n) => {
    if (n < 12_000) return Math.floor(65_536 * random()) - 32_768;
    if (n < 20_000) return Math.floor(n / (20 + (n >> 10))) & 1 ? 32_767 : -32_768;
    return n < 28_000 ? Math.floor(7 * random()) - 3 : 0;
  });
}

describe('G.722', () => {
  // The digests are those of what FFmpeg 5.1 makes of the same input; test/interop/ffmpeg.test.ts compares with it directly.
  it('codes noise, squares, whispers and silence to the bits of the reference', () => {
    const bytes = encode(hardSignal());
    expect(digest(bytes)).toBe('f5b4ed97cfafee6d');
    expect(digest(decode(bytes))).toBe('75c78a4c9fd38056');
  });

  it('decodes any bytes to the samples of the reference, clipping where they go over', () => {
    const random = seededRandom(64);
    const pcm = decode(Uint8Array.from({ length: RATE_HZ }, () => Math.floor(256 * random())));
    expect(digest(pcm)).toBe('e7ea0ce27e0843df');
    expect(pcm).toContain(32_767);
  });

  it.each([300, 1000, 3000])('keeps a tone of %i Hz at least 34 dB above its noise', (hz) => {
    const pcm = tone(hz, 1000, { rateHz: RATE_HZ });
    expect(snrDb(pcm, decode(encode(pcm)))).toBeGreaterThan(34);
  });

  it.each([5000, 6500])('carries %i Hz, which G.711 cannot, in two bits a sample', (hz) => {
    const pcm = tone(hz, 1000, { rateHz: RATE_HZ });
    expect(snrDb(pcm, decode(encode(pcm)))).toBeGreaterThan(10);
  });

  it('keeps speech at least 20 dB above its noise', () => {
    const pcm = speech(5000, { rateHz: RATE_HZ });
    expect(snrDb(pcm, decode(encode(pcm)))).toBeGreaterThan(20);
  });

  it('goes on from packet to packet as if they were one, whatever their length', () => {
    const pcm = speech(2000, { rateHz: RATE_HZ });
    const bytes = encode(pcm);
    const whole = decode(bytes);
    const encoder = new G722Encoder();
    const decoder = new G722Decoder();
    const random = seededRandom(3);
    for (let at = 0; at < pcm.length; ) {
      const length = Math.min(2 * Math.ceil(500 * random()), pcm.length - at);
      const part = new Uint8Array(length / 2);
      encoder.encode(pcm.subarray(at, at + length), part);
      expect(part).toEqual(bytes.subarray(at / 2, (at + length) / 2));
      const back = new Int16Array(length);
      decoder.decode(part, back);
      expect(back).toEqual(whole.subarray(at, at + length));
      at += length;
    }
  });

  it('writes no further than the buffer goes, and leaves an odd sample out', () => {
    const bytes = new Uint8Array(10);
    expect(new G722Encoder().encode(new Int16Array(41), bytes)).toBe(10);
    expect(new G722Encoder().encode(new Int16Array(7), bytes)).toBe(3);
    expect(new G722Decoder().decode(new Uint8Array(10), new Int16Array(9))).toBe(8);
  });
});

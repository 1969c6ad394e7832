import { describe, expect, it } from 'vitest';
import { createPhoneCodec, type PhoneCodecName } from '../../../src/audio/phone-codec.ts';
import { speech } from '../../support/speech.ts';
import { rms } from '../../support/tones.ts';

const NAMES: readonly PhoneCodecName[] = ['PCMU', 'PCMA', 'G722'];

describe.each(NAMES)('the phone codec %s', (name) => {
  it('makes 8 bytes for a millisecond and gives the sound back', () => {
    const codec = createPhoneCodec(name);
    const pcm = speech(1000, { rateHz: codec.sampleRateHz });
    const bytes = new Uint8Array(8000);
    const back = new Int16Array(pcm.length);
    expect(codec.encode(pcm, bytes)).toBe(8000);
    expect(codec.decode(bytes, back)).toBe(pcm.length);
    expect(rms(back) / rms(pcm)).toBeCloseTo(1, 1);
  });

  it('has a silence that is silent, after sound too', () => {
    const codec = createPhoneCodec(name);
    const bytes = new Uint8Array(800);
    const pcm = new Int16Array(codec.sampleRateHz / 10);
    for (let n = 0; n < 3; n += 1) {
      codec.silence(bytes);
      codec.decode(bytes, pcm);
    }
    expect(rms(pcm)).toBeLessThanOrEqual(8);
    const sound = speech(100, { rateHz: codec.sampleRateHz });
    codec.encode(sound, bytes);
    codec.decode(bytes, pcm);
    for (let n = 0; n < 3; n += 1) {
      codec.silence(bytes);
      codec.decode(bytes, pcm);
    }
    expect(rms(pcm)).toBeLessThanOrEqual(8);
  });
});

it('G.722 codecs of two calls know nothing of each other', () => {
  const pcm = speech(100, { rateHz: 16_000 });
  const encode = (codec = createPhoneCodec('G722')) => {
    const bytes = new Uint8Array(800);
    codec.encode(pcm, bytes);
    return bytes;
  };
  const used = createPhoneCodec('G722');
  const first = encode(used);
  expect(encode()).toEqual(first);
  expect(encode(used)).not.toEqual(first);
});

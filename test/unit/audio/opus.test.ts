import { Application, createDecoder, createEncoder } from 'libopus-wasm';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { powerShare } from '../../../src/audio/goertzel.ts';
import { levelDbov } from '../../../src/audio/level.ts';
import { createOpusDecoder, createOpusEncoder, liveOpusCodecs, loadOpus } from '../../../src/audio/opus.ts';
import { warmUpOpus } from '../../../src/audio/opus-warm-up.ts';
import { Tone } from '../../../src/audio/tone.ts';

/** Codecs that tests of other files left open. */
const elsewhere = liveOpusCodecs();

const codecs: { free(): void }[] = [];
function kept<T extends { free(): void }>(codec: T): T {
  codecs.push(codec);
  return codec;
}

/** Frames that exercise the codec: a gliding tone under noise, the same for the same seed. */
function speechLike(count: number, samples: number, seed = 1): Int16Array[] {
  let state = seed;
  return Array.from({ length: count }, (_, frame) =>
    Int16Array.from({ length: samples }, (__, i) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      const noise = (state / 0x7fffffff - 0.5) * 3000;
      return 9000 * Math.sin(((frame * samples + i) / samples) * (4 + (frame % 7)) * 2 * Math.PI) + noise;
    }),
  );
}

beforeAll(loadOpus);
afterEach(() => {
  for (const codec of codecs.splice(0)) codec.free();
  expect(liveOpusCodecs() - elsewhere).toBe(0);
});

describe('interior profile', () => {
  it.each([
    [8000, 24_000, false],
    [24_000, 8000, true],
    [24_000, 24_000, false],
  ] as const)('carries a tone from %i Hz to %i Hz without a resampler', async (from, to, narrowband) => {
    const encoder = kept(await createOpusEncoder({ sampleRateHz: from, profile: 'interior', narrowband }));
    const decoder = kept(await createOpusDecoder({ sampleRateHz: to }));
    const tone = new Tone({ rateHz: from, frequencyHz: 440 });
    const frame = new Int16Array(encoder.frameSamples);
    let heard = new Int16Array(0);
    for (let i = 0; i < 20; i += 1) {
      tone.fill(frame);
      heard = decoder.decode(encoder.encode(frame)) as Int16Array<ArrayBuffer>;
    }
    expect(heard.length).toBe(to / 50);
    expect(powerShare(heard, to, 440)).toBeGreaterThan(0.98);
    expect(Math.abs(levelDbov(heard) - levelDbov(frame))).toBeLessThan(1);
  });

  it('costs about 48 kb/s', async () => {
    const encoder = kept(await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' }));
    const bytes = speechLike(50, 160).reduce((sum, frame) => sum + encoder.encode(frame).length, 0);
    expect(bytes * 8).toBeGreaterThan(40_000);
    expect(bytes * 8).toBeLessThan(52_000);
  });
});

describe('edge profile', () => {
  it('recovers a lost frame from the packet after it', async () => {
    const encoder = kept(await createOpusEncoder({ sampleRateHz: 24_000, profile: 'edge' }));
    encoder.setPacketLossPercent(20);
    const decoder = kept(await createOpusDecoder({ sampleRateHz: 24_000 }));
    const tone = new Tone({ rateHz: 24_000, frequencyHz: 440 });
    const packets = Array.from({ length: 30 }, () => {
      const frame = new Int16Array(480);
      tone.fill(frame);
      return encoder.encode(frame);
    });
    for (const packet of packets.slice(0, 28)) decoder.decode(packet);
    const recovered = decoder.recover(packets[29]!);
    expect(recovered.length).toBe(480);
    expect(powerShare(recovered, 24_000, 440)).toBeGreaterThan(0.9);
  });
});

describe('loss and garbage', () => {
  it('conceals with something like what came before', async () => {
    const encoder = kept(await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' }));
    const decoder = kept(await createOpusDecoder({ sampleRateHz: 8000 }));
    const tone = new Tone({ rateHz: 8000, frequencyHz: 440 });
    const frame = new Int16Array(160);
    for (let i = 0; i < 20; i += 1) {
      tone.fill(frame);
      decoder.decode(encoder.encode(frame));
    }
    const concealed = decoder.conceal();
    expect(concealed.length).toBe(160);
    expect(powerShare(concealed, 8000, 440)).toBeGreaterThan(0.8);
    for (let i = 0; i < 50; i += 1) decoder.conceal();
    expect(levelDbov(decoder.conceal())).toBeLessThan(-30);
  });

  it('takes no harm from packets that are none', async () => {
    const decoder = kept(await createOpusDecoder({ sampleRateHz: 24_000 }));
    expect(decoder.decode(new Uint8Array(0))).toBeUndefined();
    expect(decoder.decode(Uint8Array.of(0xff))).toBeUndefined();
    expect(decoder.recover(new Uint8Array(0)).length).toBe(480);
    expect(decoder.recover(Uint8Array.of(0xff)).length).toBe(480);
    const encoder = kept(await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' }));
    let last: Int16Array | undefined;
    for (const frame of speechLike(5, 160)) last = decoder.decode(encoder.encode(frame));
    expect(levelDbov(last!)).toBeGreaterThan(-20);
  });
});

describe('digital silence', () => {
  const voice = speechLike(50, 160);
  const more = speechLike(50, 160, 99);

  // 0 is muted µ-law, ±8 muted A-law; the others are what a broken phone may send.
  it.each([0, 8, -8, 1000, -30_000])('of the value %i is coded once and resumes exactly like a shorter silence', async (value) => {
    const silence = new Int16Array(160).fill(value);
    const encoder = kept(await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' }));
    const plain = await createEncoder({
      channels: 1,
      sampleRate: 8000,
      application: Application.RestrictedLowDelay,
      bitrate: 48_000,
      complexity: 0,
    });
    for (const frame of voice) expect(encoder.encode(frame)).toEqual(plain.encode(frame));
    const packets = Array.from({ length: 500 }, () => encoder.encode(silence));
    const coded = packets.findIndex((packet, i) => i > 0 && packet === packets[i - 1]);
    expect(coded).toBeGreaterThan(0);
    expect(coded).toBeLessThanOrEqual(60);
    for (let i = 0; i < coded; i += 1) plain.encode(silence);
    for (const frame of more) expect(encoder.encode(frame)).toEqual(plain.encode(frame));
    plain.free();
  });

  it('is decoded once and resumes bit for bit as if it had been decoded all along', async () => {
    const encoder = kept(await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' }));
    const decoder = kept(await createOpusDecoder({ sampleRateHz: 24_000 }));
    const plain = await createDecoder({ channels: 1, sampleRate: 24_000 });
    const silence = new Int16Array(160);
    const frames = [...voice, ...Array.from({ length: 300 }, () => silence), ...more];
    for (const frame of frames) {
      const packet = encoder.encode(frame);
      expect(decoder.decode(packet)).toEqual(plain.decode(packet));
    }
    // A loss in the middle of the silence, too.
    for (let i = 0; i < 100; i += 1) {
      const packet = encoder.encode(silence);
      expect(decoder.decode(packet)).toEqual(plain.decode(packet));
    }
    expect(decoder.conceal()).toEqual(plain.decodePacketLoss(480));
    for (const frame of voice) {
      const packet = encoder.encode(frame);
      expect(decoder.decode(packet)).toEqual(plain.decode(packet));
    }
    plain.free();
  });

  it('gives each caller a buffer of its own', async () => {
    const encoder = kept(await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' }));
    const decoder = kept(await createOpusDecoder({ sampleRateHz: 8000 }));
    const silence = new Int16Array(160);
    let pcm = new Int16Array(0);
    for (let i = 0; i < 200; i += 1) pcm = decoder.decode(encoder.encode(silence)) as Int16Array<ArrayBuffer>;
    pcm.fill(1);
    expect(decoder.decode(encoder.encode(silence))).toEqual(silence);
  });
});

describe('life', () => {
  it('warms up without leaving a codec behind', async () => {
    await warmUpOpus();
    expect(liveOpusCodecs() - elsewhere).toBe(0);
  });

  it('counts a codec once, however often it is freed', async () => {
    const encoder = await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' });
    const decoder = await createOpusDecoder({ sampleRateHz: 8000 });
    expect(liveOpusCodecs() - elsewhere).toBe(2);
    encoder.free();
    encoder.free();
    decoder.free();
    expect(liveOpusCodecs() - elsewhere).toBe(0);
  });
});

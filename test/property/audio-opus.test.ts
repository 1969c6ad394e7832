import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { createOpusDecoder, createOpusEncoder, loadOpus } from '../../src/audio/opus.ts';

beforeAll(loadOpus);

describe('an Opus decoder', () => {
  it('survives any bytes and still decodes what follows', async () => {
    const decoder = await createOpusDecoder({ sampleRateHz: 24_000 });
    const encoder = await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior' });
    const frame = new Int16Array(160);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1400 }), fc.integer({ min: -32768, max: 32767 }), (bytes, sample) => {
        const garbage = decoder.decode(bytes);
        if (garbage) expect(garbage.length).toBeLessThanOrEqual(2880);
        expect(decoder.recover(bytes).length).toBe(480);
        frame.fill(sample, 0, 80);
        expect(decoder.decode(encoder.encode(frame))?.length).toBe(480);
      }),
      { numRuns: 2000 },
    );
    decoder.free();
    encoder.free();
  });

  it('survives packets with a bit turned', async () => {
    const decoder = await createOpusDecoder({ sampleRateHz: 8000 });
    const encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'edge' });
    fc.assert(
      fc.property(fc.int16Array({ minLength: 480, maxLength: 480 }), fc.nat(), fc.nat({ max: 7 }), (pcm, at, bit) => {
        const packet = encoder.encode(pcm).slice();
        const index = at % packet.length;
        packet[index] = (packet[index] ?? 0) ^ (1 << bit);
        decoder.decode(packet);
      }),
      { numRuns: 500 },
    );
    decoder.free();
    encoder.free();
  });
});

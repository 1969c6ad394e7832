import { beforeAll, describe, expect, it } from 'vitest';
import { createOpusDecoder, createOpusEncoder, loadOpus } from '../../../src/audio/opus.ts';
import { isSpill } from '../../../src/realtime/spill.ts';
import { speech } from '../../support/speech.ts';

beforeAll(loadOpus);

describe('the end of a voice', () => {
  it('is where its packet ended: what the codec gives back in the next frame is no voice', async () => {
    const encoder = await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior', narrowband: true });
    const decoder = await createOpusDecoder({ sampleRateHz: 24_000 });
    const spills: boolean[] = [];
    for (let seed = 1; seed <= 20; seed++) {
      const voice = speech(200, { seed });
      const packets = [...Array(10).keys()].map((n) => voice.subarray(n * 160, (n + 1) * 160));
      const frames = [...packets, new Int16Array(160), new Int16Array(160)].map((pcm) =>
        Int16Array.from(decoder.decode(encoder.encode(pcm)) ?? expect.unreachable()),
      );
      spills.push(...frames.slice(1, 10).map(isSpill));
      // Only a loud end has anything left over worth the name.
      const loudEnd = packets[9]?.subarray(140).some((sample) => Math.abs(sample) > 2000);
      if (loudEnd) expect(isSpill(frames[10] ?? expect.unreachable())).toBe(true);
    }
    expect(spills.filter(Boolean).length).toBeLessThan(spills.length / 20);
    encoder.free();
    decoder.free();
  });

  it('is nothing in silence, and a voice that goes on is none', () => {
    expect(isSpill(new Int16Array(480))).toBe(false);
    expect(isSpill(speech(20, { rateHz: 24_000, seed: 3 }).map((sample, n) => (n < 72 ? sample : 0)))).toBe(false);
    expect(isSpill(new Int16Array(480).fill(3000))).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { type G711, g711, PCMA, PCMU } from '../../../src/audio/g711.ts';

const everySample = Int16Array.from({ length: 65536 }, (_, i) => i - 32768);
const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i);

function decodeAll(law: G711): Int16Array {
  const out = new Int16Array(256);
  law.decode(everyByte, out);
  return out;
}

describe.each([PCMU, PCMA])('$name', (law) => {
  it('gives back every byte it decoded', () => {
    const bytes = new Uint8Array(256);
    law.encode(decodeAll(law), bytes);
    // µ-law has two zeros; the negative one comes back as the positive one.
    const expected = everyByte.map((byte) => (law === PCMU && byte === 0x7f ? 0xff : byte));
    expect(bytes).toEqual(expected);
  });

  it('rises with its input and stays within half a step of it', () => {
    const bytes = new Uint8Array(65536);
    const back = new Int16Array(65536);
    law.encode(everySample, bytes);
    law.decode(bytes, back);
    for (let i = 1; i < back.length; i += 1) expect(back[i]!).toBeGreaterThanOrEqual(back[i - 1]!);
    for (let i = 0; i < back.length; i += 1) {
      const sample = everySample[i]!;
      // 16 steps a segment: a step is at most 1/16 of the magnitude, 16 near zero; beyond the last value it clips.
      expect(Math.abs(back[i]! - sample)).toBeLessThanOrEqual(Math.max(16, Math.abs(sample) / 32 + 8, Math.abs(sample) - 32124));
    }
  });

  it('has a silence byte that decodes next to zero', () => {
    const out = new Int16Array(1);
    law.decode(Uint8Array.of(law.silence), out);
    expect(Math.abs(out[0]!)).toBeLessThanOrEqual(8);
  });

  it('stops at the shorter of the two buffers', () => {
    expect(law.decode(everyByte, new Int16Array(10))).toBe(10);
    expect(law.encode(new Int16Array(7), new Uint8Array(160))).toBe(7);
  });
});

describe('G.711 reference values', () => {
  it('has the end points and zeros of the tables of ITU-T G.711', () => {
    const ulaw = decodeAll(PCMU);
    expect([ulaw[0x00], ulaw[0x80], ulaw[0x7f], ulaw[0xff]]).toEqual([-32124, 32124, 0, 0]);
    const alaw = decodeAll(PCMA);
    expect([alaw[0x2a], alaw[0xaa], alaw[0x55], alaw[0xd5]]).toEqual([-32256, 32256, -8, 8]);
  });

  it('finds a law by its name', () => {
    expect(g711('PCMU').payloadType).toBe(0);
    expect(g711('PCMA').payloadType).toBe(8);
  });
});

import { describe, expect, it } from 'vitest';
import { decodeL16, encodeL16 } from '../../../src/audio/l16.ts';
import { opusTicks } from '../../../src/audio/opus-packet.ts';

const packet = (configuration: number, code: number, count?: number): Uint8Array =>
  Uint8Array.from([(configuration << 3) | code, ...(count === undefined ? [] : [count])]);

describe('the length of an Opus packet', () => {
  it.each([
    ['SILK of 10 ms', packet(0, 0), 480],
    ['SILK of 60 ms', packet(11, 0), 2880],
    ['hybrid of 20 ms', packet(13, 0), 960],
    ['CELT of 2.5 ms', packet(16, 0), 120],
    ['CELT of 20 ms', packet(31, 0), 960],
    ['two frames of 20 ms', packet(31, 1), 1920],
    ['two frames of two sizes', packet(1, 2), 1920],
    ['six frames of 20 ms', packet(31, 3, 6), 5760],
  ])('%s', (_, bytes, ticks) => {
    expect(opusTicks(bytes)).toBe(ticks);
  });

  it.each([
    ['nothing', Uint8Array.of()],
    ['a count that is missing', packet(31, 3)],
    ['no frame at all', packet(31, 3, 0)],
    ['more than 120 ms', packet(31, 3, 7)],
  ])('is none of %s', (_, bytes) => {
    expect(opusTicks(bytes)).toBeUndefined();
  });
});

describe('L16', () => {
  it('puts the high byte first, and comes back as it was', () => {
    const pcm = Int16Array.of(0, 1, -1, 256, 32_767, -32_768);
    const bytes = new Uint8Array(12);
    expect(encodeL16(pcm, bytes)).toBe(12);
    expect([...bytes]).toEqual([0, 0, 0, 1, 0xff, 0xff, 1, 0, 0x7f, 0xff, 0x80, 0]);
    const out = new Int16Array(6);
    expect(decodeL16(bytes, out)).toBe(6);
    expect(out).toEqual(pcm);
  });
});

import { describe, expect, it } from 'vitest';
import { distance16, distance32, ExtendedSequence, nextSequence } from '../../../src/rtp/sequence.ts';

const starts = [0, 1, 127, 32767, 32768, 65534, 65535];

describe.each(starts)('sequence arithmetic from %i', (start) => {
  it('measures the short way round', () => {
    for (const step of [0, 1, 2, 100, 32767, -1, -2, -100, -32768]) {
      expect(distance16(start, (start + step) & 0xffff)).toBe(step);
      expect(distance32(start * 65537, (start * 65537 + step) >>> 0)).toBe(step);
    }
    expect(nextSequence(start)).toBe((start + 1) % 65536);
  });

  it('counts wraps, whatever the order of arrival', () => {
    const extended = new ExtendedSequence();
    expect(extended.highest).toBeUndefined();
    const first = extended.extend(start);
    let wrong = 0;
    for (let i = 1; i < 200_000; i += 1) {
      const swapped = i % 2 === 0 ? i - 1 : i + 1;
      if (extended.extend((start + swapped) & 0xffff) !== first + swapped) wrong += 1;
    }
    expect(wrong).toBe(0);
    expect(extended.extend((start - 1 + 200_000) & 0xffff)).toBe(first + 199_999);
  });
});

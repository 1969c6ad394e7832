import { describe, expect, it } from 'vitest';
import { Framer } from '../../../src/audio/framer.ts';

describe('framer', () => {
  it('cuts any lengths into frames and keeps the order', () => {
    const heard: number[] = [];
    const framer = new Framer(4, (frame) => heard.push(...frame));
    framer.push(Int16Array.of(1, 2, 3));
    framer.push(new Int16Array(0));
    framer.push(Int16Array.of(4));
    framer.push(Int16Array.of(5, 6, 7, 8, 9, 10, 11, 12, 13));
    expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    framer.reset();
    framer.push(Int16Array.of(20, 21, 22, 23));
    expect(heard.slice(12)).toEqual([20, 21, 22, 23]);
  });
});

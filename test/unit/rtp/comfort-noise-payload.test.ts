import { expect, it } from 'vitest';
import { parseComfortNoise, writeComfortNoise } from '../../../src/rtp/comfort-noise-payload.ts';

it('comfort noise says how loud it is', () => {
  expect(parseComfortNoise(Uint8Array.of(78))).toEqual({ levelDbov: -78, reflections: new Uint8Array() });
  expect(parseComfortNoise(Uint8Array.of(0x80 | 78, 1, 2, 3))).toEqual({ levelDbov: -78, reflections: Uint8Array.of(1, 2, 3) });
  expect(parseComfortNoise(new Uint8Array())).toBeUndefined();
});

it('comfort noise of a long spectrum is read as far as anyone makes it', () => {
  expect(parseComfortNoise(new Uint8Array(1400))?.reflections.length).toBe(32);
});

it.each([
  [0, 0],
  [-54.4, 54],
  [-127, 127],
  [-300, 127],
  [6, 0],
])('comfort noise of %f dBov is written as %i', (level, byte) => {
  expect(writeComfortNoise(level)).toEqual(Uint8Array.of(byte));
  expect(parseComfortNoise(writeComfortNoise(level))?.levelDbov).toBe(0 - byte);
});

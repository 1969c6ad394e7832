import { expect, test } from 'vitest';
import { slicePorts } from '../../../src/workers/slice-ports.ts';

test('ports are divided in whole pairs, evenly, and none twice', () => {
  expect(slicePorts({ first: 16_384, last: 32_767 }, 2)).toEqual([
    { first: 16_384, last: 24_575 },
    { first: 24_576, last: 32_767 },
  ]);
  expect(slicePorts({ first: 20_000, last: 20_014 }, 3)).toEqual([
    { first: 20_000, last: 20_003 },
    { first: 20_004, last: 20_007 },
    { first: 20_008, last: 20_011 },
  ]);
  expect(slicePorts('any', 2)).toEqual(['any', 'any']);
});

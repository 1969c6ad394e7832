import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

/* The corpus that turns are measured on: rows of numbers and text, the same for everybody. */

interface Turn {
  readonly ask: string;
  readonly segments: readonly string[];
  readonly pausesMs: readonly number[];
}

interface Caller {
  readonly voice: readonly [string, number, number];
  readonly slowness: number;
  readonly levelDb: number;
  readonly turns: readonly Turn[];
}

const { callerOf, seedsOf } = (await import('../../../bench/corpus/generate.mjs' as string)) as {
  callerOf: (seed: number, turns: number) => Caller;
  seedsOf: (half: 'tune' | 'report', n: number) => number[];
};
const { ANSWERS, VOICES } = (await import('../../../bench/corpus/scripts.mjs' as string)) as { ANSWERS: string[]; VOICES: unknown[][] };
const CORPUS = new URL('../../../bench/corpus/', import.meta.url);

describe('the corpus of turns', () => {
  test('has its halves apart, and a seed is the same caller each time', () => {
    expect(Math.max(...seedsOf('tune', 5000))).toBeLessThan(1_000_000);
    expect(Math.min(...seedsOf('report', 5000))).toBeGreaterThanOrEqual(1_000_000);
    expect(callerOf(1_000_007, 12)).toEqual(callerOf(1_000_007, 12));
    expect(callerOf(7, 12)).not.toEqual(callerOf(1_000_007, 12));
  });

  test('has pauses as they are measured in talk, and callers from quick to slow, quiet to loud', () => {
    const callers = seedsOf('report', 400).map((seed) => callerOf(seed, 12));
    const pauses = callers.flatMap(({ turns }) => turns.flatMap(({ pausesMs }) => pausesMs));
    const longer = (ms: number): number => (100 * pauses.filter((pause) => pause > ms).length) / pauses.length;
    expect([longer(300), longer(600), longer(1000), longer(1600)].map(Math.round)).toEqual([58, 25, 11, 4]);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(100);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(4000);
    for (const { levelDb, turns } of callers) {
      expect(levelDb).toBeGreaterThanOrEqual(-32);
      expect(levelDb).toBeLessThanOrEqual(-20);
      for (const { segments, pausesMs } of turns) expect(pausesMs).toHaveLength(segments.length - 1);
    }
  });

  test('has clips for machines without a synthesiser, and knows where the words of each sentence begin', () => {
    const names = readFileSync(new URL('clips/names.txt', CORPUS), 'utf8').trim().split('\n');
    expect(readdirSync(new URL('clips/', CORPUS)).sort()).toEqual([...names.map((name) => `${name}.ulaw`), 'names.txt'].sort());
    const times = JSON.parse(readFileSync(new URL('word-times.json', CORPUS), 'utf8')) as Record<string, number[][]>;
    for (const [n, text] of ANSWERS.entries()) {
      expect(times[n]).toHaveLength(VOICES.length);
      for (const starts of times[n] ?? []) {
        expect(starts.length).toBeGreaterThan(text.split(' ').length * 0.8);
        expect([...starts].sort((a, b) => a - b)).toEqual(starts);
      }
    }
  });
});

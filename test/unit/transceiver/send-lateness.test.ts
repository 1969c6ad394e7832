import { describe, expect, test } from 'vitest';
import type { Tick, Ticker } from '../../../src/base/ticker.ts';
import { SendLateness } from '../../../src/transceiver/send-lateness.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Legs on a beat that is as late as the test says. */
class Bench {
  readonly clock = new FakeClock(1000);
  readonly lateness = new SendLateness(this.clock);
  readonly #ticks: Tick[] = [];

  constructor(legs: number) {
    const ticker: Ticker = {
      add: (tick) => {
        this.#ticks.push(tick);
        return () => undefined;
      },
      takeWorstLatenessMs: () => 0,
      stop: async () => undefined,
    };
    const watched = this.lateness.watch(ticker);
    for (let n = 0; n < legs; n++) watched.add(() => undefined);
  }

  /** So many beats of 20 ms; `late` says how late one of them is. @returns after how many of them it was overloaded first */
  beats(count: number, late: (beat: number) => number): number | undefined {
    let first: number | undefined;
    for (let beat = 1; beat <= count; beat++) {
      const dueAt = this.clock.now();
      const lateMs = late(beat);
      this.clock.advance(lateMs);
      for (const tick of this.#ticks) tick(dueAt);
      this.clock.advance(Math.max(0, 20 - lateMs));
      if (this.lateness.overloaded) first ??= beat;
    }
    return first;
  }
}

const onTime = () => 1;
const late = () => 15;

describe('the lateness of what is sent', () => {
  test('lets callers in while audio leaves in time, however many legs there are', () => {
    expect(new Bench(500).beats(500, onTime)).toBeUndefined();
  });

  test('stops them within a second of audio that leaves late', () => {
    const bench = new Bench(100);
    bench.beats(100, onTime);
    expect(bench.beats(50, late)).toBeLessThanOrEqual(20);
  });

  test('forgives a stall, and a beat in twenty that is late', () => {
    const bench = new Bench(100);
    expect(bench.beats(500, (beat) => (beat === 250 ? 500 : 1))).toBeUndefined();
    expect(bench.beats(500, (beat) => (beat % 20 === 0 ? 19 : 1))).toBeUndefined();
  });

  test('lets callers in again two seconds after audio leaves in time, and not before hardly any is late', () => {
    const bench = new Bench(100);
    bench.beats(100, late);
    expect(bench.lateness.overloaded).toBe(true);
    bench.beats(200, (beat) => (beat % 20 === 0 ? 15 : 1));
    expect(bench.lateness.overloaded).toBe(true);
    bench.beats(101, onTime);
    expect(bench.lateness.overloaded).toBe(false);
  });

  test('refuses nobody for the sake of a few legs, whatever makes them late', () => {
    expect(new Bench(9).beats(500, late)).toBeUndefined();
  });

  test('forgets when the legs are gone', () => {
    const bench = new Bench(100);
    bench.beats(100, late);
    bench.clock.advance(2000);
    expect(bench.lateness.overloaded).toBe(false);
  });
});

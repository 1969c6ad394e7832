import { describe, expect, test } from 'vitest';
import type { Tick, Ticker } from '../../../src/base/ticker.ts';
import { SendLateness } from '../../../src/transceiver/send-lateness.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Legs on a beat that is as late as the test says. */
class Bench {
  readonly clock = new FakeClock(1000);
  readonly lateness = new SendLateness(this.clock);
  readonly #ticks = new Set<Tick>();
  readonly #leave: (() => void)[];

  constructor(legs: number) {
    const ticker: Ticker = {
      add: (tick) => {
        this.#ticks.add(tick);
        return () => void this.#ticks.delete(tick);
      },
      takeWorstLatenessMs: () => 0,
      stop: async () => undefined,
    };
    const watched = this.lateness.watch(ticker);
    this.#leave = Array.from({ length: legs }, () => watched.add(() => undefined));
  }

  /** So many beats of 20 ms; `late` says how late one of them is, infinitely so when it is left out. @returns after how many of them it was overloaded first */
  beats(count: number, late: (beat: number) => number): number | undefined {
    let first: number | undefined;
    const startAt = this.clock.now();
    for (let beat = 1; beat <= count; beat++) {
      const dueAt = startAt + beat * 20;
      const lateMs = late(beat);
      if (lateMs === Number.POSITIVE_INFINITY) continue;
      this.clock.advance(Math.max(0, dueAt + lateMs - this.clock.now()));
      for (const tick of this.#ticks) tick(dueAt);
      if (this.lateness.overloaded) first ??= beat;
    }
    return first;
  }

  leave(legs: number): void {
    for (const leave of this.#leave.splice(0, legs)) {
      leave();
      leave();
    }
  }
}

const onTime = () => 1;
const late = () => 25;

describe('the lateness of what is sent', () => {
  test('lets callers in while audio leaves in time, however many legs there are', () => {
    expect(new Bench(500).beats(500, onTime)).toBeUndefined();
  });

  test('stops them within one and a half seconds when all audio leaves late', () => {
    const bench = new Bench(100);
    bench.beats(200, onTime);
    expect(bench.beats(100, late)).toBeLessThanOrEqual(75);
  });

  test('takes beats that are left out for late ones', () => {
    const bench = new Bench(100);
    bench.beats(200, onTime);
    expect(bench.beats(300, (beat) => (beat % 2 === 0 ? Number.POSITIVE_INFINITY : 1))).toBeLessThanOrEqual(200);
  });

  test('forgives a stall, also right after the start, and one late beat in five', () => {
    const bench = new Bench(100);
    expect(bench.beats(400, (beat) => (beat === 5 || beat === 250 ? 400 : 1))).toBeUndefined();
    expect(bench.beats(500, (beat) => (beat % 5 === 0 ? 25 : 1))).toBeUndefined();
  });

  test('lets callers in again when hardly any audio leaves late, and not before', () => {
    const bench = new Bench(100);
    bench.beats(200, late);
    expect(bench.lateness.overloaded).toBe(true);
    bench.beats(400, (beat) => (beat % 10 === 0 ? 25 : 1));
    expect(bench.lateness.overloaded).toBe(true);
    bench.beats(200, onTime);
    expect(bench.lateness.overloaded).toBe(false);
  });

  test('refuses nobody for the sake of a few legs, whatever makes them late', () => {
    expect(new Bench(99).beats(500, late)).toBeUndefined();
    const bench = new Bench(100);
    bench.beats(200, late);
    bench.leave(1);
    expect(bench.lateness.overloaded).toBe(false);
  });

  test('forgets after a pause', () => {
    const bench = new Bench(100);
    bench.beats(200, late);
    bench.clock.advance(4000);
    expect(bench.lateness.overloaded).toBe(false);
  });
});

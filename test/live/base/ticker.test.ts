import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { FRAME_MS, WorkerTicker } from '../../../src/base/ticker.ts';

let ticker: WorkerTicker | undefined;

afterEach(async () => {
  await ticker?.stop();
});

/** Resolves with the times of the first ticks of a leg. */
function ticksOf(beat: WorkerTicker, count: number): Promise<number[]> {
  const due: number[] = [];
  return new Promise((resolve) => {
    const stop = beat.add((dueAt) => {
      if (due.push(dueAt) < count) return;
      stop();
      resolve(due);
    });
  });
}

function places(due: readonly number[]): number[] {
  return due.slice(1).map((at, n) => Math.round(at - (due[n] as number)) % FRAME_MS);
}

describe('the beat', () => {
  it('calls a leg at its own place in every frame', async () => {
    ticker = new WorkerTicker(systemClock);
    const due = await ticksOf(ticker, 8);
    expect(places(due)).toEqual(Array(7).fill(0));
    for (const [n, at] of due.slice(1).entries()) expect(at).toBeGreaterThan(due[n] as number);
  });

  it('wakes a leg when its place has come, not a frame later', async () => {
    ticker = new WorkerTicker(systemClock);
    const beat = ticker;
    const late: number[] = [];
    await new Promise<void>((resolve) => {
      const stop = beat.add((dueAt) => {
        if (late.push(systemClock.now() - dueAt) < 25) return;
        stop();
        resolve();
      });
    });
    // The best of many: a busy machine makes some of them late, a wrong clock all.
    expect(Math.min(...late)).toBeLessThan(FRAME_MS / 2);
  });

  it('puts five legs into a slot before it opens another, and spreads what is more', async () => {
    ticker = new WorkerTicker(systemClock);
    const beat = ticker;
    const all = await Promise.all(Array.from({ length: 12 }, () => ticksOf(beat, 3)));
    const slots = new Map<number, number>();
    for (const [first = 0] of all) {
      const place = Math.round((first % FRAME_MS) * 100) / 100;
      slots.set(place, (slots.get(place) ?? 0) + 1);
    }
    expect([...slots.values()].sort()).toEqual([2, 5, 5]);
  });

  it('wakes for a leg that is added while it waits for another slot', async () => {
    ticker = new WorkerTicker(systemClock);
    const beat = ticker;
    const early = Array.from({ length: 5 }, () => beat.add(() => undefined));
    await ticksOf(beat, 2);
    expect(places(await ticksOf(beat, 4))).toEqual([0, 0, 0]);
    for (const stop of early) stop();
  });

  it('ticks no more after the last leg has left, and again for a new one', async () => {
    ticker = new WorkerTicker(systemClock);
    await ticksOf(ticker, 2);
    let calls = 0;
    const stop = ticker.add(() => {
      calls += 1;
    });
    stop();
    stop();
    await ticksOf(ticker, 3);
    expect(calls).toBe(0);
  });
});

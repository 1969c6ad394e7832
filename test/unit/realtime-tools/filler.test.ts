import { describe, expect, test } from 'vitest';
import { Filler, type Wish } from '../../../src/realtime/tools/filler.ts';

/** A second of a level, so that what is heard says where it is from. */
const level = (value: number, ms = 1000): Int16Array => new Int16Array(ms * 24).fill(value);
const wish = (more: Partial<Wish> = {}): Wish => ({ pcm: level(1000), loops: true, since: 0, afterMs: 600, ...more });

/** Frames of 20 ms in a row: `.` silence, `+` the filler alone, `\` its fade, `S` speech alone. */
class FillerBench {
  readonly filler = new Filler();
  now = 0;
  heard = '';
  last = new Int16Array(480);

  frames(count: number, speech: 'none' | 'agent' | 'caller' = 'none'): this {
    for (let n = 0; n < count; n++) {
      const out = new Int16Array(480).fill(speech === 'agent' ? 5000 : 0);
      const added = this.filler.addTo(out, speech !== 'none', this.now);
      const [first = 0, last = 0] = [out[0], out[479]];
      const base = speech === 'agent' ? 5000 : 0;
      this.heard += !added ? (base > 0 ? 'S' : '.') : last - base === 0 && first > base ? '\\' : '+';
      this.last = out;
      this.now += 20;
    }
    return this;
  }

  take(): string {
    const { heard } = this;
    this.heard = '';
    return heard;
  }
}

describe('a filler', () => {
  test('begins after its delay, fades in, and loops', () => {
    const bench = new FillerBench();
    bench.filler.filler = wish();
    expect(bench.frames(32).take()).toBe(`${'.'.repeat(30)}++`);
    expect(bench.frames(100).take()).toBe('+'.repeat(100));
    expect([...new Set(bench.last)]).toEqual([1000]);
  });

  test('counts its delay from the last speech, of whomever', () => {
    const bench = new FillerBench();
    bench.filler.filler = wish();
    bench.frames(20, 'agent').frames(20, 'caller').take();
    expect(bench.frames(31).take()).toBe(`${'.'.repeat(29)}++`);
  });

  test('fades within the first frame of speech, under it, and is gone in the next', () => {
    const bench = new FillerBench();
    bench.filler.filler = wish();
    bench.frames(40).take();
    bench.frames(1, 'agent');
    const steps = [...bench.last].map((sample, n) => Math.abs(sample - (bench.last[n - 1] ?? sample)));
    expect([bench.last[0], bench.last[479], Math.max(...steps)]).toEqual([5998, 5000, 3]);
    expect(bench.frames(2, 'agent').take()).toBe('\\SS');
  });

  test.each(['caller', 'none'] as const)('fades when the caller speaks or the tool is over (%s)', (speech) => {
    const bench = new FillerBench();
    bench.filler.filler = wish();
    bench.frames(40).take();
    if (speech === 'none') bench.filler.filler = undefined;
    expect(bench.frames(3, speech).take()).toBe('\\..');
  });

  test('that is a phrase is said once', () => {
    const bench = new FillerBench();
    bench.filler.filler = wish({ pcm: level(1000, 100), loops: false });
    expect(bench.frames(60).take()).toBe(`${'.'.repeat(30)}+++++${'.'.repeat(25)}`);
    bench.filler.filler = wish({ pcm: level(1000, 100), loops: false, since: bench.now });
    expect(bench.frames(35).take()).toBe(`${'.'.repeat(30)}+++++`);
  });

  test('of another call is another one, and none costs nothing', () => {
    const bench = new FillerBench();
    expect(bench.filler.isWanted).toBe(false);
    bench.filler.filler = wish();
    bench.frames(40).take();
    bench.filler.filler = wish({ pcm: level(2000), since: bench.now });
    expect(bench.frames(33).take()).toBe(`\\${'.'.repeat(29)}+++`);
    expect(bench.last[479]).toBe(2000);
  });
});

describe('music on hold', () => {
  test('begins at once, pauses for whoever speaks, and goes on where it was', () => {
    const bench = new FillerBench();
    const ramp = Int16Array.from({ length: 24_000 }, (_, n) => 1 + (n % 30_000));
    bench.filler.playMusic(ramp, 60_000);
    expect(bench.frames(10).take()).toBe('+'.repeat(10));
    const at = bench.last[479] ?? 0;
    bench.frames(10, 'caller').take();
    expect(bench.frames(61).take()).toBe(`${'.'.repeat(59)}++`);
    // The frame that faded counts as heard, and so does the one that faded in.
    expect(bench.last[479]).toBe(at + 3 * 480);
  });

  test('is preferred to a filler, and ends in time or when it is told to', () => {
    const bench = new FillerBench();
    bench.filler.filler = wish({ afterMs: 0 });
    bench.filler.playMusic(level(300), 200);
    expect(bench.frames(9).take()).toBe('+'.repeat(9));
    expect(bench.last[0]).toBe(300);
    bench.frames(3).take();
    expect(bench.last[479]).toBe(1000);
    bench.filler.playMusic(level(300), bench.now + 1000);
    bench.frames(5);
    bench.filler.playMusic(level(300), bench.now);
    expect(bench.frames(2).take().endsWith('\\+')).toBe(true);
  });
});

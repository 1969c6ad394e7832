import { describe, expect, it } from 'vitest';
import { BeatClock } from '../../../src/base/beat-clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function beat() {
  const clock = new FakeClock();
  const log: [number, string][] = [];
  const beats = new BeatClock(clock, { beatMs: 100, fromMs: 1000 });
  const note = (name: string) => () => void log.push([clock.now(), name]);
  return { clock, log, beats, note };
}

describe('a clock with a beat', () => {
  it('runs long timers at the end of the beat they are due in, short ones to the millisecond', () => {
    const { clock, log, beats, note } = beat();
    beats.setTimer(999, note('short'));
    beats.setTimer(1000, note('on the beat'));
    beats.setTimer(1001, note('a'));
    beats.setTimer(1100, note('b'));
    expect([beats.now(), beats.wallclock()]).toEqual([clock.now(), clock.wallclock()]);
    clock.advance(2000);
    expect(log).toEqual([
      [999, 'short'],
      [1000, 'on the beat'],
      [1100, 'a'],
      [1100, 'b'],
    ]);
  });

  it('keeps no timer for a beat whose timers are all cancelled, and runs none that is cancelled on the way', () => {
    const { clock, log, beats, note } = beat();
    const timers = [beats.setTimer(2000, note('a')), beats.setTimer(2000, note('b'))];
    for (const timer of [...timers, ...timers]) timer.cancel();
    expect(clock.nextTimer()).toBeUndefined();
    const first = beats.setTimer(2000, () => second.cancel());
    const second = beats.setTimer(2000, note('second'));
    clock.advance(2000);
    first.cancel();
    expect(log).toEqual([]);
    beats.setTimer(2000, note('again'));
    clock.advance(2000);
    expect(log).toEqual([[4000, 'again']]);
  });

  it('runs all of a beat when one of them throws, and lets the fault be seen', () => {
    const { clock, log, beats, note } = beat();
    beats.setTimer(2000, () => {
      throw new Error('broken');
    });
    beats.setTimer(2000, note('after'));
    expect(() => clock.advance(2000)).toThrow('broken');
    expect(log).toEqual([[2000, 'after']]);
  });
});

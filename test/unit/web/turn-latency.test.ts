import { expect, it } from 'vitest';
import { TurnStopwatch } from '../../../web/turn-latency.ts';

it('measures from the last voice over the decision to the first sound', () => {
  const stopwatch = new TurnStopwatch();
  stopwatch.voice(1000);
  stopwatch.decided(1520);
  expect(stopwatch.heard(1600)).toEqual({ decidingMs: 520, answeringMs: 80 });
  expect(stopwatch.heard(1700), 'the same answer goes on').toBeUndefined();
});

it('counts from the decision when the caller already goes on, and nothing for a sound that answers no turn', () => {
  const stopwatch = new TurnStopwatch();
  expect(stopwatch.heard(10)).toBeUndefined();
  stopwatch.decided(500);
  stopwatch.voice(600);
  expect(stopwatch.heard(650)).toEqual({ decidingMs: 0, answeringMs: 150 });
  stopwatch.voice(1000);
  stopwatch.decided(1500);
  expect(stopwatch.heard(40_000), 'much too late').toBeUndefined();
});

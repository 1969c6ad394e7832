import { describe, expect, it } from 'vitest';
import { EndOfTurnWait } from '../../../src/realtime/end-of-turn.ts';

const ADAPTIVE = { type: 'pause_adaptive', z: 1 } as const;

describe('the wait for the end of a turn', () => {
  it('is what the caller’s pauses predict, stretched and shortened by words within 250 to 2200 ms', () => {
    const wait = new EndOfTurnWait();
    expect(wait.waitMs(ADAPTIVE)).toBeCloseTo(495, 0);
    wait.setWords('I would like to');
    expect(wait.waitMs(ADAPTIVE)).toBeCloseTo(940, 0);
    for (let n = 0; n < 20; n++) wait.learn(1500);
    expect(wait.waitMs(ADAPTIVE)).toBe(2200);
    const quick = new EndOfTurnWait();
    for (let n = 0; n < 20; n++) quick.learn(180);
    quick.setWords('thank you');
    expect(quick.waitMs(ADAPTIVE)).toBe(250);
  });

  it('is fixed where it is fixed, whatever is said', () => {
    const wait = new EndOfTurnWait();
    wait.setWords('and');
    wait.setProbability(1);
    expect(wait.waitMs({ type: 'fixed', waitMs: 500 })).toBe(500);
  });

  it('is what a judge from outside says, when it says something', () => {
    const wait = new EndOfTurnWait();
    wait.setProbability(1);
    expect(wait.waitMs(ADAPTIVE)).toBeCloseTo(250);
    wait.setProbability(0);
    expect(wait.waitMs(ADAPTIVE)).toBe(2200);
    wait.setProbability(7);
    expect(wait.waitMs(ADAPTIVE)).toBeCloseTo(250);
    wait.setProbability(undefined);
    expect(wait.waitMs(ADAPTIVE)).toBeCloseTo(495, 0);
  });

  it('never ends by itself where the model’s server decides', () => {
    expect(new EndOfTurnWait().waitMs({ type: 'upstream' })).toBe(Number.POSITIVE_INFINITY);
  });
});

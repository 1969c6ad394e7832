import { describe, expect, test } from 'vitest';
import { GapWait } from '../../../src/rtp/gap-wait.ts';

describe('the wait for a gap', () => {
  test('stays as short as it was while packets need less', () => {
    const wait = new GapWait(30, 100);
    wait.handleTime(0);
    wait.note(19);
    expect(wait.ms).toBe(30);
  });

  test('grows with what packets need, by a quarter and 5 ms, up to its bound', () => {
    const wait = new GapWait(30, 100);
    wait.note(40);
    expect(wait.ms).toBe(55);
    wait.note(36);
    expect(wait.ms).toBe(55);
    wait.note(90);
    expect(wait.ms).toBe(100);
  });

  test('does not follow what no wait would have saved', () => {
    const wait = new GapWait(30, 100);
    wait.note(101);
    expect(wait.ms).toBe(30);
  });

  test('is as short as before within ten seconds of calm', () => {
    const wait = new GapWait(30, 100);
    wait.handleTime(0);
    wait.note(60);
    for (let now = 0; now <= 3980; now += 20) wait.handleTime(now);
    expect(wait.ms).toBe(80);
    for (let now = 4000; now <= 9980; now += 20) wait.handleTime(now);
    expect(wait.ms).toBe(30);
  });
});

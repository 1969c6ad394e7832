import { describe, expect, it } from 'vitest';
import { ReplayWindow } from '../../../src/ownership/replay-window.ts';

describe('the replay window', () => {
  it('takes each counter once, in any order within the window', () => {
    const window = new ReplayWindow();
    expect([1, 3, 2, 3, 1, 2000, 4, 4].map((each) => window.accept(each))).toEqual([true, true, true, false, false, true, true, false]);
  });

  it('refuses what is too old to tell', () => {
    const window = new ReplayWindow();
    window.accept(10_000);
    expect(window.accept(10_000 - 2048)).toBe(false);
    expect(window.accept(10_000 - 2000)).toBe(true);
    expect(window.accept(10_000 - 2000)).toBe(false);
  });

  it('forgets the old bits of its ring when it leaps', () => {
    const window = new ReplayWindow();
    for (let i = 1; i <= 2048; i += 1) expect(window.accept(i)).toBe(true);
    expect(window.accept(1_000_000_000_000)).toBe(true);
    for (let i = 1; i < 2000; i += 1) expect(window.accept(1_000_000_000_000 - i)).toBe(true);
  });

  it('never takes counter 0', () => {
    expect(new ReplayWindow().accept(0)).toBe(false);
  });
});

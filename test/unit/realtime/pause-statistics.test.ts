import { describe, expect, it } from 'vitest';
import { CallerLevel } from '../../../src/realtime/caller-level.ts';
import { PauseStatistics } from '../../../src/realtime/pause-statistics.ts';

describe('the pauses of a caller', () => {
  it('make the first wait 495 ms before anything is known', () => {
    expect(new PauseStatistics().waitMs(1)).toBeCloseTo(300 * Math.exp(0.5), 6);
  });

  it('make us wait longer for a slow caller and shorter for a quick one', () => {
    const slow = new PauseStatistics();
    const quick = new PauseStatistics();
    for (const pause of [700, 900, 650, 1100, 800]) slow.learn(pause);
    for (const pause of [180, 200, 220, 190, 210, 180, 200, 190]) quick.learn(pause);
    expect(slow.waitMs(1)).toBeGreaterThan(900);
    expect(quick.waitMs(1)).toBeLessThan(400);
  });

  it('never make us wait less than 300 or more than 1600 ms', () => {
    const statistics = new PauseStatistics();
    for (let n = 0; n < 50; n++) statistics.learn(4000);
    expect(statistics.waitMs(1.6)).toBe(1600);
    for (let n = 0; n < 200; n++) statistics.learn(160);
    expect(statistics.waitMs(0.7)).toBe(300);
  });

  it('follow a caller who changes pace, in a long call too', () => {
    const statistics = new PauseStatistics();
    for (let n = 0; n < 500; n++) statistics.learn(1000);
    for (let n = 0; n < 40; n++) statistics.learn(300 + (n % 3));
    expect(statistics.waitMs(1)).toBeLessThan(450);
  });

  it('wait longer the more patient the setting', () => {
    const statistics = new PauseStatistics();
    expect(statistics.waitMs(0.7)).toBeLessThan(statistics.waitMs(1));
    expect(statistics.waitMs(1)).toBeLessThan(statistics.waitMs(1.6));
  });

  it('ignore what is no pause', () => {
    const statistics = new PauseStatistics();
    for (const pause of [0, -20, Number.NaN]) statistics.learn(pause);
    expect(statistics.waitMs(1)).toBeCloseTo(300 * Math.exp(0.5), 6);
  });
});

describe('the loudness of a caller', () => {
  it('is unknown before the first turn, and the gate is at -45 dBov', () => {
    const level = new CallerLevel();
    expect([level.callerDb, level.gateDb]).toEqual([undefined, -45]);
  });

  it('is that of the louder frames of the turns, and the gate 13 dB below', () => {
    const level = new CallerLevel();
    for (let n = 0; n < 80; n++) level.add(-40);
    for (let n = 0; n < 20; n++) level.add(-22);
    level.endTurn(true);
    expect(level.callerDb).toBe(-22);
    expect(level.gateDb).toBe(-35);
  });

  it('moves by three tenths of the way with each turn', () => {
    const level = new CallerLevel();
    for (const db of [-20, -27]) {
      for (let n = 0; n < 20; n++) level.add(db);
      level.endTurn(true);
    }
    expect(level.callerDb).toBeCloseTo(-22.1, 6);
  });

  it('is not that of somebody farther away, until it has come three times', () => {
    const level = new CallerLevel();
    const levels: (number | undefined)[] = [];
    for (const db of [-20, -40, -40, -20, -40, -40, -40]) {
      for (let n = 0; n < 20; n++) level.add(db);
      level.endTurn(true);
      levels.push(level.callerDb);
    }
    expect(levels).toEqual([-20, -20, -20, -20, -20, -20, -26]);
  });

  it('is not learned from a few frames, nor from what was no turn', () => {
    const level = new CallerLevel();
    for (let n = 0; n < 9; n++) level.add(-20);
    level.endTurn(true);
    for (let n = 0; n < 90; n++) level.add(-20);
    level.endTurn(false);
    expect(level.callerDb).toBeUndefined();
  });

  it('takes any number for a level', () => {
    const level = new CallerLevel();
    for (let n = 0; n < 20; n++) level.add([Number.NEGATIVE_INFINITY, -127, 3][n % 3] as number);
    level.endTurn(true);
    expect(level.callerDb).toBe(0);
  });
});

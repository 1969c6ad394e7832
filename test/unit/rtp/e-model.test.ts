import { describe, expect, it } from 'vitest';
import { BARE_CODEC, CONCEALED_CODEC, rateSpeech } from '../../../src/rtp/e-model.ts';
import { describeWithTestData, importTool } from '../../support/test-data.ts';

describe('the E-model', () => {
  it('gives a telephone without delay and loss its best rating', () => {
    expect(rateSpeech({ oneWayDelayMs: 0, lossPercent: 0 })).toEqual({ r: 93.2, mos: expect.closeTo(4.41, 2) });
  });

  it('takes off a little for delay, and much when people begin to talk at once', () => {
    const r = (oneWayDelayMs: number) => rateSpeech({ oneWayDelayMs, lossPercent: 0 }).r;
    expect(r(100)).toBeCloseTo(90.8, 5);
    expect(r(177.3)).toBeCloseTo(88.94, 2);
    expect(r(400)).toBeCloseTo(93.2 - 9.6 - 0.11 * 222.7, 5);
  });

  it('takes off for loss, more without concealment and more in bursts', () => {
    const r = (lossPercent: number, burstRatio = 1, codec = CONCEALED_CODEC) =>
      rateSpeech({ oneWayDelayMs: 0, lossPercent, burstRatio, codec }).r;
    expect(r(1)).toBeCloseTo(93.2 - 95 / 26.1, 5);
    expect(r(5)).toBeLessThan(r(1));
    expect(r(5, 4)).toBeLessThan(r(5));
    expect(r(5, 1, BARE_CODEC)).toBeLessThan(r(5, 4));
  });

  it('stays within its scale', () => {
    expect(rateSpeech({ oneWayDelayMs: 5000, lossPercent: 100 })).toEqual({ r: 0, mos: 1 });
    for (let lossPercent = 0; lossPercent <= 100; lossPercent += 1) {
      const { mos } = rateSpeech({ oneWayDelayMs: 150, lossPercent, codec: BARE_CODEC });
      expect(mos).toBeGreaterThanOrEqual(1);
      expect(mos).toBeLessThanOrEqual(4.5);
    }
  });
});

interface Tool {
  emodel(input: { delayMs: number; loss: number; burstR: number; ie: number; bpl: number }): { R: number; mos: number };
}

describeWithTestData('the E-model of the quality tool', () => {
  it('has the same figures', async () => {
    const { emodel } = await importTool<Tool>('quality.mjs');
    for (const oneWayDelayMs of [0, 60, 150, 200, 400]) {
      for (const lossPercent of [0, 0.5, 1, 5, 10, 20]) {
        for (const burstRatio of [1, 2, 4]) {
          for (const codec of [CONCEALED_CODEC, BARE_CODEC]) {
            const { impairment: ie, lossRobustness: bpl } = codec;
            const theirs = emodel({ delayMs: oneWayDelayMs, loss: lossPercent, burstR: burstRatio, ie, bpl });
            const { r, mos } = rateSpeech({ oneWayDelayMs, lossPercent, burstRatio, codec });
            expect(Math.abs(r - theirs.R)).toBeLessThanOrEqual(0.051);
            // The tool lets the curve dip below the scale for the worst ratings.
            expect(Math.abs(mos - Math.max(1, theirs.mos))).toBeLessThanOrEqual(0.0051);
          }
        }
      }
    }
  });
});

import { describe, expect, it } from 'vitest';
import { Playout } from '../../../src/realtime/playout.ts';

const MS = 24;

/** Audio in which each sample tells its place: a slow ramp that never is zero. */
function ramp(ms: number, from = 0): Int16Array {
  return Int16Array.from({ length: ms * MS }, (_, n) => 1000 + (((from * MS + n) >> 2) % 20_000));
}

function response(playout: Playout, id: string, ms: number, done = true): void {
  playout.open(id, false);
  playout.push(id, `${id}_item`, ramp(ms));
  if (done) playout.seal(id);
}

function pull(playout: Playout, frames: number, now = 0): Int16Array {
  const out = new Int16Array(frames * 480);
  for (let n = 0; n < frames; n++) playout.pull(out.subarray(n * 480, (n + 1) * 480), now + n * 20);
  return out;
}

describe('playout', () => {
  it('takes a burst of a minute and gives one frame at a time', () => {
    const playout = new Playout();
    playout.open('r', false);
    for (let n = 0; n < 300; n++) playout.push('r', 'i', ramp(200, n * 200));
    playout.seal('r');
    expect(playout.queuedMs).toBe(60_000);
    // One by one a million samples are compared for seconds.
    expect(Buffer.from(pull(playout, 3000).buffer).equals(Buffer.from(ramp(60_000).buffer))).toBe(true);
    expect(playout.isReady).toBe(false);
    expect(playout.takePlayed()).toBe('r');
    expect(playout.takePlayed()).toBeUndefined();
    expect(playout.droppedMs).toBe(0);
  });

  it('holds two minutes and drops what comes on top, counted', () => {
    const playout = new Playout();
    response(playout, 'r', 119_000, false);
    playout.push('r', 'r_item', ramp(1000));
    playout.push('r', 'r_item', ramp(500));
    expect([playout.queuedMs, playout.droppedMs]).toEqual([120_000, 500]);
  });

  it('holds twelve thousand pieces, however small', () => {
    const playout = new Playout();
    playout.open('r', false);
    const piece = new Int16Array(24);
    for (let n = 0; n < 12_010; n++) playout.push('r', 'i', piece);
    expect(playout.droppedMs).toBe(10);
  });

  it('waits for a whole frame while more may come, and plays the last piece of a response padded', () => {
    const playout = new Playout();
    response(playout, 'r', 30, false);
    expect(playout.pull(new Int16Array(480), 0)).toBe(true);
    expect(playout.isReady).toBe(false);
    expect(playout.pull(new Int16Array(480), 20)).toBe(false);
    playout.seal('r');
    const out = new Int16Array(480).fill(7);
    expect(playout.pull(out, 40)).toBe(true);
    expect([...out.subarray(240)]).toEqual(Array(240).fill(0));
    expect(playout.entries[0]).toMatchObject({ receivedSamples: 720, sentSamples: 720, firstSentAt: 0, lastSentAt: 40 });
  });

  it('fades within the next frame when held, and counts half of that frame as sent', () => {
    const playout = new Playout();
    response(playout, 'r', 2000);
    pull(playout, 50);
    playout.hold();
    const faded = pull(playout, 1, 1000);
    expect(faded[0]).toBeGreaterThan(900);
    expect(Math.abs(faded[479] as number)).toBe(0);
    let step = 0;
    for (let n = 1; n < 480; n++) step = Math.max(step, Math.abs((faded[n] as number) - (faded[n - 1] as number)));
    expect(step).toBeLessThan(64); // of a ramp at 7000
    expect(pull(playout, 3)).toEqual(new Int16Array(3 * 480));
    expect(playout.entries[0]?.sentSamples).toBe(50 * 480 + 240);
  });

  it('holds at once when nothing sounds', () => {
    const playout = new Playout();
    response(playout, 'r', 2000);
    playout.hold();
    expect(pull(playout, 1)).toEqual(new Int16Array(480));
    playout.resume(false);
    expect(pull(playout, 1)[479]).toBe(ramp(20)[479]);
  });

  it('resumes at the quietest place between 150 and 400 ms back, with a fade-in, and counts nothing twice', () => {
    const playout = new Playout();
    const loud = ramp(2000);
    loud.fill(20, 700 * MS, 720 * MS); // a pause between words, 300 ms before the hold
    playout.open('r', false);
    playout.push('r', 'i', loud);
    playout.seal('r');
    pull(playout, 49);
    playout.hold();
    pull(playout, 5);
    playout.resume(false);
    const resumed = pull(playout, 2);
    expect(resumed[0]).toBe(0);
    expect(resumed.subarray(480)).toEqual(loud.subarray(730 * MS, 750 * MS).map((sample) => sample));
    expect(playout.entries[0]?.sentSamples).toBe(49 * 480 + 240);
    pull(playout, 20);
    expect(playout.entries[0]?.sentSamples).toBe((710 + 22 * 20) * MS);
  });

  it('begins again from the start of the response when asked', () => {
    const playout = new Playout();
    response(playout, 'earlier', 100);
    response(playout, 'r', 1000);
    pull(playout, 5 + 8);
    playout.hold();
    pull(playout, 3);
    playout.resume(true);
    expect(pull(playout, 2).subarray(480)).toEqual(ramp(1000).subarray(480, 960));
    expect(playout.queuedMs).toBe(960);
  });

  it('goes on as if nothing were when the hold is over before a frame was sent', () => {
    const playout = new Playout();
    response(playout, 'r', 1000);
    pull(playout, 10);
    playout.hold();
    playout.resume(false);
    expect(pull(playout, 2)).toEqual(ramp(1000).subarray(4800, 5760));
  });

  it('stops for good within a frame, and tells what was cut off', () => {
    const playout = new Playout();
    response(playout, 'said', 100);
    response(playout, 'cut', 1000);
    response(playout, 'unsaid', 500);
    pull(playout, 10);
    expect(playout.takePlayed()).toBe('said');
    expect(playout.stop(200)).toEqual([
      { responseId: 'cut', itemId: 'cut_item', sentMs: 110 },
      { responseId: 'unsaid', itemId: 'unsaid_item', sentMs: 0 },
    ]);
    expect([playout.queuedMs, playout.isReady, playout.isFading]).toEqual([0, false, true]);
    const tail = pull(playout, 2);
    expect(tail[0]).toBeGreaterThan(1000);
    expect(tail.subarray(479)).toEqual(new Int16Array(481));
    expect(playout.takePlayed()).toBeUndefined();
  });

  it('says the next thing after a stop', () => {
    const playout = new Playout();
    response(playout, 'a', 1000);
    pull(playout, 10);
    playout.stop(200);
    response(playout, 'b', 100);
    const out = pull(playout, 6);
    expect(out.subarray(480)).toEqual(ramp(100));
    expect(playout.takePlayed()).toBe('b');
  });

  it('tells that a response without audio is played', () => {
    const playout = new Playout();
    playout.open('r', false);
    playout.seal('r');
    expect(playout.takePlayed()).toBe('r');
  });

  it('keeps the delay of a live response, not its content', () => {
    const playout = new Playout();
    playout.open('echo', true);
    const frame = new Int16Array(480).fill(500);
    playout.push('echo', 'i', frame);
    expect(playout.isReady).toBe(false); // 40 ms in hand first
    playout.push('echo', 'i', frame);
    expect(playout.isReady).toBe(true);
    for (let n = 0; n < 50; n++) playout.push('echo', 'i', frame);
    expect(playout.queuedMs).toBeLessThanOrEqual(120);
    pull(playout, 10);
    expect(playout.queuedMs).toBe(0);
    playout.push('echo', 'i', frame);
    expect(playout.isReady).toBe(false); // ran dry: 40 ms again
  });

  it('keeps the last 32 items in its ledger', () => {
    const playout = new Playout();
    for (let n = 0; n < 40; n++) response(playout, `r${n}`, 20);
    expect(playout.entries).toHaveLength(32);
    expect(playout.entries.at(-1)?.itemId).toBe('r39_item');
  });
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { nextSound } from '../support/heard.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import type { RtpArrival } from '../support/recording.ts';
import { Switchhook } from '../support/switchhook.ts';
import { findTone, tone } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* The whole gateway stands still for a while, as it does when its machine is too busy, and goes on. */

const hook = new Switchhook();
let gateway: GatewayProcess;
let late: Lateness;
let call: PhoneCall;

beforeAll(async () => {
  gateway = await GatewayProcess.start();
  late = new Lateness();
  call = await hook.call(gateway.sip);
  await nextSound(call.media, 3000);
  await call.media.press('2');
  await elapse(2100);
  call.media.background(tone(440, 1000));
  await nextSound(call.media, 2000);
  await elapse(500);
});

afterAll(async () => {
  late.stop();
  await hook.close();
  await gateway.stop();
});

/** The phone hears its own tone in half a second of what comes from now on. */
async function hearsItself(): Promise<void> {
  const from = call.media.arrivals.count;
  const present = (): boolean => findTone(call.media.recording(Math.max(from, call.media.arrivals.count - 25)).samples, 440).present;
  await call.media.arrivals.reach(from + 25, 3000, 'audio');
  await eventually(present, 3000, 'its own tone');
}

/** How far a packet's timestamp is from where the clock says it should be, against another one. */
function offBeatMs(from: RtpArrival, to: RtpArrival): number {
  return ((to.timestamp - from.timestamp) | 0) / 8 - (to.at - from.at);
}

test.each([200, 500, 2000])('after a stall of %i ms the phone gets no burst, the right time, and its own voice', async (ms) => {
  const { media } = call;
  const before = media.arrivals.last;
  gateway.signal('SIGSTOP');
  await elapse(ms);
  const resumedAt = performance.now();
  gateway.signal('SIGCONT');
  await elapse(1000);
  const since = media.arrivals.all.filter(({ at }) => at >= resumedAt);
  const first = since[0];
  const last = since.at(-1);
  if (!before || !first || !last) throw new Error('nothing came any more');
  const atOnce = since.filter(({ at }) => at < first.at + 15).length;
  const slackMs = await late.soFar();
  console.log(
    `stall of ${ms} ms: next packet after ${(first.at - resumedAt).toFixed(0)} ms, ${atOnce} at once, ` +
      `timeline off by ${offBeatMs(before, last).toFixed(0)} ms`,
  );
  expect(first.at - before.at).toBeLessThanOrEqual(ms + 60 + slackMs);
  // What leaves on the beat while this process stands still arrives at once as well.
  expect(atOnce).toBeLessThanOrEqual(3 + slackMs / 20);
  expect(Math.abs(offBeatMs(before, last))).toBeLessThanOrEqual(60 + slackMs);
  await hearsItself();
});

test('a stall of 5 s drops no call', async () => {
  gateway.signal('SIGSTOP');
  await elapse(5000);
  gateway.signal('SIGCONT');
  await elapse(2000);
  expect(call.over).toBe(false);
  await hearsItself();
  expect((await call.bye()).status).toBe(200);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { loudArrivals, nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import type { PhoneCodec } from '../support/phone-sdp.ts';
import type { Said } from '../support/rtp-phone.ts';
import { speech } from '../support/speech.ts';
import { Switchhook } from '../support/switchhook.ts';
import { concat, isSilent, soundOnset, type ToneRun, tone, toneRuns } from '../support/tones.ts';
import { elapse } from '../support/wait.ts';

/*
 * The conversation as a caller has it: greeted, interrupting, and hearing its own words again. What the caller says is
 * speech for a voice detector, with two tones in the middle by which it is known again.
 */

const hook = new Switchhook();
let gateway: GatewayProcess;
let idle: IdleGateway;
let late: Lateness;

beforeAll(async () => {
  gateway = await GatewayProcess.start();
  await (await hook.call(gateway.sip)).bye();
  idle = await IdleGateway.take(gateway);
  late = new Lateness(gateway);
});

afterAll(async () => {
  late.stop();
  await hook.close();
  try {
    await idle.restored();
  } finally {
    await gateway.stop();
  }
});

/** 600 ms of voice, 200 ms at 1200 Hz, 200 ms at 700 Hz, 600 ms of voice. */
const WORDS = concat(speech(600), tone(1200, 200), tone(700, 200), speech(600, { seed: 2 }));
const FIRST_TONE_MS = 600;
const TONE_MS = 200;

/** Where WORDS begin in what was heard, in milliseconds of the recording; undefined when they are not in it in this order. */
function wordsIn(samples: Int16Array): number | undefined {
  // A vowel may hold one of its harmonics for a moment; the tones last.
  const isTone = ({ fromMs, toMs }: ToneRun): boolean => Math.abs(toMs - fromMs - TONE_MS) < 20;
  const high = toneRuns(samples, 1200).find(isTone);
  const low = toneRuns(samples, 700).find(isTone);
  if (!high || !low || Math.abs(low.fromMs - high.fromMs - TONE_MS) > 15) return undefined;
  return high.fromMs - FIRST_TONE_MS;
}

/** Says WORDS and waits until the gateway has said as much. */
async function sayAndHear(call: PhoneCall): Promise<{ said: Said; heardAt: number; wordsAt: number }> {
  const said = await call.media.say(WORDS);
  const answer = await nextSound(call.media, 3000);
  await elapse(1800);
  const { samples, startedAt, arrivedAt } = call.media.recording();
  const wordsMs = wordsIn(samples);
  expect(wordsMs, 'the tones in their order and length').toBeDefined();
  const at = Math.max(0, Math.round((wordsMs ?? 0) * 8));
  return { said, heardAt: answer.at, wordsAt: arrivedAt(at) ?? startedAt };
}

describe.concurrent('a caller', () => {
  test.each<{ law: string; codecs: readonly PhoneCodec[]; codec: string }>([
    { law: 'µ-law', codecs: ['PCMU', 'telephone-event'], codec: 'PCMU' },
    { law: 'A-law', codecs: ['PCMA', 'telephone-event'], codec: 'PCMA' },
    { law: 'A-law by its own order', codecs: ['telephone-event', 'PCMA', 'PCMU'], codec: 'PCMA' },
  ])('with $law is greeted at once, and its words come back', async ({ codecs, codec }) => {
    const phone = await hook.phone();
    const dialledAt = performance.now();
    const call = await hook.call(gateway.sip, { offer: { codecs } }, phone);
    const answeredMs = performance.now() - dialledAt;
    await elapse(1500);
    const greeting = call.media.recording();
    const onsetMs = soundOnset(greeting.samples) as number;
    const greetedMs = (greeting.arrivedAt(Math.round(onsetMs * 8)) as number) - dialledAt;
    const lateMs = await late.soFar();
    expect(answeredMs, 'INVITE to 200').toBeLessThan(500 + lateMs);
    expect(greetedMs, 'INVITE to the first sound').toBeLessThan(800 + lateMs);
    expect(call.media.codec).toBe(codec);
    // Speech is neither silence nor a steady sound: some of the tenths of a second of the greeting are loud, some are not.
    const tenths = Array.from({ length: 14 }, (_, n) => isSilent(greeting.samples, { fromMs: n * 100, toMs: n * 100 + 100 }, 500));
    expect(tenths.filter((silent) => !silent).length).toBeGreaterThan(6);

    const { said, heardAt, wordsAt } = await sayAndHear(call);
    console.log(
      `INVITE → 200 ${answeredMs.toFixed(0)} ms, → greeting ${greetedMs.toFixed(0)} ms; parrot ${(heardAt - said.endedAt).toFixed(0)} ms`,
    );
    expect(heardAt - said.endedAt, 'from the last word to the first one of the answer').toBeLessThan(1200 + (await late.soFar()));
    // The answer begins with the beginning of what was said: no more than the lead before it, nothing swallowed.
    expect(Math.abs(wordsAt - heardAt)).toBeLessThan(200 + (await late.soFar()));
    expect((await call.bye()).status).toBe(200);
  });

  test('who speaks over the greeting silences it within 200 ms', async () => {
    const calls = await Promise.all([0, 1, 2, 3, 4].map(() => hook.call(gateway.sip)));
    const cutsMs = await Promise.all(
      calls.map(async (call, n) => {
        const { at: greetedAt } = await nextSound(call.media, 2000);
        // "Hello. This is Ringdown." sounds from 0.8 s to 1.6 s without a pause.
        await elapse(greetedAt + 900 + n * 60 - performance.now());
        const said = await call.media.say(speech(1200, { seed: n + 1 }));
        const before = loudArrivals(call.media, said.startedAt - 60, said.startedAt);
        expect(before.length, 'the greeting sounds when the caller begins').toBeGreaterThan(0);
        const after = loudArrivals(call.media, said.startedAt, said.endedAt);
        expect(after.length, 'the greeting goes on until the caller is noticed').toBeGreaterThan(0);
        await call.bye();
        return (after.at(-1)?.at ?? 0) - said.startedAt;
      }),
    );
    console.log(`barge-in: the greeting was silent after ${cutsMs.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    // A packet that left in time is on its way for another 20 ms at the most.
    expect(Math.max(...cutsMs)).toBeLessThan(220 + (await late.soFar()));
  });
});

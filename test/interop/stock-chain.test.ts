import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loudArrivals, nextSound } from '../support/heard.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { findSound, promptSound } from '../support/prompt-sound.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { speech } from '../support/speech.ts';
import { PROJECTS, SHOP_KEY, StockGateway } from '../support/stock-gateway.ts';
import { concat, tone, toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* A gateway whose model is another gateway: what a caller of the first hears of the second, whose agent says back what it hears. */

const DEADLINE_MS = 15_000;
const TRIES = 3;
const TRY_MS = 8000;
let second: StockGateway;
let first: StockGateway;
let phone: SipPhone;
let late: Lateness;

beforeAll(async () => {
  second = await StockGateway.start(PROJECTS);
  const { port } = second.http;
  first = await StockGateway.start(
    `callers: anyone
model: {type: realtime, profile: generic, url: "wss://127.0.0.1:${port}/v1/realtime", ca: "${second.caFile}", model: parrot, key: ${SHOP_KEY}}
`,
  );
  phone = await SipPhone.open();
  late = new Lateness(first.process, second.process);
});

afterAll(async () => {
  late.stop();
  phone.close();
  await Promise.all([first.stop(), second.stop()]);
});

/** A call past the first sound of the greeting. */
async function greeted(): Promise<PhoneCall> {
  const call = await phone.dial(first.sip);
  await call.answered(DEADLINE_MS);
  await nextSound(call.media, DEADLINE_MS);
  return call;
}

/** Sessions at the second gateway. */
async function sessionsAtSecond(): Promise<number> {
  return (await second.process.metrics()).sum('ringdown_web_sockets');
}

/** Speaks until its own tone comes back: on a busy machine what was said may have more holes than sound. */
async function isParroted(call: PhoneCall): Promise<void> {
  for (let tries = 1; ; tries++) {
    const from = call.media.arrivals.count;
    await call.media.say(concat(speech(500), tone(1200, 400), speech(400, { seed: 2 })));
    const heard = (): boolean => toneRuns(call.media.recording(from).samples, 1200).some(({ fromMs, toMs }) => toMs - fromMs > 150);
    const found = await eventually(heard, TRY_MS, 'its own words').catch(() => false);
    if (found) return;
    if (tries === TRIES) throw new Error(`its own words did not come back ${TRIES} times`);
  }
}

describe.concurrent('callers of the first gateway', () => {
  test('are greeted by the agent behind the agent, interrupt it, and hear their own words from there', async () => {
    const call = await greeted();
    const pieces = [0, 4000].map((from) => promptSound('hello').subarray(from, from + 4000));
    const isGreeting = (): boolean => pieces.some((piece) => findSound(call.media.recording().samples, piece).share > 0.6);
    await eventually(isGreeting, DEADLINE_MS, 'the greeting');
    await elapse(300);
    const said = await call.media.say(speech(1200));
    const after = loudArrivals(call.media, said.startedAt, said.endedAt);
    expect((after.at(-1)?.at ?? said.startedAt) - said.startedAt).toBeLessThan(300 + (await late.soFar()));
    // The answer to the interruption.
    await nextSound(call.media, DEADLINE_MS);
    await elapse(2500);
    await isParroted(call);
    await call.bye();
  });

  test('have an agent each', async () => {
    const calls = await Promise.all([greeted(), greeted()]);
    expect(await sessionsAtSecond()).toBeGreaterThanOrEqual(2);
    await elapse(3000);
    await Promise.all(calls.map(isParroted));
    await Promise.all(calls.map((call) => call.bye()));
  });
});

test('no session is left behind', async () => {
  await eventually(async () => (await sessionsAtSecond()) === 0, DEADLINE_MS, 'the end of the sessions behind');
});

test('a session that is ended behind is begun again, and its caller notices nothing', async () => {
  const call = await greeted();
  const list = await fetch(`${second.baseURL}/realtime/calls`, { headers: { authorization: `Bearer ${SHOP_KEY}` } });
  const views = ((await list.json()) as { data: { id: string; kind: string }[] }).data;
  await elapse(3000);
  for (const { id } of views) await second.client().realtime.calls.hangup(id);
  await eventually(async () => (await sessionsAtSecond()) === 1, DEADLINE_MS, 'a new session');
  await elapse(500);
  await isParroted(call);
  await call.bye();
});

test('a caller whose agent has gone for good is hung up on', async () => {
  const call = await greeted();
  await second.stop();
  await call.hungUp(40_000);
});

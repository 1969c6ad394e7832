import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chirp, findMarker } from '../support/chirp.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { loudArrivals, nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { speech } from '../support/speech.ts';
import { Switchhook } from '../support/switchhook.ts';
import { concat, findTone, isSilent, silence, tone, toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* What the keys of the telephone do: 1 parrot, 2 echo, 3 test tone, # goodbye. */

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

/** When the test tone was first heard, in milliseconds after `since`. */
function testToneAfter(call: PhoneCall, since: number): number | undefined {
  const { samples, arrivedAt } = call.media.recording();
  const [run] = toneRuns(samples, 1004);
  const at = run && arrivedAt(Math.round(run.fromMs * 8));
  return at === undefined ? undefined : at - since;
}

describe.concurrent('a caller', () => {
  test('who presses 3 hears 1004 Hz at -16 dBov instead of the greeting', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    await elapse(300);
    const pressed = await call.media.press('3');
    await elapse(1200);
    const after = testToneAfter(call, pressed.startedAt);
    expect(after).toBeLessThan(300 + (await late.soFar()));
    const from = call.media.arrivals.all.findIndex((each) => each.at > pressed.startedAt + 400);
    const { samples } = call.media.recording(from);
    // A packet that a busy machine lets come late is made up, and has less of it: not in each of these pieces.
    const pieces = [0, 200, 400].map((fromMs) => findTone(samples, 1004, { fromMs, toMs: fromMs + 200 }));
    const found = pieces.reduce((best, each) => (each.share > best.share ? each : best));
    console.log(`key 3: tone after ${after?.toFixed(0)} ms, share ${found.share.toFixed(3)}, rms ${found.rms.toFixed(0)}`);
    expect(found.share).toBeGreaterThan(0.99);
    // -16 dBov of a sine: 32768 · 10^(-16/20), give or take 1 dB.
    expect(Math.abs(20 * Math.log10(found.rms / (32_768 * 10 ** (-16 / 20))))).toBeLessThan(1);
    await call.bye();
  });

  test.each([96, 97, 110])('may send keys with payload type %i', async (telephoneEventType) => {
    const call = await hook.call(gateway.sip, { offer: { telephoneEventType } });
    expect(call.remoteMedia?.telephoneEventType).toBe(telephoneEventType);
    const pressed = await call.media.press('3');
    await elapse(500);
    expect(testToneAfter(call, pressed.startedAt)).toBeLessThan(400 + (await late.soFar()));
    await call.bye();
  });

  test('whose key loses its first packets and all its ends is understood all the same', async () => {
    const call = await hook.call(gateway.sip);
    let events = 0;
    call.media.mangle = (packet) => {
      if (packet.payloadType !== call.media.telephoneEventType) return packet;
      events += 1;
      return events === 3 || events === 4 ? packet : undefined;
    };
    const pressed = await call.media.press('3', 120);
    await elapse(700);
    expect(testToneAfter(call, pressed.startedAt)).toBeLessThan(600 + (await late.soFar()));
    await call.bye();
  });

  test('who presses 2 hears an echo within 150 ms, and after 1 the parrot again', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    await call.media.press('2');
    // "Echo. You hear yourself." lasts 1.8 s; what is said after it comes back.
    await elapse(2100);
    const marker = chirp(100);
    const delays: number[] = [];
    for (let n = 0; n < 3; n++) {
      const first = call.media.arrivals.count;
      const said = await call.media.say(concat(marker, silence(340)));
      const { samples, arrivedAt } = call.media.recording(first);
      const found = findMarker(samples, marker);
      expect(found, 'the chirp').toBeDefined();
      const at = Math.round(found?.atSample ?? 0);
      // A sample in the middle of a packet was spoken before the packet left, and is played after the packet came.
      delays.push((arrivedAt(at) as number) - said.startedAt);
    }
    console.log(`echo: ${delays.map((ms) => ms.toFixed(0)).join(', ')} ms`);
    expect(Math.max(...delays)).toBeLessThan(150 + (await late.soFar()));

    await call.media.press('1');
    // "Parrot. Say something." lasts 1.6 s.
    await elapse(1900);
    const words = concat(speech(500), tone(1200, 200), speech(300, { seed: 3 }));
    const said = await call.media.say(words);
    const during = loudArrivals(call.media, said.startedAt + 200, said.endedAt);
    expect(during.length, 'no echo any more').toBe(0);
    const first = call.media.arrivals.count;
    await nextSound(call.media, 3000);
    await elapse(1300);
    const heard = call.media.recording(first);
    expect(toneRuns(heard.samples, 1200).find((run) => Math.abs(run.toMs - run.fromMs - 200) < 20)).toBeDefined();
    await call.bye();
  });

  test('who presses # hears goodbye and is hung up on', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    const pressed = await call.media.press('#');
    const bye = await call.hungUp(4000);
    const at = performance.now();
    expect(bye.header('reason')).toContain('Q.850;cause=16');
    const loud = loudArrivals(call.media, pressed.startedAt + 250);
    const goodbyeMs = (loud.at(-1)?.at ?? 0) - (loud[0]?.at ?? 0);
    console.log(`key #: goodbye lasts ${goodbyeMs.toFixed(0)} ms, BYE after ${(at - pressed.startedAt).toFixed(0)} ms`);
    // "Goodbye." is 0.59 s; the end must not be cut off by the BYE.
    expect(goodbyeMs).toBeGreaterThan(350 - (await late.soFar()));
    expect(at - (loud.at(-1)?.at ?? 0)).toBeGreaterThan(100 - (await late.soFar()));
    expect(at - pressed.startedAt).toBeLessThan(2500 + (await late.soFar()));
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 2000, 'the call record');
    expect(record['cause']).toBe('agent_hangup');
  });

  test('who presses a key in the middle of a prompt stops the prompt within 200 ms', async () => {
    const call = await hook.call(gateway.sip);
    const { at: greetedAt } = await nextSound(call.media, 2000);
    await elapse(greetedAt + 900 - performance.now());
    // Echo mode of a silent caller: after the prompt there is nothing to hear.
    const pressed = await call.media.press('2', 60);
    const from = pressed.startedAt;
    await elapse(from + 2400 - performance.now());
    const first = call.media.arrivals.all.findIndex((each) => each.at > from + 2200);
    expect(isSilent(call.media.recording(first).samples)).toBe(true);
    expect(loudArrivals(call.media, from + 200, from + 2000).length, 'the prompt of the key').toBeGreaterThan(20);
    await call.bye();
  });
});

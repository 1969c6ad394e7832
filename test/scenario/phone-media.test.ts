import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { type RtpArrival, record } from '../support/recording.ts';
import { Switchhook } from '../support/switchhook.ts';
import { dtmfTone, findTone, tone, toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* What phones do to media that others do not: keys as sound, packets of their own length, silence in a word. */

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

/** When the agent's test tone was first heard, in milliseconds after `since`. */
function testToneAfter(call: PhoneCall, since: number): number | undefined {
  const { samples, arrivedAt } = call.media.recording();
  const [run] = toneRuns(samples, 1004);
  const at = run && arrivedAt(Math.round(run.fromMs * 8));
  return at === undefined ? undefined : at - since;
}

describe.concurrent('a caller', () => {
  test('without telephone events presses keys as sound', async () => {
    const call = await hook.call(gateway.sip, { offer: { codecs: ['PCMU', 'PCMA'] } });
    expect(call.remoteMedia?.telephoneEventType).toBeUndefined();
    await nextSound(call.media, 2000);
    const { endedAt } = await call.media.say(dtmfTone('3', 100));
    await elapse(600);
    await eventually(() => testToneAfter(call, endedAt), 4000, 'the test tone');
    expect(testToneAfter(call, endedAt)).toBeLessThan(350 + (await late.soFar()));
    await call.bye();
  });

  test('with telephone events does not press keys by sounds', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    const { endedAt } = await call.media.say(dtmfTone('3', 100));
    await elapse(600);
    expect(testToneAfter(call, endedAt)).toBeUndefined();
    await call.bye();
  });

  test.each([10, 30, 40, 60])('who would like packets of %i ms gets them', async (ptimeMs) => {
    const call = await hook.call(gateway.sip, { offer: { ptimeMs } });
    await nextSound(call.media, 2000);
    await call.media.press('3');
    const lastOnes = (): RtpArrival[] => call.media.arrivals.all.slice(-Math.floor(600 / ptimeMs));
    const areWhole = (packets: readonly RtpArrival[]): boolean =>
      packets.every(({ payload, timestamp }, n) => {
        const before = packets[n - 1];
        return payload.length === 8 * ptimeMs && (!before || (timestamp - before.timestamp) >>> 0 === 8 * ptimeMs);
      });
    // A gateway that stood still sends what it has of a packet and lets the time go by: then the next ones count.
    const heardWell = (): boolean => areWhole(lastOnes()) && findTone(record(lastOnes()).samples, 1004).share > 0.95;
    await elapse(1200);
    await eventually(heardWell, 6000, 'whole packets of the test tone');
    if ((await late.soFar()) < 50) expect(areWhole(call.media.arrivals.all)).toBe(true);
    await call.bye();
  });

  test('who falls silent with comfort noise for seconds hears its echo at once when it speaks again', async () => {
    const call = await hook.call(gateway.sip, { offer: { codecs: ['PCMU', 'telephone-event', 'CN'] } });
    await nextSound(call.media, 2000);
    await call.media.press('2');
    await elapse(1600);
    let silent = true;
    let sequence = call.media.sequence;
    call.media.mangle = (packet, frame) => {
      if (!silent) return { ...packet, sequence: sequence++ & 0xffff };
      // A word about the noise every 200 ms and nothing else: what is not sent has no number.
      return frame % 10 === 0 ? { ...packet, sequence: sequence++ & 0xffff, payloadType: 13, payload: Buffer.of(60) } : undefined;
    };
    await elapse(3000);
    const before = call.media.arrivals.all.length;
    silent = false;
    const { startedAt } = await call.media.say(tone(440, 800));
    const found = (): boolean =>
      (toneRuns(call.media.recording(before).samples, 440).at(-1)?.toMs ?? Number.POSITIVE_INFINITY) < lengthMs() - 200;
    const lengthMs = (): number => call.media.recording(before).samples.length / 8;
    await eventually(found, 4000, 'the end of the echo');
    const { samples, arrivedAt } = call.media.recording(before);
    const runs = toneRuns(samples, 440);
    const [run] = runs;
    const at = run && arrivedAt(Math.round(run.fromMs * 8));
    expect((at ?? Number.POSITIVE_INFINITY) - startedAt).toBeLessThan(200 + (await late.soFar()));
    // As long as it was said: nothing of the silence comes after it. What a busy machine is late with the echo cuts, to stay live.
    const spanMs = (runs.at(-1)?.toMs ?? 0) - (run?.fromMs ?? 0);
    expect(spanMs).toBeGreaterThan(740 - (await late.soFar()));
    expect(spanMs).toBeLessThan(860 + (await late.soFar()));
    await call.bye();
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import { phoneSdp } from '../support/phone-sdp.ts';
import { isRequest, isResponse, type Loss, loseNth, loseShare } from '../support/sip-loss.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

/* SIP over a network that loses messages: the caller notices nothing but a little delay. */

const hook = new Switchhook();
let gateway: GatewayProcess;
let idle: IdleGateway;
let late: Lateness;

beforeAll(async () => {
  gateway = await GatewayProcess.start({ flags: ['--sip-rate', '0', '--max-calls', '250'] });
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

/** When messages like these were seen, lost ones included, in milliseconds after the first of them. */
function times(phone: SipPhone, direction: 'in' | 'out', matches: Parameters<SipPhone['seen']>[1]): number[] {
  const seen = phone.seen(direction, matches, true).map(({ at }) => at);
  return seen.map((at) => at - (seen[0] as number));
}

async function expectTimes(seen: readonly number[], expected: readonly number[]): Promise<void> {
  const lateMs = 50 + (await late.soFar());
  expect(seen).toHaveLength(expected.length);
  expected.forEach((ms, n) => {
    expect(Math.abs((seen[n] as number) - ms), `${seen.map(Math.round)} instead of ${expected}`).toBeLessThan(lateMs);
  });
}

function causeOf(callId: string): Promise<unknown> {
  return eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === callId)?.['cause'], 3000, 'the call record');
}

describe.concurrent('a caller notices nothing when', () => {
  test('its ACK is lost twice: the answer is repeated until it is acknowledged, and audio waits for that', async () => {
    const phone = await hook.phone();
    const call = await hook.call(gateway.sip, { ack: 2 }, phone);
    const answeredAt = performance.now();
    await call.media.arrivals.reach(1, 3000, 'audio');
    const firstAudioMs = (call.media.arrivals.all[0]?.at ?? 0) - answeredAt;
    expect(firstAudioMs, 'no audio before the ACK').toBeGreaterThan(1400 - (await late.soFar()));
    expect(firstAudioMs).toBeLessThan(1900 + (await late.soFar()));
    await elapse(300);
    await expectTimes(times(phone, 'in', isResponse(200, 'INVITE')), [0, 500, 1500]);
    expect((await call.bye()).status).toBe(200);
    expect(await causeOf(call.callId)).toBe('remote_hangup');
  });

  test('the first answer is lost: the second one comes half a second later', async () => {
    const phone = await hook.phone({ loss: loseNth('in', 1, isResponse(200, 'INVITE')) });
    const dialledAt = performance.now();
    const call = await hook.call(gateway.sip, {}, phone);
    const answeredMs = performance.now() - dialledAt;
    expect(answeredMs).toBeGreaterThan(450 - (await late.soFar()));
    expect(answeredMs).toBeLessThan(900 + (await late.soFar()));
    await call.media.arrivals.reach(10, 3000, 'audio');
    expect((await call.bye()).status).toBe(200);
  });

  test('its INVITE is lost, and 100 Trying with it', async () => {
    const phone = await hook.phone({ loss: anyOf(loseNth('out', 1, isRequest('INVITE')), loseNth('in', 1, isResponse(100))) });
    const call = await hook.call(gateway.sip, {}, phone);
    await call.media.arrivals.reach(10, 3000, 'audio');
    expect((await call.bye()).status).toBe(200);
    expect(gateway.cdrs().filter((each) => each['sip_call_id'] === call.callId).length).toBeLessThan(2);
  });

  test('its BYE is lost, and the answer to the second one', async () => {
    const phone = await hook.phone({ loss: anyOf(loseNth('out', 1, isRequest('BYE')), loseNth('in', 1, isResponse(200, 'BYE'))) });
    const call = await hook.call(gateway.sip, {}, phone);
    expect((await call.bye()).status).toBe(200);
    await expectTimes(times(phone, 'out', isRequest('BYE')), [0, 500, 1500]);
    expect(await causeOf(call.callId)).toBe('remote_hangup');
  });

  test('the BYE of the gateway is lost twice', async () => {
    const phone = await hook.phone({ loss: loseNth('in', 2, isRequest('BYE'), true) });
    const call = await hook.call(gateway.sip, {}, phone);
    await call.media.press('#');
    await call.hungUp(6000);
    await expectTimes(times(phone, 'in', isRequest('BYE')), [0, 500, 1500]);
    expect(await causeOf(call.callId)).toBe('agent_hangup');
  });

  test('a refusal is lost: it is repeated until it is acknowledged', async () => {
    // Without repeats of the INVITE, which would be answered by repeats of the refusal.
    const phone = await hook.phone({ loss: loseNth('in', 1, isResponse(488)), retransmit: false });
    const sdp = phoneSdp({ address: '127.0.0.1', port: 30_000 }, undefined).replace('RTP/AVP 0 8 101', 'RTP/AVP 18');
    const call = await phone.dial(gateway.sip, { sdp });
    expect((await call.refused()).status).toBe(488);
    const refusals = times(phone, 'in', isResponse(488));
    await expectTimes(refusals, [0, 500]);
    await elapse(1200);
    expect(times(phone, 'in', isResponse(488)), 'no repeat after the ACK').toHaveLength(2);
  });
});

describe('with every tenth message lost both ways', () => {
  test('200 of 200 calls are set up, heard and ended', async () => {
    const before = gateway.cdrs().length;
    const startedAt = performance.now();
    const setupMs: number[] = [];
    let lost = 0;
    const oneCaller = async (seed: number): Promise<void> => {
      const phone = await hook.phone({ loss: loseShare(0.1, seed) });
      for (let n = 0; n < 4; n++) {
        const dialledAt = performance.now();
        const call = await phone.dial(gateway.sip);
        await call.answered(32_000);
        setupMs.push(performance.now() - dialledAt);
        await call.media.arrivals.reach(5, 32_000, 'audio');
        const { status } = await call.bye(32_000);
        expect(status).toBe(200);
        call.close();
      }
      lost += phone.messages.all.filter((each) => each.lost).length;
    };
    await Promise.all(Array.from({ length: 50 }, (_, n) => oneCaller(1000 + n)));
    await eventually(() => gateway.cdrs().length >= before + 200, 5000, '200 call records');
    const causes = gateway
      .cdrs()
      .slice(before)
      .map((each) => each['cause']);
    setupMs.sort((a, b) => a - b);
    console.log(
      `10 % loss: 200 calls in ${((performance.now() - startedAt) / 1000).toFixed(1)} s, ${lost} messages lost, ` +
        `INVITE → 200 p50 ${setupMs[100]?.toFixed(0)} p95 ${setupMs[190]?.toFixed(0)} max ${setupMs.at(-1)?.toFixed(0)} ms`,
    );
    expect(lost).toBeGreaterThan(50);
    expect(causes).toEqual(Array(200).fill('remote_hangup'));
  });
});

function anyOf(...losses: readonly Loss[]): Loss {
  // Every one counts what passes, so all are asked.
  return (passing) => losses.map((loss) => loss(passing)).includes(true);
}

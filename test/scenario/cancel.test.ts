import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { usage } from '../support/idle-gateway.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { ResourceBaseline } from '../support/process-figures.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

/* CANCEL before, at and after the answer. The gateway runs in this process, so that its timers and sockets can be counted. */

const hook = new Switchhook();
let gateway: GatewayUnderTest;
let phone: SipPhone;

beforeAll(async () => {
  gateway = await gatewayUnderTest({ flags: ['--sip-rate', '0'] });
  phone = await hook.phone();
  await (await hook.call(gateway.sip, {}, phone)).bye();
  await idle();
});

afterAll(async () => {
  await hook.close();
  await gateway.stop();
});

async function idle(): Promise<void> {
  const nothing = async (): Promise<boolean> => Object.values(usage(await gateway.metrics())).every((count) => count === 0);
  await eventually(nothing, 5000, 'every call to be gone');
}

/** Final responses to the INVITE, repeats of the same one counted once. */
function finals(call: PhoneCall): number[] {
  return [...new Set(call.responses.all.flatMap(({ status = 0 }) => (status >= 200 ? [status] : [])))];
}

/** One call that is cancelled so many milliseconds after its INVITE, and ended if it was answered all the same. */
async function cancelAfter(delayMs: number): Promise<PhoneCall> {
  const call = await phone.dial(gateway.sip, { talk: false });
  if (delayMs > 0) await elapse(delayMs);
  const cancelled = call.cancel();
  await call.final();
  const { status } = await cancelled;
  expect([200, 481]).toContain(status);
  if (finals(call).includes(200)) expect((await call.bye()).status).toBe(200);
  call.close();
  return call;
}

describe('a caller who cancels', () => {
  test('at any moment around the answer gets exactly one final response, and nothing of 200 calls stays', async () => {
    const before = gateway.cdrs().length;
    const baseline = await ResourceBaseline.take();
    const outcomes = new Map<number, number>();
    const calls: PhoneCall[] = [];
    for (let round = 0; round < 25; round++) {
      // Eight calls at once, cancelled from the very moment of the INVITE to well after the 200.
      const batch = await Promise.all(Array.from({ length: 8 }, (_, n) => cancelAfter((round + n * 25) / 2.5)));
      calls.push(...batch);
    }
    for (const call of calls) {
      expect(finals(call), 'one final response').toHaveLength(1);
      const [status] = finals(call) as [number];
      outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
    }
    console.log(`CANCEL sweep: ${[...outcomes].map(([status, count]) => `${count} times ${status}`).join(', ')}`);
    expect([...outcomes.keys()].sort()).toEqual([200, 487]);
    await idle();
    await eventually(() => gateway.cdrs().length === before + calls.length, 3000, 'a call record for each INVITE');
    const records = gateway.cdrs().slice(before);
    expect(new Set(records.map((each) => each['sip_call_id'])).size).toBe(calls.length);
    expect(records.filter((each) => each['cause'] === 'cancelled' && each['sip_status'] === 487)).toHaveLength(outcomes.get(487) ?? 0);
    expect(records.filter((each) => each['cause'] === 'remote_hangup' && each['sip_status'] === 200)).toHaveLength(outcomes.get(200) ?? 0);
    const leakedPorts = (): number => baseline.leaked()['UDPWrap'] ?? 0;
    await eventually(() => leakedPorts() === 0, 3000, 'every port to be closed').catch(() => expect(leakedPorts()).toBe(0));
  });

  test('after the answer is answered 200 to the CANCEL, and the call goes on', async () => {
    const call = await hook.call(gateway.sip, {}, phone);
    expect((await call.cancel()).status).toBe(200);
    const { at } = await call.media.arrivals.next(() => true, 1000, 'audio after the CANCEL');
    expect(at).toBeGreaterThan(0);
    expect((await call.bye()).status).toBe(200);
    expect(finals(call)).toEqual([200]);
    await idle();
  });

  test('a call that nobody made is answered 481', async () => {
    const call = await phone.dial(gateway.sip, { talk: false });
    await call.answered();
    await call.bye();
    const ghost = await hook.phone();
    const response = await ghost.ask('CANCEL', gateway.sip);
    expect(response.status).toBe(481);
  });
});

import { afterEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../support/endpoint.ts';
import { startRolesApart } from '../support/gateway-process.ts';
import { gatewayUnderTest } from '../support/gateway-under-test.ts';
import { nextSound } from '../support/heard.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { RtpPhone } from '../support/rtp-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { findTone, tone } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* Calls over IPv6: signalling, media, and everything inside. */

const hook = new Switchhook();
const ends: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await hook.close();
  for (const end of ends.splice(0).reverse()) await end();
});

async function gateway(bind: string) {
  const made = await gatewayUnderTest({ flags: ['--bind', bind] });
  ends.push(() => made.stop());
  return made;
}

/** Hears the test tone, then its own voice: audio flows both ways. */
async function talks(call: PhoneCall): Promise<void> {
  await nextSound(call.media, 3000);
  await call.media.press('3');
  await elapse(500);
  const tested = call.media.arrivals.count;
  await elapse(300);
  expect(findTone(call.media.recording(tested).samples, 1004).present).toBe(true);
  await call.media.press('2');
  await elapse(2100); // "Echo. You hear yourself."
  const echoed = call.media.arrivals.count;
  await call.media.say(tone(440, 500));
  await eventually(() => findTone(call.media.recording(echoed).samples, 440).present, 2000, 'the echo');
}

const answerOf = (call: PhoneCall) => call.responses.all.find(({ status }) => status === 200);

test('a phone on ::1 talks, and every address it is told is IPv6', async () => {
  const { sip, http, cdrs } = await gateway('::1');
  expect(sip.address).toBe('::1');
  const phone = await hook.phone({ address: '::1' });
  const call = await hook.call(sip, {}, phone);
  const answer = answerOf(call);
  expect(answer?.header('contact')).toContain(`sip:[::1]:${sip.port}`);
  expect(answer?.body).toMatch(/^o=.* IN IP6 ::1\r$/m);
  expect(answer?.body).toMatch(/^c=IN IP6 ::1\r$/m);
  await talks(call);
  expect((await fetch(`http://[::1]:${http.port}/healthz`)).status).toBe(200);
  expect((await fetch(`http://[::1]:${http.port}/metrics`)).status).toBe(200);
  await call.media.press('#');
  const bye = await call.hungUp(4000);
  expect(bye.header('via')).toContain(`[::1]:${sip.port}`);
  const record = await eventually(() => cdrs().find((each) => each['sip_call_id'] === call.callId), 3000, 'the call record');
  expect(record).toMatchObject({ cause: 'agent_hangup', peer: expect.stringMatching(/^udp:\[::1\]:\d+$/) });
});

describe('a gateway bound to ::', () => {
  const families = [
    { address: '127.0.0.1', family: 'IP4', host: '127.0.0.1' },
    { address: '::1', family: 'IP6', host: '[::1]' },
  ] as const;

  test('is called over IPv4 and IPv6 at the same time, and tells each phone an address of its own family', async () => {
    const { sip, http, relay } = await gateway('::');
    const at = (address: string): Endpoint => ({ address, port: sip.port });
    const calls = await Promise.all(families.map(async ({ address }) => hook.call(at(address), {}, await hook.phone({ address }))));
    for (const [n, call] of calls.entries()) {
      const { family, host, address } = families[n] as (typeof families)[number];
      expect(answerOf(call)?.header('contact')).toContain(`sip:${host}:${sip.port}`);
      expect(answerOf(call)?.body).toContain(`\r\nc=IN ${family} ${address}\r\n`);
    }
    await Promise.all(calls.map(talks));
    for (const { host } of families) expect((await fetch(`http://${host}:${http.port}/metrics`)).status).toBe(200);
    expect(relay.address).toBe('::');
    for (const call of calls) expect((await call.bye()).status).toBe(200);
  });

  test('takes media of the other family than the signalling', async () => {
    const { sip } = await gateway('::');
    const media = await RtpPhone.open({ address: '::1' });
    ends.push(async () => media.close());
    const call = await hook.call({ address: '127.0.0.1', port: sip.port }, { media });
    expect(answerOf(call)?.header('contact')).toContain(`sip:127.0.0.1:${sip.port}`);
    expect(answerOf(call)?.body).toContain('\r\nc=IN IP6 ::1\r\n');
    await talks(call);
    expect((await call.bye()).status).toBe(200);
  });
});

test('a gateway bound to IPv4 refuses IPv6 media by name', async () => {
  const { sip } = await gateway('127.0.0.1');
  const media = await RtpPhone.open({ address: '::1' });
  ends.push(async () => media.close());
  const call = await (await hook.phone()).dial(sip, { media });
  const refusal = await call.final();
  expect(refusal.status).toBe(488);
  expect(refusal.header('warning')).toContain('IPv6 media cannot be reached from here');
});

test('roles in three processes on ::1 find each other and carry a call', async () => {
  const roles = await startRolesApart({ address: '::1' });
  ends.push(() => roles.stop());
  const call = await hook.call(roles.sip.sip, {}, await hook.phone({ address: '::1' }));
  await talks(call);
  expect((await roles.relay.metrics()).value('ringdown_relay_flows')).toBe(1);
  expect((await call.bye()).status).toBe(200);
});

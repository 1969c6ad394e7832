import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { AnsweringEngine } from '../support/answering-engine.ts';
import { calledBack } from '../support/called-back.ts';
import { endpointText, freePort } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { nextSound } from '../support/heard.ts';
import { Kamailio } from '../support/kamailio.ts';
import { describePeer } from '../support/peers.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { readPhoneMedia } from '../support/phone-sdp.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { runSipp } from '../support/sipp.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { eventually } from '../support/wait.ts';

/* A proxy that stays in the way: whatever belongs to a call has to take the route set through it. */

/** No call failed, and sipp had nothing to complain of. */
const SUCCESS = { exitCode: 0, failed: 0, unexpected: 0, unanswered: 0, outOfCall: 0, errors: '' };
const TCP = ['-t', 't1'];

const SCENARIOS = [
  'uac-call',
  'uac-reinvite',
  'uac-reinvite-nosdp',
  'uac-hold-variants',
  'uac-nosdp',
  'uac-update',
  'uac-refused-codec',
] as const;

/** The phone spoke with nobody but the proxy, both ways. */
function expectOnlyThrough(kamailio: Kamailio, phone: SipPhone): void {
  const peers = new Set(phone.messages.all.map(({ peer }) => endpointText(peer)));
  expect([...peers]).toEqual([endpointText(kamailio.local)]);
  expect(kamailio.refused).toEqual([]);
}

/** Of requests from the other side: the hops they took. */
function hops(call: PhoneCall, method: string): readonly number[] {
  return call.requests.all.filter((each) => each.method === method).map((each) => each.all('via').length);
}

describePeer(['kamailio', 'sipp'], 'the gateway behind a Kamailio that record-routes', () => {
  const hook = new Switchhook();
  const folder = tempFolder('kamailio-gateway');
  let alice: SipPhone;
  let gateway: GatewayUnderTest;
  let kamailio: Kamailio;

  beforeAll(async () => {
    alice = await hook.phone({ user: 'alice' });
    const port = await freePort();
    const file = join(folder, 'ringdown.yaml');
    writeFileSync(
      file,
      `
trunks:
  - name: proxy
    peer: 127.0.0.1:${port}
    transport: tcp
    caps: { concurrent: 500, per-second: 1000, per-day: 10000 }
    destinations: [alice]
agent:
  callback-trunk: proxy
`,
    );
    // So many lines that a machine that stalls for seconds turns nobody away.
    gateway = await gatewayUnderTest({ mode: 'process', flags: ['--config', file, '--sip-rate', '0', '--max-calls', '500'] });
    const targets = { agent: gateway.sip, 'agent-tcp': { ...gateway.sip, transport: 'tcp' }, alice: alice.local } as const;
    kamailio = await Kamailio.start({ port, targets });
  });
  afterAll(async () => {
    await hook.close();
    await gateway?.stop();
    await kamailio?.stop();
    removeFolder(folder);
  });

  async function nothingLeft(): Promise<void> {
    await eventually(async () => (await gateway.metrics()).value('ringdown_sip_dialogs') === 0, 5000, 'the dialogs to be over');
    expect((await gateway.metrics()).value('ringdown_calls')).toBe(0);
  }

  test.each([
    ['UDP', 'agent'],
    ['TCP', 'agent-tcp'],
  ])('a phone calls through it over UDP and on over %s: speaks, holds, resumes, and hangs up', async (transport, user) => {
    const phone = await hook.phone();
    const call = await hook.call(kamailio.local, { user }, phone);
    await nextSound(call.media, 3000);
    expect(readPhoneMedia((await call.reinvite(call.sdp({ direction: 'sendonly' }))).body)?.direction).toBe('recvonly');
    expect(readPhoneMedia((await call.reinvite()).body)?.direction).toBe('sendrecv');
    expect((await call.request('UPDATE', { body: call.sdp() })).status).toBe(200);
    expect((await call.request('INFO', { body: 'Signal=1\r\nDuration=160\r\n', contentType: 'application/dtmf-relay' })).status).toBe(200);
    expect((await call.bye()).status).toBe(200);
    expectOnlyThrough(kamailio, phone);
    // Our Contact says by which transport the proxy reached us.
    expect(call.responses.last?.header('contact')?.includes(';transport=tcp')).toBe(transport === 'TCP');
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 3000, 'the record');
    expect(record).toMatchObject({ cause: 'remote_hangup', sip_status: 200 });
    await nothingLeft();
  });

  test.each(['agent', 'agent-tcp'])('the BYE of the gateway (%s, key #) comes through it', async (user) => {
    const phone = await hook.phone();
    const call = await hook.call(kamailio.local, { user }, phone);
    await nextSound(call.media, 3000);
    await call.media.press('#');
    const bye = await call.hungUp(10_000);
    expect(hops(call, 'BYE')).toEqual([2]);
    expect(bye.all('route')).toEqual([]); // the proxy has taken its own
    expect(bye.requestUri).toBe(phone.uri);
    expectOnlyThrough(kamailio, phone);
    await nothingLeft();
  });

  test('a call that the gateway places runs through it, over TCP to it and UDP from it, in both directions', async () => {
    const back = await calledBack(hook, alice, kamailio.local, { user: 'agent' });
    expect((await back.reinvite(back.sdp({ direction: 'inactive' }))).status).toBe(200);
    expect((await back.reinvite()).status).toBe(200);
    await back.media.press('#');
    await back.hungUp(10_000);
    expect(hops(back, 'BYE')).toEqual([2]);
    expectOnlyThrough(kamailio, alice);
    await nothingLeft();
  });

  test.each([
    { way: 'UDP and UDP', args: [], user: 'agent' },
    { way: 'TCP and UDP', args: TCP, user: 'agent' },
    { way: 'UDP and TCP', args: [], user: 'agent-tcp' },
    { way: 'TCP and TCP', args: TCP, user: 'agent-tcp' },
  ])('sipp calls through it, $way', async ({ args, user }) => {
    for (const scenario of SCENARIOS) {
      const result = await runSipp(kamailio.local, { scenario, calls: 10, rate: 50, user, args });
      expect([scenario, result]).toMatchObject([scenario, { ...SUCCESS, successful: 10 }]);
    }
    expect(kamailio.refused).toEqual([]);
    await nothingLeft();
  });

  test('sipp, 200 calls at up to 50 a second through it', async () => {
    const result = await runSipp(kamailio.local, { scenario: 'uac-call', calls: 200, rate: 50, limit: 25, talkMs: 200 });
    // An ACK that comes late on a busy machine makes a 200 come twice, and sipp names that.
    expect(result).toMatchObject({ exitCode: 0, successful: 200, failed: 0, unexpected: 0, unanswered: 0 });
    await nothingLeft();
  });
});

describePeer(['kamailio', 'sipp'], 'the SIP engine behind a Kamailio that record-routes', () => {
  const stops: (() => unknown)[] = [];
  const hook = new Switchhook();
  afterEach(async () => {
    await hook.close();
    for (const stop of stops.splice(0)) await stop();
  });

  async function behind(options: Parameters<typeof AnsweringEngine.start>[0] = {}) {
    const engine = await AnsweringEngine.start(options);
    stops.push(() => engine.stop());
    const targets = { agent: engine.sip, 'agent-tcp': { ...engine.sip, transport: 'tcp' } } as const;
    const kamailio = await Kamailio.start({ port: await freePort(), targets });
    stops.push(() => kamailio.stop());
    return { engine, kamailio };
  }

  test.each(['agent', 'agent-tcp'])('a CANCEL through it ends the call with one 487 (%s)', async (user) => {
    const { engine, kamailio } = await behind({ answerMs: 60_000 });
    const phone = await hook.phone();
    const call = await phone.dial(kamailio.local, { user });
    await call.response(180);
    expect((await call.cancel()).status).toBe(200);
    expect((await call.refused()).status).toBe(487);
    expect(engine.cancelled).toEqual([call.callId]);
    expect(await engine.count('sip_dialogs')).toBe(0);
    await kamailio.reached('CANCEL', 1);
    expectOnlyThrough(kamailio, phone);
  });

  test('CANCEL and the answer cross in it, again and again: one final response each, and nothing stays', async () => {
    const { engine, kamailio } = await behind({ answerMs: 20 });
    const phone = await hook.phone();
    for (let waitMs = 0; waitMs <= 40; waitMs += 2) {
      const call = await phone.dial(kamailio.local, { user: waitMs % 4 === 0 ? 'agent' : 'agent-tcp' });
      await call.responses.find(() => true, 3000, 'any response');
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      void call.cancel().catch(() => undefined);
      const { status = 0 } = await call.final();
      if (status === 200) expect((await call.bye()).status).toBe(200);
      else expect(status).toBe(487);
      const finals = new Set(call.responses.all.map((each) => each.status).filter((each = 0) => each >= 200));
      expect(finals.size).toBe(1);
    }
    await eventually(async () => (await engine.count('sip_dialogs')) === 0, 3000, 'the dialogs to be over');
    expect(engine.cancelled.length + engine.ends.length).toBe(21);
    expect(engine.cancelled.length).toBeGreaterThan(0);
    expect(engine.ends.length).toBeGreaterThan(0);
    expectOnlyThrough(kamailio, phone);
  });

  test.each(['agent', 'agent-tcp'])('a re-INVITE, an UPDATE and a BYE of ours take its route (%s)', async (user) => {
    const { engine, kamailio } = await behind();
    const phone = await hook.phone();
    const allow = [['Allow', 'INVITE, ACK, BYE, CANCEL, UPDATE']] as const;
    const call = await hook.call(kamailio.local, { user, headers: allow }, phone);
    const ours = await eventually(() => engine.calls.find((each) => each.acknowledged), 2000, 'the ACK');
    expect(await ours.reinvite?.(call.sdp())).toContain('m=audio');
    await call.acknowledged();
    expect(await ours.update?.(call.sdp())).toContain('m=audio');
    ours.hangup();
    await call.hungUp();
    await eventually(() => engine.ends.length === 1, 2000, 'the end');
    expect(call.requests.all.map(({ method }) => method)).toEqual(['INVITE', 'ACK', 'UPDATE', 'BYE']);
    for (const method of ['INVITE', 'ACK', 'UPDATE', 'BYE']) expect(hops(call, method)).toEqual([2]);
    expectOnlyThrough(kamailio, phone);
  });

  test.each([
    ['uac-prack', { answerMs: 150 }],
    ['uac-session-timer', {}],
    ['uac-session-refreshed', { sessionIntervalS: 2, minSessionS: 2 }],
    ['uac-session-expired', { minSessionS: 2 }],
    ['uac-reinvite-overlap', {}],
  ] as const)('scenario %s through it, over UDP and TCP in all pairs', async (scenario, options) => {
    const { engine, kamailio } = await behind(options);
    const pairs = ['agent', 'agent-tcp'].flatMap((user) => [[], TCP].map((args) => ({ user, args })));
    const runs = pairs.map(async ({ user, args }) => {
      const result = await runSipp(kamailio.local, { scenario, calls: 5, rate: 50, user, args });
      expect([user, args, result]).toMatchObject([user, args, { ...SUCCESS, successful: 5 }]);
    });
    await Promise.all(runs);
    await eventually(async () => (await engine.count('sip_dialogs')) === 0, 3000, 'the dialogs to be over');
    expect(kamailio.refused).toEqual([]);
  });
});

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess, type RolesApart, startRolesApart } from '../support/gateway-process.ts';
import { nextSound } from '../support/heard.ts';
import { phoneSdp } from '../support/phone-sdp.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

/* What stays of a call: one record, one closing line in the log, and nothing that names a person or opens a door. */

const hook = new Switchhook();
let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await GatewayProcess.start({ flags: ['--max-calls', '3', '--log-level', 'trace'] });
});

afterAll(async () => {
  await hook.close();
  await gateway.stop();
});

const WITHOUT_CODEC = phoneSdp({ address: '127.0.0.1', port: 30_000 }, undefined).replace('RTP/AVP 0 8 101', 'RTP/AVP 18');
const CALLER = '4155550123';
const DIALLED = '4930901820';
const SECRET = `canary-${randomBytes(6).toString('hex')}`;

/** A call in which numbers and secrets stand wherever a phone may write them. */
const MARKED = {
  from: `sip:+1${CALLER}@127.0.0.1`,
  user: `+${DIALLED}`,
  headers: [
    ['P-Asserted-Identity', `"Ann ${CALLER}" <tel:+1${CALLER}>`],
    ['Remote-Party-ID', `<sip:${CALLER}@127.0.0.1>;party=calling`],
    ['Diversion', `<tel:+1${CALLER}>;reason=unconditional`],
    ['Authorization', `Digest username="${CALLER}", realm="x", nonce="1", uri="sip:x", response="${SECRET}"`],
    ['User-Agent', `phone of ${CALLER} ${SECRET}`],
  ],
} as const;

function expectClean(lines: readonly string[]): void {
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) for (const canary of [CALLER, DIALLED, SECRET]) expect(line, 'a log line').not.toContain(canary);
}

describe('the records of calls', () => {
  test('hold one line with a cause for each INVITE, whatever came of it', async () => {
    const phone = await hook.phone();
    const expected = new Map<string, { cause: string; status: number }>();

    const hungUp = await hook.call(gateway.sip, {}, phone);
    await nextSound(hungUp.media, 2000);
    await elapse(300);
    await hungUp.bye();
    expected.set(hungUp.callId, { cause: 'remote_hangup', status: 200 });

    const byKey = await hook.call(gateway.sip, {}, phone);
    await byKey.media.press('#');
    await byKey.hungUp(4000);
    expected.set(byKey.callId, { cause: 'agent_hangup', status: 200 });

    const cancelled = await phone.dial(gateway.sip);
    await cancelled.cancel();
    expect((await cancelled.final()).status).toBe(487);
    expected.set(cancelled.callId, { cause: 'cancelled', status: 487 });

    const refused = await phone.dial(gateway.sip, { sdp: WITHOUT_CODEC });
    expect((await refused.refused()).status).toBe(488);
    expected.set(refused.callId, { cause: 'rejected', status: 488 });

    const lines = await Promise.all([1, 2, 3].map(() => hook.call(gateway.sip, {}, phone)));
    const busy = await phone.dial(gateway.sip);
    expect((await busy.refused()).status).toBe(503);
    expected.set(busy.callId, { cause: 'rejected', status: 503 });
    await Promise.all(lines.map((call) => call.bye()));
    for (const call of lines) expected.set(call.callId, { cause: 'remote_hangup', status: 200 });

    await eventually(() => gateway.cdrs().length >= expected.size, 3000, 'all records');
    await elapse(300);
    const found = gateway.cdrs().map((each) => [each['sip_call_id'], { cause: each['cause'], status: each['sip_status'] }] as const);
    expect(found).toHaveLength(expected.size);
    expect(new Map(found)).toEqual(expected);

    const record = gateway.cdrs().find((each) => each['sip_call_id'] === hungUp.callId);
    expect(record).toMatchObject({
      id: expect.stringMatching(/^rtc_/),
      call_id: expect.stringMatching(/^call_/),
      codec: 'PCMU',
      setup_opened_ms: expect.any(Number),
      setup_connected_ms: expect.any(Number),
      setup_answered_ms: expect.any(Number),
      setup_acknowledged_ms: expect.any(Number),
      setup_first_audio_ms: expect.any(Number),
      packets_lost: 0,
      packets_discarded: 0,
      packets_foreign: 0,
      turns: 0,
      barge_ins: 0,
      turns_answered: 0,
      false_holds: 0,
      truncations: 0,
    });
    expect(record?.['packets_in']).toBeGreaterThan(10);
    expect(record?.['packets_out']).toBeGreaterThan(10);
    expect(record?.['duration_s']).toBeGreaterThan(0.3);
  });

  test('are summed up in one closing line of the log for each call', async () => {
    const ended = gateway.log.all.filter((line) => line.msg === 'call ended');
    const calls = gateway.log.all.filter((line) => line.msg === 'call incoming');
    expect(ended).toHaveLength(calls.length);
    expect(new Set(ended.map((line) => line['call'])).size).toBe(ended.length);
    for (const line of ended) {
      expect(line).toMatchObject({ cause: expect.any(String), sipStatus: expect.any(Number), setup: expect.any(Object) });
    }
    const talked = ended.find((line) => line['cause'] === 'remote_hangup');
    expect(talked).toMatchObject({
      media: { rtcp: { received: { lost: 0, jitterMs: expect.any(Number) } } },
      session: { turns: 0, bargeIns: 0, concealedFrames: 0 },
    });
    const metrics = await gateway.metrics();
    expect(metrics.sum('ringdown_calls_ended_total')).toBe(gateway.cdrs().length);
  });
});

describe('numbers and secrets', () => {
  test('of callers stand in no log line, down to trace, and in full in the record alone', async () => {
    const phone = await hook.phone();
    const call = await hook.call(gateway.sip, { ...MARKED }, phone);
    await nextSound(call.media, 2000);
    await call.media.press('4');
    const offer = call.sdp();
    await call.reinvite(offer.replace('s=-', `s=call of ${CALLER}`));
    await call.request('INFO', { body: `Signal=5\r\nX-Card=${SECRET}\r\n`, contentType: 'application/dtmf-relay' });
    await call.bye();
    // And where nothing comes of it: no codec, cancelled, a scheme that is not spoken, not even SIP.
    await (await phone.dial(gateway.sip, { ...MARKED, sdp: WITHOUT_CODEC })).refused();
    const cancelled = await phone.dial(gateway.sip, { ...MARKED });
    await cancelled.cancel();
    await cancelled.final();
    await phone.ask('INVITE', gateway.sip, { uri: `mailto:${CALLER}@example.com`, headers: [['X-Secret', SECRET]] });
    await phone.ask('REGISTER', gateway.sip, { headers: [['Authorization', `Digest response="${SECRET}"`]] });
    phone.sendRaw(`INVITE sip:${CALLER}@127.0.0.1 SIP/2.0\r\nX: ${SECRET}\r\n\r\n`, gateway.sip);
    phone.sendRaw(`${SECRET} ${CALLER}`, gateway.sip);
    const recorded = () => gateway.cdrs().filter((each) => String(each['from']).includes(CALLER));
    await eventually(() => recorded().length === 3, 3000, 'the records of the marked calls');
    await elapse(300);
    expectClean(gateway.log.all.map((line) => JSON.stringify(line)));
    expectClean(gateway.stdout);
    expect(JSON.stringify(recorded())).not.toContain(SECRET);
    expect(recorded()[0]).toMatchObject({ from: MARKED.from, to: expect.stringContaining(DIALLED) });
    // The last four digits are kept: they find the call again.
    const incoming = gateway.log.all.find((line) => line.msg === 'call incoming' && String(line['from']).includes('0123'));
    expect(incoming?.['from']).toMatch(/^sip:\+\*+0123@/);
  });

  test('stand in no log line of any process when the roles run apart', async () => {
    let roles: RolesApart | undefined;
    try {
      roles = await startRolesApart({ flags: ['--log-level', 'trace'] });
      const call = await hook.call(roles.sip.sip, { ...MARKED });
      await nextSound(call.media, 2000);
      await call.bye();
      await eventually(() => roles?.sip.cdrs().length === 1, 3000, 'the record');
      for (const each of [roles.sip, roles.transceiver]) expectClean(each.log.all.map((line) => JSON.stringify(line)));
      for (const each of [roles.sip, roles.relay, roles.transceiver]) expectClean(each.stdout);
    } finally {
      await roles?.stop();
    }
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Baresip, type BaresipOptions } from '../support/baresip.ts';
import { endpointText } from '../support/endpoint.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { describePeer } from '../support/peers.ts';
import type { SipMessage } from '../support/sip-message.ts';
import type { Reply, SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { toneRuns } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

/* Transfers between the gateway and a real phone: it asks, and it is asked. */

function refuseAsBusy(request: SipMessage, reply: Reply): boolean {
  if (request.method !== 'INVITE') return false;
  reply(486, 'Busy Here');
  return true;
}

describePeer('baresip', 'baresip and the gateway transfer each other', () => {
  const folder = tempFolder('transfer');
  const hook = new Switchhook();
  const phones: Baresip[] = [];
  let desk: Baresip;
  /** May be transferred by the trunk that all phones here belong to. */
  let willing: GatewayUnderTest;
  /** As it comes: nobody has it call anybody. */
  let plain: GatewayUnderTest;
  let busyPhone: SipPhone;
  let busy: string;

  beforeAll(async () => {
    desk = await Baresip.start({ user: 'desk', answer: 'auto' });
    busyPhone = await hook.phone({ user: 'busy' });
    busyPhone.onRequest = refuseAsBusy;
    busy = busyPhone.uri;
    const file = join(folder, 'ringdown.yaml');
    writeFileSync(
      file,
      `
trunks:
  - name: pbx
    peer: ${endpointText(desk.local)}
    addresses: [127.0.0.1]
    caps: { concurrent: 10, per-second: 100 }
    destinations: [desk, "${busy}"]
    refer: allow
`,
    );
    const target = ['--agent-transfer-target', `sip:desk@${endpointText(desk.local)}`];
    willing = await gatewayUnderTest({ mode: 'process', flags: ['--config', file] });
    plain = await gatewayUnderTest({ mode: 'process', flags: target });
  });
  afterEach(async () => {
    await Promise.all(phones.splice(0).map((each) => each.stop()));
    desk.events.clear();
  });
  afterAll(async () => {
    await hook.close();
    await desk?.stop();
    await willing?.stop();
    await plain?.stop();
    removeFolder(folder);
  });

  async function call(gateway: GatewayUnderTest, options: BaresipOptions = {}): Promise<Baresip> {
    const baresip = await Baresip.start(options);
    phones.push(baresip);
    await baresip.dial(gateway.sip);
    await baresip.established();
    return baresip;
  }

  /** Nothing of any call is left in a gateway. */
  async function idle(gateway: GatewayUnderTest): Promise<void> {
    await eventually(
      async () => {
        const metrics = await gateway.metrics();
        return ['calls', 'sessions', 'sip_dialogs', 'rtp_port_pairs'].every((name) => metrics.sum(`ringdown_${name}`) === 0);
      },
      5000,
      'the gateway to be idle',
    );
  }

  /** What the gateway heard of the transfer it asked for. */
  function transferStates(gateway: GatewayUnderTest, sipCallId: unknown): unknown[] {
    return gateway.log.all
      .filter((line) => line.msg === 'transfer' && line['sipCallId'] === sipCallId && line['type'])
      .map((line) => line['type']);
  }

  test('on key 5 it is sent to the desk, is left alone once the desk has answered, and talks to the desk', async () => {
    const phone = await call(plain);
    const { id } = await phone.established();
    await elapse(300);
    await phone.press('5');
    expect((await phone.event('TRANSFER', 10_000)).param).toBe(`<sip:desk@${endpointText(desk.local)}>`);
    const closed = await phone.closed();
    expect(closed['id']).toBe(id);
    expect(transferStates(plain, id)).toEqual(['accepted', 'progress', 'succeeded']);
    const established = await desk.established();
    expect(established['peeruri']).toContain(endpointText(phone.local));
    await eventually(() => plain.cdrs().find((each) => each['sip_call_id'] === id && each['cause'] === 'agent_hangup'), 3000, 'the record');
    await idle(plain);
    await elapse(500);
    await phone.hangup();
    await desk.closed();
  });

  test('that transfers us hears 603 from a gateway as it comes, and nobody is called', async () => {
    const phone = await call(plain);
    const { id } = await phone.established();
    await phone.command('transfer', `sip:desk@${endpointText(desk.local)}`);
    expect((await phone.event('TRANSFER_FAILED')).param).toBe('603 Decline');
    // It hangs up by itself then.
    await eventually(
      () => plain.cdrs().find((each) => each['sip_call_id'] === id && each['cause'] === 'remote_hangup'),
      3000,
      'the record',
    );
    await idle(plain);
    expect(desk.events.all).toEqual([]);
  });

  test('that transfers us from a trunk that may leaves us to the desk, which hears the agent and is heard', async () => {
    const phone = await call(willing);
    const { id } = await phone.established();
    await elapse(300);
    await phone.command('transfer', `sip:desk@${endpointText(desk.local)}`);
    expect((await phone.closed()).param).toBe('Call transfered');
    await desk.established();
    await elapse(300);
    await desk.press('3');
    await elapse(1200);
    await desk.press('#');
    await desk.closed();
    const heard = await desk.heard();
    const [tone] = toneRuns(heard, 1004, { fromMs: 0 });
    expect((tone?.toMs ?? 0) - (tone?.fromMs ?? 0)).toBeGreaterThan(800);
    await eventually(
      () => willing.cdrs().find((each) => each['sip_call_id'] === id && each['cause'] === 'agent_hangup'),
      3000,
      'the record',
    );
    await idle(willing);
  });

  test.each([
    ['somebody who is busy', () => busy, '486 Busy Here'],
    ['somebody who is not among the destinations', () => 'sip:+88212345@192.0.2.9', '603 Decline'],
    ['what is no address', () => 'sip:nobody@somewhere.invalid', '603 Decline'],
  ])('that transfers us to %s is told so', async (_, target, told) => {
    const phone = await call(willing);
    const { id } = await phone.established();
    await phone.command('transfer', target());
    expect((await phone.event('TRANSFER_FAILED')).param).toBe(told);
    await eventually(
      () => willing.cdrs().find((each) => each['sip_call_id'] === id && each['cause'] === 'remote_hangup'),
      3000,
      'the record',
    );
    await idle(willing);
  });

  test('that hangs up while the desk rings for the transfer takes the second call with it', async () => {
    const phone = await call(willing);
    const ringing = busyPhone.nextCall(5000);
    busyPhone.onRequest = undefined;
    try {
      await phone.command('transfer', busy);
      const second = await ringing;
      second.ring();
      await phone.hangup();
      await second.requests.find((each) => each.method === 'CANCEL', 5000, 'CANCEL');
    } finally {
      busyPhone.onRequest = refuseAsBusy;
    }
    await idle(willing);
  });
});

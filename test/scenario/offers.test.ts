import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { loudArrivals, nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { readPhoneMedia } from '../support/phone-sdp.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

/* Who offers, when, and by which request: the caller hears the agent all the same. */

const hook = new Switchhook();
let gateway: GatewayProcess;
let idle: IdleGateway;

beforeAll(async () => {
  gateway = await GatewayProcess.start();
  await (await hook.call(gateway.sip)).bye();
  idle = await IdleGateway.take(gateway);
});

afterAll(async () => {
  await hook.close();
  try {
    await idle.restored();
  } finally {
    await gateway.stop();
  }
});

/** Presses 3 and expects the test tone. */
async function hearsTheAgent(call: PhoneCall): Promise<void> {
  await call.media.press('3');
  await elapse(500);
  await eventually(() => loudArrivals(call.media, performance.now() - 200).length > 5, 2000, 'the test tone');
}

function directionOf({ body }: { readonly body: string }): string | undefined {
  return readPhoneMedia(body)?.direction;
}

describe.concurrent('a caller', () => {
  test('who leaves the offer to us hears the greeting after the answer in the ACK', async () => {
    const call = await hook.call(gateway.sip, { sdp: 'none' });
    const offer = readPhoneMedia((await call.response(200)).body);
    expect(offer?.payloadTypes).toEqual([0, 8, 9, 96, 101, 102]);
    await nextSound(call.media, 2000);
    await hearsTheAgent(call);
    expect((await call.bye()).status).toBe(200);
  });

  test('who leaves the offer to us and answers with one of the other codecs is spoken to in it', async () => {
    const call = await hook.call(gateway.sip, { sdp: 'none', offer: { codecs: ['PCMA', 'telephone-event'] } });
    await nextSound(call.media, 2000);
    expect(call.media.arrivals.all.at(-1)?.payloadType).toBe(8);
    await call.bye();
  });

  test('who leaves the offer to us and never answers it is hung up on', async () => {
    const call = await hook.call(gateway.sip, { sdp: 'none', lateAnswer: false });
    await call.hungUp(2000);
    const record = await eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === call.callId), 2000, 'the call record');
    expect(record).toMatchObject({ cause: 'signalling_failed', sip_status: 200 });
  });

  test('who leaves the offer to us in the middle of the call, as a switch does, goes on', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    const offered = await call.request('INVITE');
    expect([offered.status, directionOf(offered), readPhoneMedia(offered.body)?.payloadTypes]).toEqual([
      200,
      'sendrecv',
      [0, 8, 9, 96, 101, 102],
    ]);
    await hearsTheAgent(call);
    await call.bye();
  });

  test.each(['INVITE', 'UPDATE'] as const)(
    'who holds and resumes by %s, with and without all codecs named again, hears the agent after it',
    async (method) => {
      const call = await hook.call(gateway.sip);
      await nextSound(call.media, 2000);
      for (const [how, answered] of [
        [{ direction: 'sendonly' }, 'recvonly'],
        [{ direction: 'inactive', codecs: ['PCMU'] }, 'inactive'],
        [{ media: { address: '0.0.0.0' } }, 'recvonly'],
        [{ media: { address: '0.0.0.0' }, direction: 'inactive', codecs: ['PCMU'] }, 'inactive'],
      ] as const) {
        const held = await call.request(method, { body: call.sdp(how) });
        expect([how, held.status, directionOf(held)]).toEqual([how, 200, answered]);
        const heldAt = performance.now();
        await elapse(250);
        expect(call.media.arrivals.all.filter((each) => each.at > heldAt + 100)).toEqual([]);
        const resumed = await call.request(method, { body: call.sdp() });
        expect([resumed.status, directionOf(resumed)]).toEqual([200, 'sendrecv']);
        await call.media.arrivals.next(() => true, 500, 'audio after the resume');
      }
      await hearsTheAgent(call);
      await call.bye();
    },
  );

  test('who changes the codec by UPDATE is spoken to in the new one', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    expect((await call.request('UPDATE', { body: call.sdp({ codecs: ['PCMA', 'telephone-event'] }) })).status).toBe(200);
    await elapse(200);
    expect(call.media.arrivals.all.slice(-3).map(({ payloadType }) => payloadType)).toEqual([8, 8, 8]);
    await call.bye();
  });

  test('who refreshes the session by UPDATE without a body hears no gap', async () => {
    const call = await hook.call(gateway.sip, {
      headers: [
        ['Supported', 'timer'],
        ['Session-Expires', '90;refresher=uac'],
      ],
    });
    expect((await call.response(200)).header('session-expires')).toBe('90;refresher=uac');
    await nextSound(call.media, 2000);
    const refreshed = await call.request('UPDATE', {
      headers: [
        ['Session-Expires', '90;refresher=uac'],
        ['Supported', 'timer'],
      ],
    });
    expect([refreshed.status, refreshed.header('session-expires')]).toEqual([200, '90;refresher=uac']);
    const { count } = call.media.arrivals;
    await call.media.arrivals.reach(count + 20, 600, 'audio');
    await call.bye();
  });

  test('whose phone sends its keys by INFO is served', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    for (const body of ['garbage', 'Signal=', 'Signal=3\r\nDuration=160\r\n']) {
      expect((await call.request('INFO', { body, contentType: 'application/dtmf-relay' })).status).toBe(200);
    }
    await elapse(500);
    await eventually(() => loudArrivals(call.media, performance.now() - 200).length > 5, 2000, 'the test tone');
    await call.bye();
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { loudArrivals, nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { readPhoneMedia } from '../support/phone-sdp.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

/* Calls in which nobody speaks for a while: held, resumed, moved, and dead ones. */

const TIMEOUT_S = 2;

const hook = new Switchhook();
let gateway: GatewayProcess;
let idle: IdleGateway;
let late: Lateness;

beforeAll(async () => {
  gateway = await GatewayProcess.start({ flags: ['--media-timeout', String(TIMEOUT_S)] });
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

function causeOf({ callId }: PhoneCall): Promise<unknown> {
  return eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === callId)?.['cause'], 2000, 'the call record');
}

/** Offers again; the direction of the answer. */
async function reoffer(call: PhoneCall, sdp: string): Promise<string | undefined> {
  const answer = await call.reinvite(sdp);
  expect(answer.status).toBe(200);
  return readPhoneMedia(answer.body)?.direction;
}

describe.concurrent('a caller', () => {
  test('who is silent on the wire is hung up on after the media timeout, with the reason', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    call.media.pause();
    const silentAt = performance.now();
    const bye = await call.hungUp(TIMEOUT_S * 1000 + 3000);
    const tookMs = performance.now() - silentAt;
    console.log(`media timeout of ${TIMEOUT_S} s: BYE after ${tookMs.toFixed(0)} ms`);
    expect(tookMs).toBeGreaterThan(TIMEOUT_S * 1000 - 50 - (await late.soFar()));
    expect(tookMs).toBeLessThan(TIMEOUT_S * 1000 + 1000 + (await late.soFar()));
    expect(bye.header('reason')).toMatch(/Q\.850;cause=102;text="[^"]+"/);
    expect(await causeOf(call)).toBe('media_timeout');
  });

  test('who never sends anything is hung up on, too', async () => {
    const call = await hook.call(gateway.sip, { talk: false });
    await call.hungUp(TIMEOUT_S * 1000 + 3000);
    expect(await causeOf(call)).toBe('media_timeout');
  });

  test.each([
    { how: 'sendonly', answered: 'recvonly' },
    { how: 'inactive', answered: 'inactive' },
  ] as const)('who holds with $how gets no audio, is waited for, and hears the agent after the resume', async ({ how, answered }) => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    expect(await reoffer(call, call.sdp({ direction: how }))).toBe(answered);
    call.media.pause();
    const heldAt = performance.now();
    // Longer than the media timeout.
    await elapse(TIMEOUT_S * 1000 + 1200);
    expect(call.media.arrivals.all.filter((each) => each.at > heldAt + 100)).toEqual([]);
    expect(call.over).toBe(false);
    expect(await reoffer(call, call.sdp())).toBe('sendrecv');
    call.media.resume();
    const resumedAt = performance.now();
    await call.media.arrivals.next(() => true, 500 + (await late.soFar()), 'audio after the resume');
    console.log(`resume after ${how}: audio after ${(performance.now() - resumedAt).toFixed(0)} ms`);
    await call.media.press('3');
    await elapse(500);
    await eventually(() => loudArrivals(call.media, performance.now() - 200).length > 5, 2000, 'the test tone');
    expect((await call.bye()).status).toBe(200);
    expect(await causeOf(call)).toBe('remote_hangup');
  });

  test('who holds as phones did before, with an address of zeros, gets no audio', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    await reoffer(call, call.sdp({ media: { address: '0.0.0.0' } }));
    const heldAt = performance.now();
    await elapse(600);
    expect(call.media.arrivals.all.filter((each) => each.at > heldAt + 100)).toEqual([]);
    await reoffer(call, call.sdp());
    await call.media.arrivals.next(() => true, 500 + (await late.soFar()), 'audio after the resume');
    await call.bye();
  });

  test('who moves to another port by a re-INVITE is heard and hears there', async () => {
    const phone = await hook.phone();
    const call = await hook.call(gateway.sip, {}, phone);
    await nextSound(call.media, 2000);
    const { RtpPhone } = await import('../support/rtp-phone.ts');
    const elsewhere = await RtpPhone.open();
    await reoffer(call, call.sdp({ media: elsewhere.local }));
    call.media.stop();
    elsewhere.remote = call.remoteMedia?.rtp;
    elsewhere.start();
    await elsewhere.press('3');
    await nextSound(elsewhere, 1000);
    const movedAt = performance.now();
    await elapse(300);
    expect(call.media.arrivals.all.filter((each) => each.at > movedAt)).toEqual([]);
    await call.bye();
    elsewhere.close();
  });

  test('whose new offer cannot be spoken hears 488, and the call goes on as it was', async () => {
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 2000);
    const refused = await call.reinvite(call.sdp().replace(/m=audio (\d+) .*\r\n/, 'm=audio $1 RTP/AVP 18\r\n'));
    expect(refused.status).toBe(488);
    expect(refused.header('warning')).toMatch(/codec/);
    const { count } = call.media.arrivals;
    await call.media.arrivals.reach(count + 10, 3000, 'audio');
    await call.bye();
  });

  test('may change from µ-law to A-law in the middle of the call', async () => {
    const call = await hook.call(gateway.sip, { offer: { codecs: ['PCMU', 'telephone-event'] } });
    await nextSound(call.media, 2000);
    await reoffer(call, call.sdp({ codecs: ['PCMA', 'telephone-event'] }));
    await call.media.press('3');
    await elapse(500);
    const recent = call.media.arrivals.all.slice(-10);
    expect(recent.map(({ payloadType }) => payloadType)).toEqual(Array(10).fill(8));
    await eventually(() => loudArrivals(call.media, performance.now() - 180).length > 5, 2000, 'the test tone');
    await call.bye();
  });
});

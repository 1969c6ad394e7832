import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Endpoint, openUdp } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import type { DialOptions } from '../support/phone-call.ts';
import { phoneSdp } from '../support/phone-sdp.ts';
import type { SipMessage } from '../support/sip-message.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

/* Calls that are not taken: who is told what, how fast, and that the next one is taken again. */

const hook = new Switchhook();
/** Two calls at once, no more. */
let small: GatewayProcess;
/** Ports for two calls. */
let tight: GatewayProcess;
const idle: IdleGateway[] = [];
let late: Lateness;

beforeAll(async () => {
  const first = await freeRange(4);
  [small, tight] = await Promise.all([
    GatewayProcess.start({ flags: ['--max-calls', '2'] }),
    GatewayProcess.start({ flags: ['--max-calls', '2', '--rtp-ports', `${first}-${first + 3}`] }),
  ]);
  await (await hook.call(small.sip)).bye();
  idle.push(await IdleGateway.take(small));
  late = new Lateness(small, tight);
});

afterAll(async () => {
  late.stop();
  await hook.close();
  try {
    await Promise.all(idle.map((each) => each.restored()));
  } finally {
    await Promise.all([small.stop(), tight.stop()]);
  }
});

/** The first port of so many neighbours that are free now, below those the system gives out by itself. */
async function freeRange(count: number): Promise<number> {
  for (let first = 20_000; first < 30_000; first += 2 * count) {
    const opened = await Promise.allSettled(Array.from({ length: count }, (_, n) => openUdp('127.0.0.1', first + n)));
    for (const each of opened) if (each.status === 'fulfilled') each.value.close();
    if (opened.every((each) => each.status === 'fulfilled')) return first;
  }
  throw new Error('no free ports');
}

/** Dials and is refused; how long that took. */
async function refused(to: Endpoint, options: DialOptions = {}): Promise<{ response: SipMessage; tookMs: number; callId: string }> {
  const phone = await hook.phone();
  const dialledAt = performance.now();
  const call = await phone.dial(to, options);
  const response = await call.refused();
  return { response, tookMs: performance.now() - dialledAt, callId: call.callId };
}

function recordOf(gateway: GatewayProcess, callId: string): Promise<Readonly<Record<string, unknown>>> {
  return eventually(() => gateway.cdrs().find((each) => each['sip_call_id'] === callId), 2000, 'the call record');
}

describe('a caller too many', () => {
  test('hears 503 with Retry-After within 100 ms, and is taken when somebody has hung up', async () => {
    const [one, two] = await Promise.all([hook.call(small.sip), hook.call(small.sip)]);
    const { response, tookMs, callId } = await refused(small.sip);
    expect(response.status).toBe(503);
    expect(Number(response.header('retry-after'))).toBeGreaterThan(0);
    expect(tookMs).toBeLessThan(100 + (await late.soFar()));
    expect(await recordOf(small, callId)).toMatchObject({ cause: 'rejected', sip_status: 503 });
    await one.bye();
    const three = await hook.call(small.sip);
    await three.media.arrivals.reach(5, 3000, 'audio');
    await Promise.all([two.bye(), three.bye()]);
  });

  test('for the ports there are hears 503 with Retry-After within 200 ms, and is taken when a port has rested', async () => {
    const [one, two] = await Promise.all([hook.call(tight.sip), hook.call(tight.sip)]);
    const freed = one.remoteMedia?.rtp.port;
    const freedAt = performance.now();
    await one.bye();
    await eventually(async () => (await tight.metrics()).value('ringdown_calls') === 1, 2000, 'the call to be over');
    const descriptors = tight.figures().fileDescriptors;
    // A port that has just been freed may still get the audio of its last call: it rests.
    for (let n = 0; n < 5; n++) {
      const { response, tookMs, callId } = await refused(tight.sip);
      expect(response.status).toBe(503);
      expect(Number(response.header('retry-after'))).toBeGreaterThan(0);
      expect(tookMs).toBeLessThan(200 + (await late.soFar()));
      expect(await recordOf(tight, callId)).toMatchObject({ cause: 'media_failed', sip_status: 503 });
    }
    // A port rests for 5 s: after that nothing here was refused for want of one.
    expect(performance.now() - freedAt).toBeLessThan(5000 + (await late.soFar()));
    // Of five calls; one connection to /metrics may be open or not.
    expect(tight.figures().fileDescriptors, 'sockets of refused calls').toBeLessThanOrEqual(descriptors + 1);
    await elapse(freedAt + 5200 - performance.now());
    const three = await hook.call(tight.sip);
    expect(three.remoteMedia?.rtp.port).toBe(freed);
    await three.media.arrivals.reach(5, 3000, 'audio');
    await Promise.all([two.bye(), three.bye()]);
  });
});

describe('a caller who offers', () => {
  const rtp = { address: '127.0.0.1', port: 30_000 };
  const withLine = (line: string): string => phoneSdp(rtp, undefined).replace(/m=audio .*\r\n/, `${line}\r\n`);

  test.each([
    ['no codec that is spoken here', withLine('m=audio 30000 RTP/AVP 18 101'), /codec/],
    ['encrypted audio alone', withLine('m=audio 30000 RTP/SAVP 0 8 101'), /RTP\/SAVP/],
    ['no audio', 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=image 5000 udptl t38\r\n', /audio/],
  ])('%s hears 488 and why', async (_, sdp, why) => {
    const { response, callId } = await refused(small.sip, { sdp });
    expect(response.status).toBe(488);
    expect(response.header('warning')).toMatch(/^399 /);
    expect(response.header('warning')).toMatch(why);
    expect(await recordOf(small, callId)).toMatchObject({ cause: 'rejected', sip_status: 488 });
  });

  test('what is no session description hears 400 or 488, and no port is taken', async () => {
    const { response } = await refused(small.sip, { sdp: 'v=0\r\nnonsense\r\n' });
    expect([400, 488]).toContain(response.status);
  });

  test('fax and video besides audio is taken, with port 0 for the others', async () => {
    const lines = ['m=image 5000 udptl t38', 'm=video 5002 RTP/AVP 96', 'a=rtpmap:96 VP8/90000', 'm=application 0 TCP/BFCP *'];
    const call = await hook.call(small.sip, { offer: { lines } });
    const answer = call.responses.all.find((each) => each.status === 200)?.body ?? '';
    const media = answer.match(/^m=.*$/gm) ?? [];
    expect(media.map((line) => line.split(' ')[0])).toEqual(['m=audio', 'm=image', 'm=video', 'm=application']);
    expect(media.map((line) => Number(line.split(' ')[1]) > 0)).toEqual([true, false, false, false]);
    await call.media.arrivals.reach(5, 1000, 'audio');
    await call.bye();
  });
});

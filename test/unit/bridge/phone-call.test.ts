import { beforeAll, describe, expect, test } from 'vitest';
import { liveOpusCodecs, loadOpus } from '../../../src/audio/opus.ts';
import { GatewayError } from '../../../src/base/errors.ts';
import type { EndCause, RejectCause } from '../../../src/leg/leg.ts';
import type { Call } from '../../../src/sip/engine.ts';
import { phoneSdp } from '../../support/phone-sdp.ts';
import { CallBench, OFFER, PHONE, SUMMARY, settled } from './call-bench.ts';

beforeAll(loadOpus);

const BYE_NORMAL = { q850: 16, text: 'Normal call clearing' };

describe('a phone call', () => {
  test('is answered when the session wants it and its media is up, in whatever order', async () => {
    const wantedFirst = await new CallBench().connecting();
    wantedFirst.leg.answer();
    expect(wantedFirst.invite.answers).toEqual([]);
    wantedFirst.inner.onConnected?.();
    expect(wantedFirst.invite.answers).toEqual([expect.stringContaining('m=audio 20000 RTP/AVP 0 101')]);

    const connectedFirst = await new CallBench().connecting();
    connectedFirst.inner.onConnected?.();
    expect(connectedFirst.invite.answers).toEqual([]);
    connectedFirst.leg.answer();
    expect(connectedFirst.invite.answers).toHaveLength(1);
    for (const bench of [wantedFirst, connectedFirst]) bench.call.hangup('shutdown');
  });

  test('may be wanted by the session before the owner has even answered the offer', async () => {
    const bench = new CallBench();
    await bench.socketsOpen();
    bench.leg.answer();
    bench.host.opening.resolve();
    await settled();
    bench.inner.onConnected?.();
    expect(bench.invite.answers).toHaveLength(1);
    bench.call.hangup('shutdown');
  });

  test('tells the session of the answer when the ACK is in, once', async () => {
    const bench = await new CallBench().answered();
    expect(bench.host.told).toEqual([]);
    bench.invite.call.ack();
    bench.invite.call.ack();
    expect(bench.host.told).toEqual([{ type: 'answered' }]);
    bench.call.hangup('shutdown');
  });

  test('asks the owner by its own session whether it answers', async () => {
    const bench = await new CallBench().connecting();
    expect(bench.inner.connectedTo).toBe('the inner answer');
    expect(bench.inner.ownerAnswers?.()).toBe(true);
    bench.ownerAlive = false;
    expect(bench.inner.ownerAnswers?.()).toBe(false);
    bench.call.hangup('shutdown');
  });

  test('writes its report with times, figures and the last word of the session', async () => {
    const bench = new CallBench();
    bench.clock.advance(5);
    await bench.connecting();
    bench.clock.advance(7);
    bench.leg.answer();
    bench.inner.onConnected?.();
    bench.clock.advance(3);
    bench.invite.call.ack();
    bench.clock.advance(10_000);
    bench.invite.call.end('bye');
    expect(bench.reports).toEqual([]);
    bench.clock.advance(100);
    bench.leg.report(SUMMARY);
    expect(bench.report).toMatchObject({
      sessionId: 'rtc_0_session',
      sipCallId: 'a@b',
      from: 'sip:+14155550123@192.0.2.10',
      source: 'udp:192.0.2.10:5060',
      cause: 'remote_hangup',
      sipStatus: 200,
      setup: { openedMs: 5, connectedMs: 12, answeredMs: 12, acknowledgedMs: 15 },
      session: SUMMARY,
    });
    // The call ended with the BYE, not with the report that came after it.
    expect(bench.report?.durationMs).toBe(10_003);
    expect(bench.isClean).toBe(true);
  });

  test('names no whole phone number in its log', async () => {
    const bench = await new CallBench().acknowledged();
    bench.invite.call.end('bye');
    bench.leg.report(SUMMARY);
    expect(bench.lines.map((line) => line['msg'])).toEqual(['call incoming', 'call answered', 'call ended']);
    expect(JSON.stringify(bench.lines)).not.toContain('4155550123');
    expect(JSON.stringify(bench.lines)).toContain('*0123@');
  });

  test('frees its codecs', async () => {
    const before = liveOpusCodecs();
    const bench = await new CallBench().acknowledged();
    expect(liveOpusCodecs()).toBe(before + 2);
    bench.invite.call.end('bye');
    expect(liveOpusCodecs()).toBe(before);
  });
});

/** Brings a call to a place where it waits for something, in the order of its life. */
const WAITS: readonly (readonly [string, (bench: CallBench) => Promise<unknown>])[] = [
  ['its ports and sockets', () => settled()],
  ['the answer of the owner', (bench) => bench.socketsOpen()],
  ['its codecs', (bench) => codecsAreAwaited(bench)],
  ['its media', (bench) => bench.connecting()],
];

/** The owner has answered; the codecs are made in the next turns. */
async function codecsAreAwaited(bench: CallBench): Promise<void> {
  await bench.socketsOpen();
  bench.host.opening.resolve();
  await Promise.resolve();
}

/** What was awaited comes after all. */
async function comesLate(bench: CallBench): Promise<void> {
  bench.portsOpening.resolve(bench.ports);
  bench.innerOpening.resolve(bench.inner);
  await settled();
  bench.host.opening.resolve();
  await settled();
  bench.inner.onConnected?.();
}

describe.each(WAITS)('a call that waits for %s', (_, arrive) => {
  test('and is cancelled frees everything, tells the owner and is reported once', async () => {
    const codecs = liveOpusCodecs();
    const bench = new CallBench();
    await arrive(bench);
    bench.invite.cancel();
    await comesLate(bench);
    bench.host.leg?.answer();
    bench.clock.advance(10_000);
    expect(bench.invite.answers).toEqual([]);
    expect(bench.reports).toHaveLength(1);
    expect(bench.report).toMatchObject({ cause: 'cancelled', sipStatus: 487, answeredAt: undefined, durationMs: 0 });
    expect(bench.host.told).toEqual(bench.host.leg ? [{ type: 'ended', cause: 'cancelled' }] : []);
    expect(bench.gone).toBe(1);
    expect(liveOpusCodecs()).toBe(codecs);
    expect(bench.isClean).toBe(true);
  });

  test('for more than 5 s is refused with 503 and Retry-After', async () => {
    const bench = new CallBench();
    await arrive(bench);
    bench.clock.advance(4999);
    expect(bench.invite.rejections).toEqual([]);
    bench.clock.advance(1);
    expect(bench.invite.rejections).toEqual([{ status: 503, retryAfterS: 5 }]);
    await comesLate(bench);
    bench.clock.advance(10_000);
    expect(bench.report).toMatchObject({ cause: 'media_failed', sipStatus: 503, detail: 'set-up took too long' });
    expect(bench.reports).toHaveLength(1);
    expect(bench.gone).toBe(1);
    expect(bench.isClean).toBe(true);
  });

  test('at a shutdown is refused with 503, and frees what comes late', async () => {
    const bench = new CallBench();
    await arrive(bench);
    bench.call.hangup('shutdown');
    await comesLate(bench);
    bench.clock.advance(1000);
    expect(bench.invite.rejections).toEqual([{ status: 503, retryAfterS: 5 }]);
    expect(bench.report).toMatchObject({ cause: 'rejected', sipStatus: 503 });
    expect(bench.isClean).toBe(true);
  });
});

describe('a call that leaves the offer to us', () => {
  test('is answered with our offer, and its media starts with the answer in the ACK', async () => {
    const bench = await new CallBench({ offer: undefined }).answered();
    expect(bench.invite.answers).toEqual([expect.stringMatching(/m=audio 20000 RTP\/AVP 0 8 9 96 101 102/)]);
    const call: Call = bench.invite.call;
    expect(call.onAnswer?.('no description')).toBe(false);
    expect(call.onAnswer?.(phoneSdp(PHONE, undefined, { codecs: ['PCMA'] }))).toBe(true);
    expect(call.onAnswer?.(OFFER)).toBe(false); // a second one
    bench.invite.call.ack();
    expect(bench.host.told).toEqual([{ type: 'answered' }]);
    expect(bench.call.snapshot()).toMatchObject({ media: { codec: 'PCMA' } });
    bench.call.hangup('shutdown');
  });

  test('in the middle is offered all we have, and takes the answer', async () => {
    const bench = await new CallBench().answered();
    const call: Call = bench.invite.call;
    bench.invite.call.ack();
    const offer = call.onOfferWanted?.();
    expect(offer).toMatch(/m=audio 20000 RTP\/AVP 0 8 9 96 101 102/);
    expect(call.onAnswer?.(phoneSdp({ ...PHONE, port: 4100 }, undefined, { codecs: ['PCMA'] }))).toBe(true);
    expect(bench.call.snapshot()).toMatchObject({ media: { codec: 'PCMA' } });
    bench.call.hangup('shutdown');
    expect(call.onOfferWanted?.()).toEqual({ status: 488 });
  });
});

describe('a phone that sends its keys by INFO', () => {
  test('is heard, unless it sends them as events as well', async () => {
    const bench = await new CallBench().answered();
    bench.invite.call.ack();
    const call: Call = bench.invite.call;
    call.onInfo?.({ contentType: 'application/dtmf-relay', body: 'Signal=5\r\nDuration=200' });
    call.onInfo?.({ contentType: 'application/dtmf-relay', body: 'garbage' });
    expect(bench.host.told.slice(1)).toEqual([{ type: 'dtmf', digit: '5', durationMs: 200 }]);
    bench.call.hangup('shutdown');
  });
});

describe('a call that cannot be set up', () => {
  test('because no codec is common is refused with 488 and the reason', async () => {
    const bench = new CallBench({ offer: phoneSdp(PHONE, undefined).replace('RTP/AVP 0 8 101', 'RTP/AVP 18') });
    await settled();
    expect(bench.invite.rejections).toEqual([{ status: 488, warning: expect.stringContaining('codec') }]);
    expect(bench.gone).toBe(1);
  });

  test.each([
    ['ERR_NO_PORT', 503],
    ['ERR_INTERNAL', 500],
  ] as const)('because of %s at the ports closes the socket it got, and is refused with %i', async (code, status) => {
    const bench = new CallBench();
    bench.innerOpening.resolve(bench.inner);
    bench.portsOpening.reject(new GatewayError(code, 'no'));
    await settled();
    expect(bench.invite.rejections[0]?.status).toBe(status);
    expect(bench.inner.closed).toBeGreaterThan(0);
    expect(bench.clock.nextTimer()).toBeUndefined();
  });

  test('because no socket is left gives its ports back', async () => {
    const bench = new CallBench();
    bench.portsOpening.resolve(bench.ports);
    bench.innerOpening.reject(new Error('EMFILE'));
    await settled();
    expect(bench.invite.rejections[0]?.status).toBe(500);
    expect(bench.ports.released).toBeGreaterThan(0);
    expect(bench.lines.at(-1)).toMatchObject({ msg: 'call set-up failed' });
  });

  test.each([
    ['ERR_OVERLOADED', 503, 'rejected'],
    ['ERR_NODE_UNREACHABLE', 503, 'media_failed'],
    ['ERR_TIMEOUT', 503, 'media_failed'],
    ['ERR_NO_COMMON_CODEC', 488, 'rejected'],
    ['ERR_INTERNAL', 500, 'rejected'],
  ] as const)('because the owner says %s is refused with %i', async (code, status, cause) => {
    const bench = new CallBench();
    await bench.socketsOpen();
    bench.host.opening.reject(new GatewayError(code, 'no'));
    await settled();
    expect(bench.invite.rejections[0]?.status).toBe(status);
    expect(bench.invite.rejections[0]?.retryAfterS).toBe(status === 503 ? 5 : undefined);
    expect(bench.report).toMatchObject({ cause, sipStatus: status });
    expect(bench.isClean).toBe(true);
  });

  test('because the answer of the owner is of no use is refused with 503', async () => {
    const bench = new CallBench();
    bench.inner.fault = new GatewayError('ERR_MEDIA_FAILED', 'no candidates');
    await bench.connecting();
    expect(bench.invite.rejections[0]?.status).toBe(503);
    expect(bench.host.told).toEqual([{ type: 'ended', cause: 'media_failed' }]);
    bench.leg.report(SUMMARY);
    expect(bench.isClean).toBe(true);
  });

  test('because its inner leg dies before the answer is refused with 503', async () => {
    const bench = await new CallBench().connecting();
    bench.inner.onClosed?.('setup_timeout');
    expect(bench.invite.rejections).toEqual([{ status: 503, retryAfterS: 5 }]);
    expect(bench.report ?? bench.host.told.at(-1)).toMatchObject({ cause: 'media_failed' });
  });

  test('whose media says goodbye waits for the word of its owner, which comes by another way', async () => {
    const bench = await new CallBench().connecting();
    bench.inner.onClosed?.('remote_closed');
    bench.clock.advance(499);
    expect(bench.invite.rejections).toEqual([]);
    bench.leg.reject('declined', 603);
    expect(bench.invite.rejections).toEqual([{ status: 603 }]);

    const silent = await new CallBench().connecting();
    silent.inner.onClosed?.('remote_closed');
    silent.clock.advance(500);
    expect(silent.invite.rejections).toEqual([{ status: 503, retryAfterS: 5 }]);
  });

  test.each<[RejectCause, number]>([
    ['busy', 486],
    ['declined', 603],
    ['not_found', 404],
    ['overloaded', 503],
    ['unavailable', 480],
  ])('because the session says %s is refused with %i', async (cause, status) => {
    const bench = await new CallBench().connecting();
    bench.leg.reject(cause);
    bench.leg.answer();
    bench.inner.onConnected?.();
    expect(bench.invite.rejections.map((each) => each.status)).toEqual([status]);
    expect(bench.invite.answers).toEqual([]);
  });

  test('because the session hangs up before the answer is refused as unavailable', async () => {
    const bench = await new CallBench().connecting();
    bench.leg.hangup('agent_hangup');
    expect(bench.invite.rejections.map((each) => each.status)).toEqual([480]);
  });
});

describe('an answered call', () => {
  test.each<[string, (bench: CallBench) => void, EndCause, object]>([
    ['the session hangs up', (bench) => bench.leg.hangup('agent_hangup'), 'agent_hangup', BYE_NORMAL],
    ['the gateway shuts down', (bench) => bench.call.hangup('shutdown'), 'shutdown', { q850: 38 }],
    ['its owner is lost', (bench) => bench.inner.onClosed?.('owner_lost'), 'owner_lost', { q850: 41 }],
    ['its inner leg is lost', (bench) => bench.inner.onClosed?.('consent_lost'), 'media_failed', { q850: 41 }],
    ['its phone is silent', (bench) => bench.clock.advance(30_000), 'media_timeout', { q850: 102 }],
  ])('gets BYE with a reason when %s', async (_, happens, cause, reason) => {
    const bench = await new CallBench().acknowledged();
    happens(bench);
    expect(bench.invite.call.hangups).toEqual([expect.objectContaining(reason)]);
    expect(bench.host.told).toEqual([{ type: 'answered' }, { type: 'ended', cause }]);
    bench.leg.report(SUMMARY);
    expect(bench.report).toMatchObject({ cause, sipStatus: 200, session: SUMMARY });
    // The dialog lives until its BYE is answered.
    expect(bench.gone).toBe(0);
    bench.invite.call.end('hangup');
    expect(bench.gone).toBe(1);
    expect(bench.reports).toHaveLength(1);
    expect(bench.isClean).toBe(true);
  });

  test.each<['no_ack' | 'dialog_lost']>([['no_ack'], ['dialog_lost']])(
    'whose dialog ends with %s is a failure of signalling',
    async (end) => {
      const bench = await new CallBench().answered();
      bench.invite.call.end(end);
      expect(bench.host.told).toEqual([{ type: 'ended', cause: 'signalling_failed' }]);
      bench.leg.report(SUMMARY);
      expect(bench.report).toMatchObject({ cause: 'signalling_failed' });
      expect(bench.isClean).toBe(true);
    },
  );

  test('whose media says goodbye waits for the reason, which comes by another way', async () => {
    const bench = await new CallBench().acknowledged();
    bench.inner.onClosed?.('remote_closed');
    bench.clock.advance(499);
    expect(bench.invite.call.hangups).toEqual([]);
    bench.leg.hangup('agent_hangup');
    bench.leg.report(SUMMARY);
    expect(bench.report?.cause).toBe('agent_hangup');
    expect(bench.isClean).toBe(true);

    const silent = await new CallBench().acknowledged();
    silent.inner.onClosed?.('remote_closed');
    silent.clock.advance(500);
    expect(silent.invite.call.hangups).toHaveLength(1);
    silent.leg.report(SUMMARY);
    expect(silent.report?.cause).toBe('media_failed');
  });

  test('is reported without the word of its owner when that takes more than 500 ms', async () => {
    const bench = await new CallBench().acknowledged();
    bench.invite.call.end('bye');
    bench.clock.advance(499);
    expect(bench.reports).toEqual([]);
    bench.clock.advance(1);
    expect(bench.report).toMatchObject({ cause: 'remote_hangup', session: undefined });
    bench.leg.report(SUMMARY);
    bench.leg.hangup('agent_hangup');
    expect(bench.reports).toHaveLength(1);
    expect(bench.isClean).toBe(true);
  });

  test('answers a re-INVITE from the same ports, and refuses one it cannot speak without changing anything', async () => {
    const bench = await new CallBench().acknowledged();
    const { onOffer } = bench.invite.call;
    const held = onOffer?.(phoneSdp(PHONE, undefined, { version: 2, direction: 'sendonly' }));
    expect(held).toContain('m=audio 20000 ');
    expect(held).toContain('a=recvonly');
    const refused = onOffer?.(phoneSdp(PHONE, undefined, { version: 3 }).replace('RTP/AVP 0 8 101', 'RTP/AVP 18'));
    expect(refused).toEqual({ status: 488, warning: expect.stringContaining('codec') });
    bench.call.hangup('shutdown');
    expect(onOffer?.(phoneSdp(PHONE, undefined, { version: 4 }))).toEqual({ status: 488 });
  });

  test('does not take silence for death while the phone holds it', async () => {
    const bench = await new CallBench().acknowledged();
    for (const direction of ['sendonly', 'inactive'] as const) {
      bench.invite.call.onOffer?.(phoneSdp(PHONE, undefined, { version: 2, direction }));
      bench.clock.advance(100_000);
      expect(bench.invite.call.hangups).toEqual([]);
    }
    bench.invite.call.onOffer?.(phoneSdp(PHONE, undefined, { version: 3 }));
    bench.clock.advance(29_000);
    expect(bench.invite.call.hangups).toEqual([]);
    bench.clock.advance(2000);
    expect(bench.invite.call.hangups).toHaveLength(1);
  });

  test('has a snapshot for people who look', async () => {
    const bench = await new CallBench().acknowledged();
    expect(bench.call.snapshot()).toMatchObject({ sessionId: 'rtc_0_session', state: 'answered', media: { codec: 'PCMU' } });
    bench.call.hangup('shutdown');
    expect(bench.call.snapshot()).toMatchObject({ state: 'ended' });
  });
});

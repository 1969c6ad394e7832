import { describe, expect, test } from 'vitest';
import { type ErrorCode, GatewayError } from '../../../src/base/errors.ts';
import type { LegPolicy, Successor } from '../../../src/leg/leg.ts';
import type { IncomingRefer } from '../../../src/sip/engine.ts';
import { SUMMARY, settled } from './call-bench.ts';
import { browserSdp, fakeRefer, WebBench } from './web-bench.ts';

const BY_API: LegPolicy = { project: 'default', decide: { by: 'api', withinMs: 1000, otherwise: { type: 'answer' } } };
const CAROL: Successor = { type: 'dial', to: { trunk: 'users', destination: 'user:carol' } };

describe('the call of a browser', () => {
  test('is answered with what the owner of its session answers, whichever comes first: that or the wish', async () => {
    const late = new WebBench();
    await late.opened();
    expect(late.invite.answers).toEqual([]);
    late.leg.answer();
    expect(late.invite.answers).toEqual(['the answer']);
    const early = new WebBench();
    early.leg.answer();
    expect(early.invite.answers).toEqual([]);
    await early.opened();
    expect(early.invite.answers).toEqual(['the answer']);
    early.leg.answer();
    expect(early.invite.answers).toEqual(['the answer']);
    expect(early.owner.origin).toEqual({
      ...{ kind: 'phone', media: 'browser', sipCallId: 'web@b' },
      ...{ from: 'sip:+14155550123@192.0.2.1', to: 'sip:agent@192.0.2.1' },
    });
  });

  test('tells the owner when the ACK is in, once, and is proven from then on', async () => {
    const bench = await new WebBench().answered();
    expect([bench.call.isProven, bench.owner.told]).toEqual([false, []]);
    bench.dialog.ack();
    bench.dialog.ack();
    expect(bench.owner.told).toEqual([{ type: 'answered' }]);
    expect(bench.call.isProven).toBe(true);
  });

  test('goes by its own name, that of its session and that of SIP, and has a snapshot without whole numbers', async () => {
    const bench = await new WebBench().acknowledged();
    const { call } = bench;
    expect([call.id, 'rtc_0_web', 'web@b', 'another'].map((name) => call.goesBy(name))).toEqual([true, true, true, false]);
    expect(call.names).toMatchObject({ callId: call.id, sessionId: 'rtc_0_web', peer: 'wss:192.0.2.20:50000' });
    expect(call.snapshot()).toMatchObject({ id: call.id, sessionId: 'rtc_0_web', state: 'answered' });
    expect([call.user, call.place]).toEqual(['alice', { sessionId: 'rtc_0_web', leg: 'caller' }]);
    expect([call.sourceAddress, call.trunkIn(), call.replacesUriIn()]).toEqual(['192.0.2.20', undefined, undefined]);
    expect(call.holds(bench.dialog)).toBe(true);
    expect(call.isNamedBy('web@b;to-tag=1;from-tag=2')).toBe(true);
    expect(call.isNamedBy('web@b;to-tag=2;from-tag=1')).toBe(false);
    expect(`${bench.lines.join()}${JSON.stringify(call.snapshot())}`).not.toContain('4155550123');
  });

  test('rings while somebody is asked, and waits no longer than any decision takes', async () => {
    const bench = new WebBench('in', { policy: () => BY_API });
    await bench.opened();
    expect(bench.invite.rings).toBe(1);
    bench.clock.advance(659_999);
    expect(bench.invite.rejections).toEqual([]);
    bench.clock.advance(1);
    expect(bench.invite.rejections).toEqual([{ status: 480 }]);
    expect(bench.owner.told).toEqual([{ type: 'ended', cause: 'rejected' }]);
    bench.leg.answer();
    expect(bench.invite.answers).toEqual([]);
  });

  test.each([
    ['declined', undefined, 603],
    ['busy', undefined, 486],
    ['declined', 404, 404],
  ] as const)('is refused by its session as %s, status %s', async (cause, status, told) => {
    const bench = await new WebBench().opened();
    bench.leg.reject(cause, status);
    expect(bench.invite.rejections).toEqual([{ status: told }]);
    expect(bench.owner.told).toEqual([{ type: 'ended', cause: 'rejected' }]);
    bench.leg.report(SUMMARY);
    expect(bench.report).toMatchObject({ cause: 'rejected', sipStatus: told, detail: 'refused by the session', session: SUMMARY });
    expect(bench.gone).toBe(1);
  });
});

describe('the call of a browser that is being opened', () => {
  test('and is cancelled is reported once, and what comes late is told of it', async () => {
    const bench = new WebBench();
    bench.invite.onCancel?.();
    expect(bench.report).toMatchObject({ cause: 'cancelled', sipStatus: 487, answeredAt: undefined, durationMs: 0, sessionId: undefined });
    expect(bench.gone).toBe(1);
    bench.leg.answer();
    await bench.opened();
    expect(bench.owner.told).toEqual([{ type: 'ended', cause: 'cancelled' }]);
    bench.invite.onCancel?.();
    bench.call.hangup('shutdown');
    expect([bench.invite.answers, bench.invite.rejections, bench.reports.length, bench.gone]).toEqual([[], [], 1, 1]);
    expect(bench.clock.nextTimer()).toBeUndefined();
  });

  test('for five seconds is refused with Retry-After', async () => {
    const bench = new WebBench();
    bench.clock.advance(5000);
    expect(bench.invite.rejections).toEqual([{ status: 503, retryAfterS: 5 }]);
    expect(bench.report).toMatchObject({ cause: 'media_failed', sipStatus: 503, detail: 'set-up took too long' });
    await bench.opened();
    expect(bench.owner.told).toEqual([{ type: 'ended', cause: 'media_failed' }]);
  });

  test('where nobody owns sessions is refused with Retry-After', async () => {
    const bench = new WebBench('in', { host: () => undefined });
    await settled();
    expect(bench.invite.rejections).toEqual([{ status: 503, retryAfterS: 5 }]);
    expect(bench.report).toMatchObject({ cause: 'media_failed', detail: 'there is no owner of sessions' });
  });

  test.each([
    ['ERR_BAD_OFFER', { status: 488, warning: 'no' }],
    ['ERR_NO_COMMON_CODEC', { status: 488, warning: 'no' }],
    ['ERR_OVERLOADED', { status: 503, retryAfterS: 5 }],
    ['ERR_TIMEOUT', { status: 503, retryAfterS: 5 }],
    ['ERR_INTERNAL', { status: 500 }],
  ] as const)('is refused when the owner says %s', async (code, refusal) => {
    const bench = new WebBench();
    bench.owner.opening.reject(new GatewayError(code as ErrorCode, 'no'));
    await settled();
    expect(bench.invite.rejections).toEqual([refusal]);
    expect([bench.reports.length, bench.gone, bench.clock.nextTimer()]).toEqual([1, 1, undefined]);
  });

  test.each([
    ['shutdown', { status: 503, retryAfterS: 5 }],
    ['agent_hangup', { status: 480 }],
  ] as const)('and hung up for %s is refused', (cause, refusal) => {
    const bench = new WebBench();
    bench.call.hangup(cause);
    expect(bench.invite.rejections).toEqual([refusal]);
    expect(bench.report).toMatchObject({ cause: 'rejected', detail: `ended before it was answered: ${cause}` });
  });
});

describe('an answered call of a browser', () => {
  test('that the browser ends is reported with the times and what its session says, once', async () => {
    const bench = new WebBench();
    bench.clock.advance(10);
    await bench.acknowledged();
    bench.clock.advance(2500);
    bench.end('bye');
    expect(bench.owner.told.at(-1)).toEqual({ type: 'ended', cause: 'remote_hangup' });
    expect([bench.reports, bench.gone]).toEqual([[], 1]);
    bench.leg.report(SUMMARY);
    bench.leg.report(SUMMARY);
    bench.clock.advance(1000);
    expect(bench.reports).toEqual([
      {
        ...{ callId: bench.call.id, sipCallId: 'web@b', sessionId: 'rtc_0_web', from: bench.invite.from, to: bench.invite.to },
        ...{ source: 'wss:192.0.2.20:50000', startedAt: 1_700_000_000_000, answeredAt: 1_700_000_000_010, endedAt: 1_700_000_002_510 },
        ...{ durationMs: 2500, cause: 'remote_hangup', sipStatus: 200, detail: undefined, media: undefined, mediaAgeMs: undefined },
        ...{ setup: { openedMs: 10, answeredMs: 10, acknowledgedMs: 10 }, session: SUMMARY },
      },
    ]);
    expect(bench.clock.nextTimer()).toBeUndefined();
  });

  test('is reported without the word of its owner when that takes more than half a second', async () => {
    const bench = await new WebBench().acknowledged();
    bench.end('bye');
    bench.clock.advance(499);
    expect(bench.reports).toEqual([]);
    bench.clock.advance(1);
    expect(bench.report?.session).toBeUndefined();
    bench.leg.report(SUMMARY);
    expect(bench.reports).toHaveLength(1);
  });

  test.each(['no_ack', 'dialog_lost', 'session_expired'] as const)('whose dialog ends with %s has failed', async (end) => {
    const bench = await new WebBench().answered();
    bench.end(end);
    expect(bench.owner.told).toEqual([{ type: 'ended', cause: 'signalling_failed' }]);
    expect(bench.gone).toBe(1);
  });

  test('is hung up with the reason and what a program wants said; without that where it may not be said', async () => {
    const bench = await new WebBench().acknowledged();
    bench.leg.hangup('agent_hangup', [{ name: 'X-Ticket', value: '7' }]);
    bench.leg.hangup('shutdown');
    expect(bench.dialog.hangups).toEqual([expect.objectContaining({ q850: 16 })]);
    expect(bench.dialog.farewells).toEqual([[['X-Ticket', '7']]]);
    expect(bench.gone).toBe(0);
    bench.end('hangup');
    expect(bench.gone).toBe(1);
    const other = await new WebBench().acknowledged();
    other.dialog.forbidden = 'Via';
    other.leg.hangup('agent_hangup', [{ name: 'Via', value: 'x' }]);
    expect(other.dialog.farewells).toEqual([[]]);
  });

  test('is held and taken back, and its session told of each change', async () => {
    const bench = await new WebBench().acknowledged();
    for (const direction of ['sendrecv', 'sendonly', 'inactive', 'sendrecv'] as const) {
      expect(await bench.dialog.onOffer?.(browserSdp(direction))).toBe('the later answer');
    }
    expect(bench.owner.told.slice(1)).toEqual([
      { type: 'hold', held: true },
      { type: 'hold', held: false },
    ]);
  });

  test.each([
    ['ERR_BAD_OFFER', 488],
    ['ERR_OVERLOADED', 488],
    ['ERR_TIMEOUT', 504],
    ['ERR_NODE_UNREACHABLE', 504],
  ] as const)('stays as it was when its owner says %s to a later offer', async (code, status) => {
    const bench = await new WebBench().acknowledged();
    bench.owner.reoffer = () => Promise.reject(new GatewayError(code, 'not now'));
    expect(await bench.dialog.onOffer?.(browserSdp('sendonly'))).toEqual({ status, warning: 'not now' });
    expect(bench.owner.told).toEqual([{ type: 'answered' }]);
  });

  test('that ends while its owner looks at an offer tells nothing after its end', async () => {
    const bench = await new WebBench().acknowledged();
    let answer: (sdp: string) => void = () => undefined;
    bench.owner.reoffer = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const answered = bench.dialog.onOffer?.(browserSdp('sendonly'));
    bench.end('bye');
    answer('too late');
    expect(await answered).toEqual({ status: 487 });
    expect(bench.owner.told.at(-1)).toEqual({ type: 'ended', cause: 'remote_hangup' });
    expect(await bench.dialog.onOffer?.(browserSdp())).toEqual({ status: 488 });
  });

  test('hears keys that come by INFO, and nothing in what is none', async () => {
    const bench = await new WebBench().acknowledged();
    bench.dialog.onInfo?.({ contentType: 'application/dtmf-relay', body: 'Signal=5\r\nDuration=200\r\n' });
    bench.dialog.onInfo?.({ contentType: 'application/dtmf-relay', body: 'Signal=much\r\n' });
    bench.dialog.onInfo?.({ contentType: 'text/plain', body: '5' });
    expect(bench.owner.told.slice(1)).toEqual([{ type: 'dtmf', digit: '5', durationMs: 200 }]);
  });

  test('sends keys by INFO one after the other, and none when it is over', async () => {
    const bench = await new WebBench().acknowledged();
    bench.leg.sendDtmf?.('1#2');
    bench.clock.advance(0);
    expect(bench.dialog.infos).toEqual(['Signal=1\r\nDuration=160\r\n']);
    bench.clock.advance(320);
    expect(bench.dialog.infos).toHaveLength(2);
    bench.end('bye');
    bench.clock.advance(320);
    expect(bench.dialog.infos).toHaveLength(2);
  });

  test('cannot be taken over by another phone', async () => {
    const bench = await new WebBench().acknowledged();
    const other = new WebBench();
    bench.call.takeOver(other.invite);
    expect(other.invite.rejections).toEqual([{ status: 488, warning: 'the call of a browser cannot be taken over' }]);
  });
});

describe('a browser that its session sends on', () => {
  test('is asked to call whom it may be sent to, and its session told what comes of it', async () => {
    const bench = new WebBench('in', { mayRefer: (target) => target === 'sip:desk@192.0.2.1' });
    await bench.acknowledged();
    bench.leg.refer?.('sip:desk@192.0.2.1');
    bench.dialog.refers[0]?.onProgress({ type: 'accepted' });
    bench.dialog.refers[0]?.onProgress({ type: 'failed', status: 486, reason: 'Busy Here' });
    expect(bench.owner.told.slice(1)).toEqual([
      { type: 'transfer', state: 'accepted' },
      { type: 'transfer', state: 'failed', status: 486 },
    ]);
  });

  test('is not asked where it may not be sent, where it cannot, and before it is answered', async () => {
    const bench = await new WebBench().opened();
    bench.leg.refer?.('sip:desk@192.0.2.1');
    await bench.acknowledged();
    bench.leg.refer?.('sip:desk@192.0.2.1');
    Object.assign(bench.dialog, { refer: undefined });
    bench.leg.refer?.('sip:desk@192.0.2.1');
    expect(bench.dialog.refers).toEqual([]);
    expect(bench.owner.told.flatMap((event) => (event.type === 'transfer' ? event.status : []))).toEqual([501, 403, 501]);
  });
});

describe('a browser that wants somebody else in its place', () => {
  test('is declined where nobody looks after that', async () => {
    const bench = await new WebBench().acknowledged();
    expect(bench.dialog.onRefer?.(fakeRefer())).toBe(false);
  });

  test('hears what comes of it, to the end; then it may ask again', async () => {
    const asked: IncomingRefer[] = [];
    const bench = new WebBench('in', { onRefer: (refer, call) => asked.push(refer) > 0 && call.handOver(refer, CAROL) });
    await bench.acknowledged();
    const [first, second, third] = [fakeRefer(), fakeRefer(), fakeRefer()];
    expect(bench.dialog.onRefer?.(first)).toBe(true);
    expect(bench.dialog.onRefer?.(second)).toBe(false);
    bench.leg.referred?.(180);
    bench.leg.referred?.(486);
    bench.leg.referred?.(200);
    expect([first.notes, second.notes]).toEqual([[180, 486], []]);
    expect(bench.dialog.onRefer?.(third)).toBe(true);
    bench.leg.referred?.(200);
    expect(third.notes).toEqual([200]);
    expect(bench.owner.told.slice(1)).toEqual([
      { type: 'refer', to: CAROL },
      { type: 'refer', to: CAROL },
    ]);
    bench.end('bye');
    expect(bench.call.handOver(fakeRefer(), CAROL)).toBe(false);
  });
});

describe('a call of ours to a browser', () => {
  test('offers what the owner offers, rings once, and is answered when the owner has taken its answer', async () => {
    const bench = new WebBench('out');
    await bench.answered();
    expect(bench.outbound.offered).toBe('the offer');
    expect(bench.owner.origin).toMatchObject({ direction: 'outbound', media: 'browser', joins: { leg: 'leg_bob' } });
    for (const status of [100, 180, 183]) bench.outbound.onProgress?.({ status, reason: '', sdp: undefined });
    let taken: () => void = () => undefined;
    bench.owner.accept = () =>
      new Promise((resolve) => {
        taken = resolve;
      });
    await bench.taken();
    expect(bench.owner.told).toEqual([{ type: 'ringing' }]);
    taken();
    await settled();
    expect(bench.owner.told).toEqual([{ type: 'ringing' }, { type: 'answered' }]);
    expect([bench.call.user, bench.call.place]).toEqual(['bob', { sessionId: 'rtc_0_web', leg: 'leg_bob' }]);
    expect(bench.call.holds(bench.dialog)).toBe(true);
    expect(bench.dialog.onAnswer?.('another answer')).toBe(false);
  });

  test('whose answer is of no use is hung up, and has failed', async () => {
    const bench = new WebBench('out');
    bench.owner.accept = () => Promise.reject(new GatewayError('ERR_BAD_OFFER', 'the answer has no audio'));
    await bench.taken();
    expect(bench.dialog.hangups).toHaveLength(1);
    expect(bench.owner.told).toEqual([{ type: 'ended', cause: 'media_failed' }]);
    bench.end('hangup');
    bench.leg.report(SUMMARY);
    expect(bench.report).toMatchObject({ cause: 'media_failed', detail: 'the answer has no audio' });
  });

  test('whose answer is taken after its end stays ended', async () => {
    const bench = new WebBench('out');
    let taken: () => void = () => undefined;
    bench.owner.accept = () =>
      new Promise((resolve) => {
        taken = resolve;
      });
    await bench.taken();
    bench.end('bye');
    taken();
    await settled();
    expect(bench.owner.told).toEqual([{ type: 'ended', cause: 'remote_hangup' }]);
  });

  test('that nobody takes tells its session with which status', async () => {
    const bench = new WebBench('out');
    await bench.answered();
    bench.outbound.onFailed?.({ cause: 'busy', status: 486, reason: 'Busy Here' });
    expect(bench.owner.told).toEqual([{ type: 'ended', cause: 'rejected', status: 486 }]);
    bench.leg.report(SUMMARY);
    expect(bench.report).toMatchObject({ cause: 'rejected', sipStatus: 486, detail: 'busy: Busy Here', answeredAt: undefined });
    expect(bench.gone).toBe(1);
  });

  test('is given up while it rings, and ended by the longest call there is', async () => {
    const given = await new WebBench('out').answered();
    given.call.hangup('agent_hangup');
    expect(given.outbound.cancels).toBe(1);
    const long = await new WebBench('out').taken();
    long.outbound.onDurationCap?.();
    expect(long.owner.told.at(-1)).toEqual({ type: 'ended', cause: 'duration_cap' });
  });

  test('that cannot be offered is given up', async () => {
    const bench = new WebBench('out');
    bench.owner.opening.reject(new GatewayError('ERR_NOT_FOUND', 'no such call'));
    await settled();
    expect(bench.outbound.cancels).toBe(1);
    expect(bench.report).toMatchObject({ cause: 'rejected', sipStatus: 500 });
  });
});

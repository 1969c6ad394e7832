import { describe, expect, it } from 'vitest';
import { readReferTo } from '../../../src/sip/embedded/refer-to.ts';
import { readReplaces } from '../../../src/sip/embedded/replaces.ts';
import { readFragment } from '../../../src/sip/embedded/sipfrag.ts';
import type { Call, IncomingRefer, ReferProgress } from '../../../src/sip/engine.ts';
import { ANSWER, answeredCall, EngineUnderTest, header, OFFER, PEER, request, responseTo, toTagOf } from './engine-under-test.ts';
import { last } from './outbound-under-test.ts';

interface Notify {
  readonly status?: number;
  readonly state?: string;
  readonly event?: string;
  readonly body?: string;
}

describe('a transfer we ask for', () => {
  async function transferring() {
    const test = await EngineUnderTest.start();
    const one = answeredCall(test);
    const news: string[] = [];
    const refer = (target = 'sip:desk@192.0.2.50'): void =>
      one.call.refer?.(target, (each: ReferProgress) => news.push('status' in each ? `${each.type} ${each.status}` : each.type));
    let cseq = 10;
    const notify = ({
      status = 200,
      state = 'terminated;reason=noresource',
      event = 'refer',
      body = `SIP/2.0 ${status} X\r\n`,
    }: Notify = {}) => {
      cseq += 1;
      const headers = [`Event: ${event}`, `Subscription-State: ${state}`];
      return test
        .exchange(one.inDialog({ method: 'NOTIFY', cseq, headers, body }).replace('application/sdp', 'message/sipfrag;version=2.0'))
        .map(({ what }) => what);
    };
    return { test, ...one, news, refer, notify };
  }

  it('is accepted, rings, succeeds, and leaves the call to be hung up', async () => {
    const { test, call, news, refer, notify } = await transferring();
    refer();
    const sent = last(test, 'REFER');
    expect(header(sent.text, 'Refer-To')).toBe('<sip:desk@192.0.2.50>');
    test.receive(responseTo(sent.text, 202));
    expect(notify({ status: 100, state: 'active;expires=60' })).toEqual(['200']);
    expect(notify({ status: 180, state: 'active;expires=60', event: `refer;id=${header(sent.text, 'CSeq')?.split(' ')[0]}` })).toEqual([
      '200',
    ]);
    expect(notify()).toEqual(['200']);
    expect(news).toEqual(['accepted', 'progress 100', 'progress 180', 'succeeded 200']);
    call.hangup();
    expect(last(test, 'BYE')).toBeDefined();
    expect(news).toHaveLength(4);
  });

  it('goes on when a NOTIFY overtakes the 202', async () => {
    const { test, news, refer, notify } = await transferring();
    refer();
    notify({ status: 180, state: 'active' });
    test.receive(responseTo(last(test, 'REFER').text, 202));
    notify();
    expect(news).toEqual(['accepted', 'progress 180', 'succeeded 200']);
  });

  it.each([
    ['is refused', 603, undefined, ['failed 603']],
    ['leads to nobody', 202, { status: 404 }, ['accepted', 'failed 404']],
    ['ends without a word', 202, { body: 'garbage', state: 'terminated' }, ['accepted', 'failed 408']],
  ] as const)('fails when it %s', async (_, status, notified, expected) => {
    const { test, ends, news, refer, notify } = await transferring();
    refer();
    test.receive(responseTo(last(test, 'REFER').text, status));
    if (notified) notify(notified);
    expect(news).toEqual(expected);
    expect(ends).toEqual([]);
  });

  it('that nothing is heard of fails after three minutes', async () => {
    const { test, news, refer } = await transferring();
    refer();
    test.receive(responseTo(last(test, 'REFER').text, 202));
    test.clock.advance(179_999);
    expect(news).toEqual(['accepted']);
    test.clock.advance(1);
    expect(news).toEqual(['accepted', 'failed 408']);
  });

  it('of a peer that makes no subscription succeeds with the 202', async () => {
    const { test, news, refer } = await transferring();
    refer();
    const answer = responseTo(last(test, 'REFER').text, 202).replace('Content-Length', 'Refer-Sub: false\r\nContent-Length');
    test.receive(answer);
    expect(news).toEqual(['accepted', 'succeeded 202']);
  });

  it('ends with the call', async () => {
    const { test, inDialog, news, refer } = await transferring();
    refer();
    test.receive(responseTo(last(test, 'REFER').text, 202));
    test.receive(inDialog({ method: 'BYE', cseq: 50 }));
    expect(news).toEqual(['accepted', 'failed 487']);
    expect(() => refer()).toThrow();
    expect(test.clock.nextTimer() ?? 0).toBeLessThanOrEqual(64_000);
  });

  it('is one at a time, and its news are bounded', async () => {
    const { test, news, refer, notify } = await transferring();
    refer();
    expect(() => refer()).toThrow(/under way/);
    test.receive(responseTo(last(test, 'REFER').text, 202));
    for (let n = 0; n < 100; n++) notify({ status: 180, state: 'active' });
    expect(news.length).toBeLessThan(40);
    notify();
    expect(news.at(-1)).toBe('succeeded 200');
    refer();
    expect(test.sent.filter(({ what }) => what === 'REFER')).toHaveLength(2);
  });

  it('refuses a target that would break out of its header', async () => {
    const { test, refer } = await transferring();
    for (const target of ['sip:a@b>\r\nEvil: 1', 'desk', 'sip:a b', '']) expect(() => refer(target)).toThrow();
    expect(test.sent.some(({ what }) => what === 'REFER')).toBe(false);
  });

  it('leaves NOTIFYs of nothing unanswered by the application', async () => {
    const { notify } = await transferring();
    expect(notify()).toEqual(['481']);
    expect(notify({ event: 'presence' })).toEqual(['489']);
  });

  it('of an attended kind names the dialog that is to be replaced', async () => {
    const { test, call, toTag } = await transferring();
    const uri = (call as Call).replacesUri ?? '';
    expect(uri).toBe(`sip:caller@192.0.2.10:5062?Replaces=${encodeURIComponent(`call-1@192.0.2.10;to-tag=caller;from-tag=${toTag}`)}`);
    const other = answeredCall(test, { callId: 'call-2@192.0.2.10' });
    other.call.refer?.(uri, () => undefined);
    expect(header(last(test, 'REFER').text, 'Refer-To')).toBe(`<${uri}>`);
  });
});

describe('a transfer the peer asks for', () => {
  const refer = (to: string) => ({ method: 'REFER', cseq: 5, headers: [`Refer-To: ${to}`] });

  async function answered() {
    const test = await EngineUnderTest.start();
    return { test, ...answeredCall(test) };
  }

  it('is declined without a handler', async () => {
    const { test, inDialog } = await answered();
    expect(test.exchange(inDialog(refer('<sip:x@192.0.2.66>'))).map(({ what }) => what)).toEqual(['603']);
  });

  it('is accepted, and the peer is told what comes of it', async () => {
    const { test, call, inDialog } = await answered();
    const refers: IncomingRefer[] = [];
    call.onRefer = (each) => refers.push(each) > 0;
    const sent = test.exchange(inDialog(refer('"Bob" <sip:bob@192.0.2.66?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>')));
    expect(sent.map(({ what }) => what)).toEqual(['202', 'NOTIFY']);
    expect(refers[0]).toMatchObject({ target: 'sip:bob@192.0.2.66', replaces: 'a@b;to-tag=1;from-tag=2' });
    expect(test.exchange(inDialog({ ...refer('<sip:y@192.0.2.66>'), cseq: 6 })).map(({ what }) => what)).toEqual(['491']);
    refers[0]?.notify(180);
    refers[0]?.notify(200);
    refers[0]?.notify(200);
    const notifies = test.sent.filter(({ what }) => what === 'NOTIFY').map(({ text }) => text);
    expect(notifies.map((text) => text.split('\r\n\r\n')[1])).toEqual([
      'SIP/2.0 100 Trying\r\n',
      'SIP/2.0 180 Ringing\r\n',
      'SIP/2.0 200 OK\r\n',
    ]);
    expect(notifies.map((text) => header(text, 'Subscription-State'))).toEqual([
      'active;expires=180',
      'active;expires=180',
      'terminated;reason=noresource',
    ]);
    expect(header(notifies[0] ?? '', 'Event')).toBe('refer;id=5');
  });

  it('whose outcome nobody tells ends with 408', async () => {
    const { test, call, inDialog } = await answered();
    call.onRefer = () => true;
    test.receive(inDialog(refer('<sip:bob@192.0.2.66>')));
    test.receive(responseTo(last(test, 'NOTIFY').text, 200));
    test.clock.advance(180_000);
    expect(last(test, 'NOTIFY').text).toContain('SIP/2.0 408');
  });

  it.each(['', '<sip:bob', 'tel', '<sip:b@h?Replaces=%zz>', '<sip:b@h;method=BYE>', '<sip:b@h?Replaces=a%0d%0aEvil:1>'])(
    'is malformed when it names %j',
    async (to) => {
      const { test, call, inDialog } = await answered();
      call.onRefer = () => true;
      expect(test.exchange(inDialog(refer(to))).map(({ what }) => what)).toEqual(['400']);
    },
  );

  it('outside a dialog is not served', async () => {
    const test = await EngineUnderTest.start();
    expect(test.exchange(request({ method: 'REFER', headers: ['Refer-To: <sip:x@192.0.2.66>'] })).map(({ what }) => what)).toEqual(['405']);
  });

  it('with a handler that throws is declined', async () => {
    const { test, call, inDialog } = await answered();
    call.onRefer = () => {
      throw new Error('broken');
    };
    expect(test.exchange(inDialog(refer('<sip:x@192.0.2.66>'))).map(({ what }) => what)).toEqual(['603']);
    expect(test.faults).toHaveLength(1);
  });
});

describe('an INVITE with Replaces', () => {
  const replaced = (callId: string, toTag: string, fromTag = 'caller', more = '') => ({
    callId: 'new@192.0.2.10',
    fromTag: 'other',
    headers: [`Replaces: ${callId};to-tag=${toTag};from-tag=${fromTag}${more}`, 'Require: replaces'],
    body: OFFER,
  });

  it('brings the call that it is to take the place of', async () => {
    const test = await EngineUnderTest.start();
    const { call, toTag } = answeredCall(test);
    test.receive(request(replaced('call-1@192.0.2.10', toTag)));
    const invite = test.invites.at(-1);
    expect(invite?.replaces).toBe(call);
    invite?.answer(ANSWER);
    invite?.replaces?.hangup();
    expect(test.sent.slice(-2).map(({ what }) => what)).toEqual(['200', 'BYE']);
  });

  it.each([
    ['481', 'an unknown dialog', (tag: string) => replaced('call-9', tag)],
    ['481', 'a wrong tag', () => replaced('call-1@192.0.2.10', 'guess')],
    ['486', 'an early dialog only', (tag: string) => replaced('call-1@192.0.2.10', tag, 'caller', ';early-only')],
    ['400', 'garbage', () => ({ ...replaced('x', 'y'), headers: ['Replaces: ;;;'] })],
    [
      '400',
      'two dialogs',
      (tag: string) => ({ ...replaced('x', 'y'), headers: [`Replaces: a;to-tag=${tag};from-tag=b`, 'Replaces: a;to-tag=b;from-tag=c'] }),
    ],
  ] as const)('gets %s for %s', async (status, _, parts) => {
    const test = await EngineUnderTest.start();
    const { toTag } = answeredCall(test);
    expect(test.exchange(request(parts(toTag))).map(({ what }) => what)).toEqual([status]);
    expect(test.invites).toHaveLength(1);
  });

  it('from elsewhere than the call gets 403, even with the right tags', async () => {
    const test = await EngineUnderTest.start();
    const { toTag } = answeredCall(test);
    expect(
      test.exchange(request(replaced('call-1@192.0.2.10', toTag)), { address: '203.0.113.9', port: 5060 }).map(({ what }) => what),
    ).toEqual(['403']);
    expect(test.exchange(request({ ...replaced('call-1@192.0.2.10', toTag), callId: 'again' }), PEER)[0]?.what).not.toBe('403');
  });

  it('of a call that still rings gets 481', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request());
    test.invites[0]?.ring();
    const tag = toTagOf(test.sent.at(-1)?.text ?? '');
    expect(test.exchange(request(replaced('call-1@192.0.2.10', tag))).map(({ what }) => what)).toEqual(['481']);
  });
});

it('an INFO of ours carries its body', async () => {
  const test = await EngineUnderTest.start();
  const { call } = answeredCall(test);
  call.info?.({ contentType: 'application/dtmf-relay', body: 'Signal=5\r\nDuration=160\r\n' });
  expect(last(test, 'INFO').text).toContain('Content-Type: application/dtmf-relay\r\nContent-Length: 24\r\n\r\nSignal=5\r\n');
});

it('garbage is read as nothing', () => {
  for (const text of ['', ';', 'a;to-tag', 'a;to-tag=1', 'a b;to-tag=1;from-tag=2', 'a;to-tag=1;to-tag=2;from-tag=3'])
    expect(readReplaces(text)).toBeUndefined();
  expect(readReplaces('a@b ;from-tag=0;to-tag=2')).toEqual({ callId: 'a@b', toTag: '2', fromTag: '', earlyOnly: false });
  for (const text of ['', 'SIP/2.0', 'SIP/2.0 2', 'SIP/2.0 2000 x', 'HTTP/1.1 200 OK'])
    expect(readFragment(Buffer.from(text))).toBeUndefined();
  expect(readReferTo(`<sip:${'x'.repeat(3000)}@h>`)).toBeUndefined();
});

import { describe, expect, it } from 'vitest';
import type { IncomingRefer } from '../../../src/sip/engine.ts';
import { ANSWER, answeredCall, EngineUnderTest, header, type RequestParts, request, toTagOf } from './engine-under-test.ts';

/* What RFCs ask in a half-sentence, and old peers do in another way. */

describe('a caller of RFC 2543', () => {
  /** No branch, no tag, no Contact, no Max-Forwards: what RFC 3261 §8.1.1 made compulsory. */
  const old = (parts: RequestParts): string =>
    request({ via: 'SIP/2.0/UDP 192.0.2.10:5062', ...parts })
      .replace(/^(From: .*);tag=caller/m, '$1')
      .replace(/^Contact: .*\r\n/m, '')
      .replace(/^Max-Forwards: .*\r\n/m, '');

  it('without branch and tag is answered, acknowledged and heard hanging up', async () => {
    const test = await EngineUnderTest.start();
    test.exchange(old({}));
    expect(test.invites).toHaveLength(1);
    expect(test.exchange(old({})).map(({ what }) => what)).toEqual(['100']);
    expect(test.invites).toHaveLength(1);
    const call = test.invites[0]?.answer(ANSWER);
    const ends: string[] = [];
    if (call) call.onEnd = (end) => void ends.push(end);
    const toTag = toTagOf(test.sent.at(-1)?.text ?? '');
    test.receive(old({ method: 'ACK', toTag }));
    const before = test.sent.length;
    test.clock.advance(5000);
    expect(test.sent).toHaveLength(before);
    expect(test.exchange(old({ method: 'BYE', cseq: 2, toTag })).map(({ what }) => what)).toEqual(['200']);
    expect(ends).toEqual(['bye']);
  });
});

describe('in a call', () => {
  it('a NOTIFY of a transfer that nobody asked for gets 481, of another event 489', async () => {
    const test = await EngineUnderTest.start();
    const { inDialog } = answeredCall(test);
    const notify = (event: string, cseq: number): string =>
      inDialog({ method: 'NOTIFY', cseq, headers: [`Event: ${event}`, 'Subscription-State: active'] });
    expect(test.exchange(notify('refer', 2)).map(({ what }) => what)).toEqual(['481']);
    const [other] = test.exchange(notify('presence', 3));
    expect([other?.what, header(other?.text ?? '', 'Allow-Events')]).toEqual(['489', 'refer']);
  });

  it('our REFER says who refers', async () => {
    const test = await EngineUnderTest.start();
    const { call } = answeredCall(test);
    call.refer?.('sip:desk@192.0.2.50', () => undefined);
    const refer = test.sent.at(-1)?.text ?? '';
    expect(header(refer, 'Referred-By')).toBe(header(refer, 'Contact'));
  });

  it('a REFER is told of at once, and of its end as the end of the subscription', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    let received: IncomingRefer | undefined;
    call.onRefer = (refer) => {
      received = refer;
      return true;
    };
    const before = test.sent.length;
    test.receive(inDialog({ method: 'REFER', cseq: 2, headers: ['Refer-To: <sip:desk@192.0.2.50>'] }));
    received?.notify(486);
    const said = test.sent.slice(before).map(({ what, text }) => [what, header(text, 'Subscription-State'), text.split('\r\n\r\n')[1]]);
    expect(said).toEqual([
      ['202', undefined, ''],
      ['NOTIFY', 'active;expires=180', 'SIP/2.0 100 Trying\r\n'],
      ['NOTIFY', 'terminated;reason=noresource', 'SIP/2.0 486 Busy Here\r\n'],
    ]);
  });
});

describe('requests other than INVITE', () => {
  it('are answered at once, never provisionally and never with 408 (RFC 4320)', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    call.onOffer = () => ANSWER;
    call.onRefer = () => true;
    const methods = ['OPTIONS', 'UPDATE', 'INFO', 'REFER', 'NOTIFY', 'PRACK', 'SUBSCRIBE', 'MESSAGE', 'BYE'];
    const answers = methods.map((method, at) => {
      const headers = method === 'REFER' ? ['Refer-To: <sip:desk@192.0.2.50>'] : [];
      return test.exchange(inDialog({ method, cseq: at + 2, headers })).filter(({ what }) => /^\d/.test(what));
    });
    expect(answers.map((each) => each.map(({ what }) => what))).toEqual(
      ['200', '200', '200', '202', '489', '481', '405', '405', '200'].map((status) => [status]),
    );
    test.clock.advance(60_000);
    expect(test.sent.filter(({ what }) => what === '408')).toEqual([]);
  });
});

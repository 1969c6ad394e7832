import { describe, expect, it } from 'vitest';
import type { CallInfo } from '../../../src/sip/engine.ts';
import { ANSWER, answeredCall, EngineUnderTest, header, OFFER, request, responseTo, toTagOf } from './engine-under-test.ts';

describe('a request inside a dialog', () => {
  it('without that dialog gets 481', async () => {
    const test = await EngineUnderTest.start();
    for (const method of ['BYE', 'INVITE', 'UPDATE', 'INFO', 'OPTIONS']) {
      expect(test.exchange(request({ method, toTag: 'nobody' })).map(({ what }) => what)).toEqual(['481']);
    }
    for (const method of ['BYE', 'UPDATE', 'INFO']) {
      expect(test.exchange(request({ method })).map(({ what }) => what)).toEqual(['481']);
    }
    expect(test.exchange(request({ method: 'ACK', toTag: 'nobody' }))).toEqual([]);
  });

  it('with a lower number than the last one gets 500', async () => {
    const test = await EngineUnderTest.start();
    const { inDialog, ends } = answeredCall(test, { cseq: 10 });
    expect(test.exchange(inDialog({ method: 'BYE', cseq: 9 })).map(({ what }) => what)).toEqual(['500']);
    expect(ends).toEqual([]);
    expect(test.exchange(inDialog({ method: 'BYE', cseq: 11 })).map(({ what }) => what)).toEqual(['200']);
    expect(ends).toEqual(['bye']);
  });

  it('that is repeated gets the same answer, also after the call is over', async () => {
    const test = await EngineUnderTest.start();
    const { inDialog, ends } = answeredCall(test);
    const bye = inDialog({ method: 'BYE', cseq: 2 });
    const [first] = test.exchange(bye);
    test.clock.advance(20_000);
    const [second] = test.exchange(bye);
    expect(second?.text).toBe(first?.text);
    expect(ends).toEqual(['bye']);
    test.clock.advance(20_000);
    expect(test.exchange(bye).map(({ what }) => what)).toEqual(['481']);
  });

  it('of OPTIONS is answered, and methods we lack get 405', async () => {
    const test = await EngineUnderTest.start();
    const { inDialog } = answeredCall(test);
    expect(test.exchange(inDialog({ method: 'OPTIONS', cseq: 2 })).map(({ what }) => what)).toEqual(['200']);
    const [refusal] = test.exchange(inDialog({ method: 'PUBLISH', cseq: 3 }));
    expect([refusal?.what, header(refusal!.text, 'Allow')]).toEqual([
      '405',
      'INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY',
    ]);
  });

  it('of INFO is answered and its body handed over', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    const infos: CallInfo[] = [];
    call.onInfo = (info) => void infos.push(info);
    const body = 'Signal=5\r\nDuration=160\r\n';
    const info = inDialog({ method: 'INFO', cseq: 2, body }).replace('application/sdp', 'application/dtmf-relay');
    expect(test.exchange(info).map(({ what }) => what)).toEqual(['200']);
    expect(infos).toEqual([{ contentType: 'application/dtmf-relay', body }]);
    const [refusal] = test.exchange(inDialog({ method: 'INFO', cseq: 3, headers: ['Info-Package: foo'] }));
    expect([refusal?.what, header(refusal!.text, 'Recv-Info')]).toEqual(['469', '']);
  });
});

describe('an offer inside a dialog', () => {
  it('is refused with 488 without a handler, and leaves the call as it was', async () => {
    const test = await EngineUnderTest.start();
    const { inDialog, ends } = answeredCall(test);
    const branch = 'z9hG4bKreinvite';
    const [refusal] = test.exchange(inDialog({ cseq: 2, branch }));
    expect(refusal?.what).toBe('488');
    test.receive(inDialog({ method: 'ACK', cseq: 2, branch }));
    test.clock.advance(60_000);
    expect(ends).toEqual([]);
    expect(test.sent.filter(({ what }) => what === '488')).toHaveLength(1);
  });

  it('in a re-INVITE is answered, the 200 repeated until its own ACK', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    const offers: string[] = [];
    call.onOffer = (offer) => {
      offers.push(offer);
      return ANSWER;
    };
    const [ok] = test.exchange(inDialog({ cseq: 2 }));
    expect([ok?.what, ok?.text.endsWith(ANSWER), offers]).toEqual(['200', true, [OFFER]]);
    expect(header(ok!.text, 'Contact')).toBe('<sip:192.0.2.1:5060>');
    test.receive(inDialog({ method: 'ACK', cseq: 1 })); // a late copy of the first ACK
    test.clock.advance(600);
    test.receive(inDialog({ method: 'ACK', cseq: 2 }));
    test.clock.advance(60_000);
    expect(test.timeline.slice(2)).toEqual([
      [0, '200'],
      [500, '200'],
    ]);
  });

  it('in an UPDATE is answered, refused as the handler says, and needs no ACK', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 2 })).map(({ what }) => what)).toEqual(['200']); // a refresh
    call.onOffer = () => ({ status: 488, warning: 'no codec' });
    const [refusal] = test.exchange(inDialog({ method: 'UPDATE', cseq: 3, body: OFFER }));
    expect([refusal?.what, header(refusal!.text, 'Warning')]).toEqual(['488', '399 ringdown "no codec"']);
    call.onOffer = () => ANSWER;
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 4, body: OFFER })).map(({ what }) => what)).toEqual(['200']);
    call.onOffer = () => {
      throw new Error('broken');
    };
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 5, body: OFFER })).map(({ what }) => what)).toEqual(['500']);
    test.clock.advance(40_000);
    expect(await test.count('sip_transactions')).toBe(0);
  });

  it('moves the peer to its new Contact', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    call.onOffer = () => ANSWER;
    test.receive(inDialog({ cseq: 2, contact: '<sip:caller@192.0.2.11:5090;x=y?Subject=z>' }));
    test.receive(inDialog({ method: 'ACK', cseq: 2 }));
    call.hangup();
    const bye = test.sent.at(-1)!;
    expect([bye.what, bye.to]).toEqual(['BYE', { address: '192.0.2.11', port: 5090 }]);
    expect(bye.text.split('\r\n')[0]).toBe('BYE sip:caller@192.0.2.11:5090;x=y SIP/2.0');
  });

  it('before the first answer is put off with 500 and Retry-After, a BYE there ends the call', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request());
    const invite = test.invites[0]!;
    let cancelled = 0;
    invite.onCancel = () => {
      cancelled += 1;
    };
    invite.ring();
    const toTag = toTagOf(test.sent.at(-1)!.text);
    for (const method of ['INVITE', 'UPDATE']) {
      const [refusal] = test.exchange(request({ method, cseq: 2, toTag, body: OFFER }));
      expect(refusal?.what).toBe('500');
      expect(Number(header(refusal!.text, 'Retry-After'))).toBeLessThanOrEqual(10);
    }
    expect(test.exchange(request({ method: 'UPDATE', cseq: 3, toTag })).map(({ what }) => what)).toEqual(['200']);
    expect(test.exchange(request({ method: 'BYE', cseq: 4, toTag })).map(({ what }) => what)).toEqual(['200', '487']);
    expect(cancelled).toBe(1);
  });

  it('that crosses our BYE gets 487, and both BYEs are answered', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog, ends } = answeredCall(test);
    call.hangup();
    const bye = test.sent.at(-1)!;
    expect(test.exchange(inDialog({ cseq: 2 })).map(({ what }) => what)).toEqual(['487']);
    expect(test.exchange(inDialog({ method: 'BYE', cseq: 3 })).map(({ what }) => what)).toEqual(['200']);
    test.receive(responseTo(bye.text, 481));
    expect(ends).toEqual(['hangup']);
  });
});

describe('the route of our requests', () => {
  const byeOf = async (headers: string[], contact?: string) => {
    const test = await EngineUnderTest.start();
    const { call } = answeredCall(test, { headers, ...(contact === undefined ? {} : { contact }) });
    call.hangup();
    return test.sent.at(-1)!;
  };

  it('follows the Record-Routes in order, by loose routing', async () => {
    const bye = await byeOf(['Record-Route: <sip:198.51.100.1:5070;lr>, <sip:198.51.100.2;lr>', 'Record-Route: <sip:p3.example;lr>']);
    expect(bye.text.split('\r\n').filter((line) => /^(BYE|Route)/.test(line))).toEqual([
      'BYE sip:caller@192.0.2.10:5062 SIP/2.0',
      'Route: <sip:198.51.100.1:5070;lr>',
      'Route: <sip:198.51.100.2;lr>',
      'Route: <sip:p3.example;lr>',
    ]);
    expect(bye.to).toEqual({ address: '198.51.100.1', port: 5070 });
  });

  it('gives a strict router the Request-URI', async () => {
    const bye = await byeOf(['Record-Route: <sip:198.51.100.1>', 'Record-Route: <sip:198.51.100.2;lr>']);
    expect(bye.text.split('\r\n').filter((line) => /^(BYE|Route)/.test(line))).toEqual([
      'BYE sip:198.51.100.1 SIP/2.0',
      'Route: <sip:198.51.100.2;lr>',
      'Route: <sip:caller@192.0.2.10:5062>',
    ]);
    expect(bye.to).toEqual({ address: '198.51.100.1', port: 5060 });
  });

  it('goes where the INVITE came from when the Contact names a host', async () => {
    expect((await byeOf([], '<sip:caller@phone.example>')).to).toEqual({ address: '192.0.2.10', port: 5062 });
  });
});

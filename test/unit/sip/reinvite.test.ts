import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReofferMachine } from '../../../src/sip/embedded/reoffer-machine.ts';
import type { IncomingRefer } from '../../../src/sip/engine.ts';
import { ANSWER, answeredCall, EngineUnderTest, header, OFFER, responseTo } from './engine-under-test.ts';
import { record } from './recorder.ts';

/** What a promise came to, once the microtasks have run. */
async function outcome(promise: Promise<string>): Promise<string> {
  return promise.catch((error: { code: string }) => error.code);
}

const withSdp = (response: string): string =>
  response.replace(
    'Content-Length: 0\r\n\r\n',
    `Content-Type: application/sdp\r\nContact: <sip:moved@192.0.2.10:5066>\r\nContent-Length: ${ANSWER.length}\r\n\r\n${ANSWER}`,
  );

describe('a re-INVITE of ours', () => {
  it('brings the answer, is acknowledged once for each copy of the 200, and moves the target', async () => {
    const test = await EngineUnderTest.start();
    const { call } = answeredCall(test);
    const answer = call.reinvite!(OFFER);
    const invite = test.sent.at(-1)!;
    expect([invite.what, invite.text.endsWith(OFFER), header(invite.text, 'CSeq')]).toEqual(['INVITE', true, '1 INVITE']);
    expect(header(invite.text, 'Contact')).toBe('<sip:192.0.2.1:5060>');
    test.receive(responseTo(invite.text, 100));
    const ok = withSdp(responseTo(invite.text, 200));
    const [ack] = test.exchange(ok);
    expect(await answer).toBe(ANSWER);
    expect([ack?.what, header(ack!.text, 'CSeq'), ack?.to.port]).toEqual(['ACK', '1 ACK', 5066]);
    expect(test.exchange(ok).map(({ what }) => what)).toEqual(['ACK']);
    call.hangup();
    const bye = test.sent.at(-1)!;
    expect([bye.text.split('\r\n')[0], header(bye.text, 'CSeq')]).toEqual(['BYE sip:moved@192.0.2.10:5066 SIP/2.0', '2 BYE']);
  });

  it('waits for the ACK of our 200, and a second one for the first', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test, {}, false);
    const one = call.reinvite!(OFFER);
    const two = call.reinvite!(OFFER);
    expect(await outcome(call.reinvite!(OFFER))).toBe('ERR_INVALID_STATE');
    expect(test.sent.at(-1)?.what).toBe('200');
    test.receive(inDialog({ method: 'ACK' }));
    const first = test.sent.at(-1)!;
    expect(header(first.text, 'CSeq')).toBe('1 INVITE');
    test.receive(withSdp(responseTo(first.text, 200)));
    const second = test.sent.at(-1)!;
    expect(header(second.text, 'CSeq')).toBe('2 INVITE');
    test.receive(withSdp(responseTo(second.text, 200)));
    expect([await one, await two]).toEqual([ANSWER, ANSWER]);
  });

  it('that is refused leaves the call as it was', async () => {
    const test = await EngineUnderTest.start();
    const { call, ends } = answeredCall(test);
    for (const status of [488, 500, 603, 401]) {
      const answer = call.reinvite!(OFFER);
      const [ack] = test.exchange(responseTo(test.sent.at(-1)!.text, status));
      expect([await outcome(answer), ack?.what]).toEqual(['ERR_BAD_OFFER', 'ACK']);
    }
    const unanswered = call.reinvite!(OFFER);
    test.receive(responseTo(test.sent.at(-1)!.text, 200));
    expect(await outcome(unanswered)).toBe('ERR_BAD_OFFER');
    expect(ends).toEqual([]);
  });

  it('that the peer does not know ends the call, with a BYE for whoever does', async () => {
    for (const status of [408, 481]) {
      const test = await EngineUnderTest.start();
      const { call, ends } = answeredCall(test);
      const answer = call.reinvite!(OFFER);
      test.receive(responseTo(test.sent.at(-1)!.text, status));
      expect([await outcome(answer), ends, test.sent.at(-1)?.what]).toEqual(['ERR_TIMEOUT', ['dialog_lost'], 'BYE']);
    }
  });

  it('that nobody answers ends the call after 32 s', async () => {
    const test = await EngineUnderTest.start();
    const { call, ends } = answeredCall(test);
    const answer = call.reinvite!(OFFER);
    test.clock.advance(31_999);
    expect(ends).toEqual([]);
    test.clock.advance(1);
    expect([await outcome(answer), ends]).toEqual(['ERR_TIMEOUT', ['dialog_lost']]);
  });

  it('that the peer only thinks about ends the call after two minutes and leaves nothing', async () => {
    const test = await EngineUnderTest.start();
    const { call, ends } = answeredCall(test);
    const answer = call.reinvite!(OFFER);
    test.receive(responseTo(test.sent.at(-1)!.text, 183));
    test.clock.advance(119_999);
    expect(ends).toEqual([]);
    test.clock.advance(1);
    expect([await outcome(answer), ends]).toEqual(['ERR_TIMEOUT', ['dialog_lost']]);
    test.clock.advance(64_000);
    expect(await test.count('sip_transactions')).toBe(0);
  });

  it('dies with the call, and its late 200 is acknowledged all the same', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog, ends } = answeredCall(test);
    const answer = call.reinvite!(OFFER);
    const invite = test.sent.at(-1)!;
    test.receive(inDialog({ method: 'BYE', cseq: 2 }));
    expect([await outcome(answer), ends]).toEqual(['ERR_INVALID_STATE', ['bye']]);
    expect(test.exchange(withSdp(responseTo(invite.text, 200))).map(({ what }) => what)).toEqual(['ACK']);
    expect(await outcome(call.reinvite!(OFFER))).toBe('ERR_INVALID_STATE');
    test.clock.advance(64_000);
    expect(await test.count('sip_transactions')).toBe(0);
  });

  it('goes by UPDATE only to a peer that allows it', async () => {
    const test = await EngineUnderTest.start();
    expect(await outcome(answeredCall(test).call.update!(OFFER))).toBe('ERR_INVALID_STATE');
    const { call } = answeredCall(test, { callId: 'two', headers: ['Allow: INVITE, ACK, UPDATE, BYE'] });
    const answer = call.update!(OFFER);
    const update = test.sent.at(-1)!;
    expect(update.what).toBe('UPDATE');
    expect(test.exchange(withSdp(responseTo(update.text, 200)))).toEqual([]);
    expect(await answer).toBe(ANSWER);
  });
});

describe('glare', () => {
  it('refuses the peer with 491 while ours is under way, and its 491 makes us wait', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    call.onOffer = () => ANSWER;
    const answer = call.reinvite!(OFFER);
    const invite = test.sent.at(-1)!;
    expect(test.exchange(inDialog({ cseq: 2 })).map(({ what }) => what)).toEqual(['491']);
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 3, body: OFFER })).map(({ what }) => what)).toEqual(['491']);
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 4 })).map(({ what }) => what)).toEqual(['200']);
    expect(test.exchange(responseTo(invite.text, 491)).map(({ what }) => what)).toEqual(['ACK']);
    expect(test.exchange(inDialog({ cseq: 5 })).map(({ what }) => what)).toEqual(['200']); // it comes again while we wait
    const before = test.sent.length;
    test.clock.advance(2000);
    expect(test.sent.slice(before).every(({ what }) => what !== 'INVITE')).toBe(true); // not before the peer's own is done
    const [again] = test.exchange(inDialog({ method: 'ACK', cseq: 5 }));
    expect([again?.what, header(again!.text, 'CSeq')]).toEqual(['INVITE', '2 INVITE']);
    test.receive(withSdp(responseTo(again!.text, 200)));
    expect(await answer).toBe(ANSWER);
  });

  it('makes the owner of the Call-ID wait 2.1 to 4 s and the other up to 2 s, in steps of 10 ms', () => {
    fc.assert(
      fc.property(fc.boolean(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (ownsCallId, chance) => {
        const { clock, log, machine, run } = record(new ReofferMachine({ ownsCallId, random: () => chance, isFree: () => true }));
        run((now) => machine.ask(now));
        run((now) => machine.handleFinal(now, 'pending'));
        clock.advance(5000);
        const wait = log[1]![0];
        expect(log.map(([, what]) => what)).toEqual(['send', 'send']);
        expect(wait % 10).toBe(0);
        expect(wait).toBeGreaterThanOrEqual(ownsCallId ? 2100 : 0);
        expect(wait).toBeLessThanOrEqual(ownsCallId ? 4000 : 2000);
      }),
    );
  });

  it('is tried six times and no more', async () => {
    const test = await EngineUnderTest.start();
    const { call, ends } = answeredCall(test);
    const answer = outcome(call.reinvite!(OFFER));
    for (let i = 0; i < 20; i += 1) {
      const invite = test.sent.at(-1)!;
      if (invite.what === 'INVITE') test.receive(responseTo(invite.text, 491));
      test.clock.advance(2000);
    }
    const numbers = test.sent.filter(({ what }) => what === 'INVITE').map(({ text }) => header(text, 'CSeq'));
    expect([...new Set(numbers)]).toEqual([1, 2, 3, 4, 5, 6].map((number) => `${number} INVITE`));
    expect([await answer, ends]).toEqual(['ERR_BAD_OFFER', []]);
  });
});

describe('our BYE', () => {
  /** Requests with a number above that of the BYE. */
  const afterBye = ({ sent }: EngineUnderTest): string[] => {
    const number = (text: string): number => Number(header(text, 'CSeq')?.split(' ')[0]);
    const bye = sent.find(({ what }) => what === 'BYE');
    return sent.filter(({ what, text }) => !/^\d/.test(what) && number(text) > number(bye!.text)).map(({ what }) => what);
  };

  it('is the last request in its dialog: it would come too late after one with a higher number', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test, { headers: ['Supported: timer', 'Allow: INVITE, UPDATE'] });
    const refers: unknown[] = [];
    call.onRefer = (refer) => refers.push(refer) > 0;
    test.receive(inDialog({ method: 'REFER', cseq: 2, headers: ['Refer-To: <sip:desk@192.0.2.50>'] }));
    const glare = outcome(call.reinvite!(OFFER));
    test.receive(responseTo(test.sent.at(-1)!.text, 491));
    call.hangup();
    expect(await glare).toBe('ERR_INVALID_STATE');
    expect(await outcome(call.reinvite!(OFFER))).toBe('ERR_INVALID_STATE');
    expect(await outcome(call.update!(OFFER))).toBe('ERR_INVALID_STATE');
    expect(() => call.refer!('sip:desk@192.0.2.50', () => undefined)).toThrow();
    call.info!({ contentType: 'application/dtmf-relay', body: 'Signal=1' });
    (refers[0] as IncomingRefer).notify(200);
    const [refused] = test.exchange(inDialog({ method: 'REFER', cseq: 3, headers: ['Refer-To: <sip:desk@192.0.2.50>'] }));
    expect(refused?.what).toBe('481');
    test.clock.advance(31_000);
    expect(afterBye(test)).toEqual([]);
  });

  it('that waited for the ACK takes the place of the re-INVITE that waited as well', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test, {}, false);
    const answer = outcome(call.reinvite!(OFFER));
    call.hangup();
    expect(test.exchange(inDialog({ method: 'ACK', cseq: 1 })).map(({ what }) => what)).toEqual(['BYE']);
    expect(await answer).toBe('ERR_INVALID_STATE');
    test.clock.advance(31_000);
    expect(afterBye(test)).toEqual([]);
  });
});

describe('10,000 re-INVITEs', () => {
  it('are all answered, and leave one call', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog, ends } = answeredCall(test);
    call.onOffer = () => ANSWER;
    let answered = 0;
    for (let cseq = 2; cseq < 10_002; cseq += 1) {
      const sent = test.exchange(inDialog({ cseq }));
      answered += sent.filter(({ what }) => what === '200').length;
      test.receive(inDialog({ method: 'ACK', cseq }));
      test.sent.length = 0;
      test.clock.advance(10);
    }
    expect([answered, ends]).toEqual([10_000, []]);
    expect(await test.count('sip_transactions')).toBeLessThanOrEqual(3201); // those of the last 32 s
    test.clock.advance(33_000);
    expect(await test.count('sip_transactions')).toBe(0);
    expect(await test.count('sip_dialogs')).toBe(1);
  }, 60_000);
});

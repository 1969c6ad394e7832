import { describe, expect, it } from 'vitest';
import { ANSWER, answeredCall, EngineUnderTest, OFFER, request, responseTo, toTagOf } from './engine-under-test.ts';

describe('an INVITE without an offer', () => {
  const lateCall = async () => {
    const test = await EngineUnderTest.start();
    const opened = answeredCall(test, { body: '' }, false);
    const answers: string[] = [];
    const acks: number[] = [];
    opened.call.onAnswer = (answer) => {
      answers.push(answer);
      return answer === ANSWER;
    };
    opened.call.onAck = () => void acks.push(test.clock.now());
    return { test, answers, acks, ...opened };
  };

  it('is answered with our offer, and the answer comes with the ACK, before it counts', async () => {
    const { test, answers, acks, call, inDialog, ends } = await lateCall();
    expect(test.sent.at(-1)?.text.endsWith(ANSWER)).toBe(true);
    test.clock.advance(100);
    test.receive(inDialog({ method: 'ACK', body: ANSWER }));
    test.receive(inDialog({ method: 'ACK', body: ANSWER })); // a copy
    expect([answers, acks, call.acknowledged, ends]).toEqual([[ANSWER], [100], true, []]);
  });

  it('ends by BYE when its ACK brings no answer, one that cannot be used, or one that breaks the handler', async () => {
    for (const body of ['', OFFER, 'broken']) {
      const { test, acks, call, inDialog, ends } = await lateCall();
      if (body === 'broken') {
        call.onAnswer = () => {
          throw new Error('broken');
        };
      }
      test.receive(inDialog({ method: 'ACK', body }));
      expect([test.sent.at(-1)?.what, acks, ends]).toEqual(['BYE', [], ['no_answer']]);
    }
  });

  it('without a handler for answers is ended too: nobody would know where media goes', async () => {
    const { test, call, inDialog, ends } = await lateCall();
    call.onAnswer = undefined;
    test.receive(inDialog({ method: 'ACK', body: ANSWER }));
    expect([test.sent.at(-1)?.what, ends]).toEqual(['BYE', ['no_answer']]);
  });

  it('has its offer under way until the ACK: another one gets 491', async () => {
    const { test, call, inDialog } = await lateCall();
    call.onOffer = () => ANSWER;
    expect(test.exchange(inDialog({ cseq: 2 })).map(({ what }) => what)).toEqual(['491']);
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 3, body: OFFER })).map(({ what }) => what)).toEqual(['491']);
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 4 })).map(({ what }) => what)).toEqual(['200']);
    test.receive(inDialog({ method: 'ACK', body: ANSWER }));
    expect(test.exchange(inDialog({ cseq: 5, body: OFFER })).map(({ what }) => what)).toEqual(['200']);
  });
});

describe('a re-INVITE without an offer', () => {
  it('gets our offer, and its ACK the answer', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog, ends } = answeredCall(test);
    const answers: string[] = [];
    call.onOfferWanted = () => OFFER;
    call.onAnswer = (answer) => {
      answers.push(answer);
      return true;
    };
    const [ok] = test.exchange(inDialog({ cseq: 2, body: '' }).replace('Content-Type: application/sdp\r\n', ''));
    expect([ok?.what, ok?.text.endsWith(OFFER)]).toEqual(['200', true]);
    test.receive(inDialog({ method: 'ACK', cseq: 2, body: ANSWER }));
    expect([answers, ends]).toEqual([[ANSWER], []]);
    test.exchange(inDialog({ cseq: 3, body: '' }));
    test.receive(inDialog({ method: 'ACK', cseq: 3 }));
    expect([test.sent.at(-1)?.what, ends]).toEqual(['BYE', ['no_answer']]);
  });

  it('is refused when nobody offers, or the application refuses', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog, ends } = answeredCall(test);
    expect(test.exchange(inDialog({ cseq: 2, body: '' })).map(({ what }) => what)).toEqual(['488']);
    call.onOfferWanted = () => ({ status: 480 });
    expect(test.exchange(inDialog({ cseq: 3, body: '' })).map(({ what }) => what)).toEqual(['480']);
    expect(ends).toEqual([]);
  });

  it('that arrives before the ACK of the first one replaces what is repeated', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request());
    const call = test.invites[0]!.answer(ANSWER);
    const toTag = toTagOf(test.sent.at(-1)!.text);
    call.onOffer = () => ANSWER;
    expect(test.exchange(request({ cseq: 2, toTag })).map(({ what }) => what)).toEqual(['200']);
    test.receive(request({ method: 'ACK', cseq: 2, toTag }));
    test.clock.advance(60_000);
    expect([call.acknowledged, test.sent.filter(({ what }) => what === '200')]).toEqual([true, expect.objectContaining({ length: 2 })]);
    expect(responseTo(test.sent[0]!.text, 200)).toContain('SIP/2.0 200');
  });
});

import { describe, expect, it } from 'vitest';
import { parseMessage, type SipResponse } from '../../../src/sip/embedded/message.ts';
import { ReliableReceiver } from '../../../src/sip/embedded/reliable-receiver.ts';
import { ANSWER, EngineUnderTest, header, OFFER, type RequestParts, request, toTagOf } from './engine-under-test.ts';

const required = ['Require: 100rel'];
const supported = ['Supported: 100rel'];

/** A caller that knows reliable provisional responses, and what it takes to acknowledge the last one. */
async function invited(parts: RequestParts) {
  const test = await EngineUnderTest.start();
  test.receive(request(parts));
  const invite = test.invites[0]!;
  const cancels: number[] = [];
  invite.onCancel = () => void cancels.push(test.clock.now());
  let cseq = 1;
  const inDialog = (more: RequestParts): string => {
    cseq += 1;
    const toTag = toTagOf(test.sent.find(({ what }) => what !== '100')!.text);
    return request({ ...parts, headers: [], body: '', toTag, cseq, ...more });
  };
  const prack = (response: string, more: RequestParts & { rack?: string } = {}) =>
    test.exchange(inDialog({ method: 'PRACK', headers: [`RAck: ${more.rack ?? `${header(response, 'RSeq')} 1 INVITE`}`], ...more }));
  return { test, invite, cancels, inDialog, prack, last: () => test.sent.at(-1)! };
}

const times = (test: EngineUnderTest, what: string): number[] => test.sent.filter((each) => each.what === what).map(({ at }) => at);

describe('a caller that requires 100rel', () => {
  it('hears ringing reliably: repeated from T1 without a cap until the PRACK, which gets 200', async () => {
    const { test, invite, prack, last } = await invited({ headers: required });
    invite.ring();
    const ringing = last();
    expect([ringing.what, header(ringing.text, 'Require'), Number(header(ringing.text, 'RSeq')) > 0]).toEqual(['180', '100rel', true]);
    test.clock.advance(16_000);
    expect(times(test, '180')).toEqual([0, 500, 1500, 3500, 7500, 15_500]);
    expect(prack(ringing.text).map(({ what }) => what)).toEqual(['200']);
    test.clock.advance(30_000);
    expect(times(test, '180')).toHaveLength(6);
    const call = invite.answer(ANSWER);
    expect([last().what, call.acknowledged]).toEqual(['200', false]);
  });

  it('gets 481 for a PRACK of something else', async () => {
    const { invite, prack, last } = await invited({ headers: required });
    invite.ring();
    const ringing = last().text;
    const rseq = Number(header(ringing, 'RSeq'));
    for (const rack of [`${rseq + 1} 1 INVITE`, `${rseq} 2 INVITE`, `${rseq} 1 OPTIONS`, `${rseq}`, 'x 1 INVITE', '']) {
      expect([rack, prack(ringing, { rack }).map(({ what }) => what)]).toEqual([rack, ['481']]);
    }
    expect(prack(ringing).map(({ what }) => what)).toEqual(['200']);
    expect(prack(ringing).map(({ what }) => what)).toEqual(['481']); // a second request, not a repeat
  });

  it('is offered nothing new while our 200 waits for the PRACK of early media, nor before its ACK', async () => {
    const { test, invite, prack, inDialog, last } = await invited({ headers: [...required, 'Allow: INVITE, UPDATE'] });
    invite.progress!(ANSWER);
    const early = last().text;
    const call = invite.answer(ANSWER);
    call.reinvite!(OFFER).catch(() => undefined);
    call.update!(OFFER).catch(() => undefined);
    expect(last().text).toBe(early);
    expect(prack(early).map(({ what }) => what)).toEqual(['200', '200']);
    expect(test.exchange(inDialog({ method: 'ACK', cseq: 1 })).map(({ what }) => what)).toEqual(['INVITE']);
  });

  it('is refused with 504 after 32 s without a PRACK', async () => {
    const { test, invite, cancels } = await invited({ headers: required });
    invite.ring();
    test.clock.advance(31_999);
    expect(cancels).toEqual([]);
    test.clock.advance(1);
    expect([cancels, test.sent.at(-1)?.what]).toEqual([[32_000], '504']);
    test.clock.advance(64_000);
    expect([await test.count('sip_transactions'), await test.count('sip_dialogs')]).toEqual([0, 0]);
  });

  it('gets the second response only after the PRACK of the first', async () => {
    const { test, invite, prack, last } = await invited({ headers: required });
    invite.ring();
    invite.progress!(ANSWER);
    const ringing = last().text;
    expect(times(test, '183')).toEqual([]);
    const [, early] = prack(ringing); // the machine sends the next one once the PRACK is answered
    expect([early?.what, Number(header(early!.text, 'RSeq'))]).toEqual(['183', Number(header(ringing, 'RSeq')) + 1]);
  });

  it('gets its final answer at once when only ringing is unacknowledged, and a late PRACK is known', async () => {
    const { test, invite, prack, last } = await invited({ headers: required });
    invite.ring();
    const ringing = last().text;
    invite.answer(ANSWER);
    expect(last().what).toBe('200');
    expect(prack(ringing).map(({ what }) => what)).toEqual(['200']);
    expect(prack(ringing).map(({ what }) => what)).toEqual(['481']);
    test.clock.advance(10_000);
    expect(times(test, '180')).toEqual([0]);
  });
});

describe('early media', () => {
  it('goes as a plain 183 to a caller that knows no 100rel, and without SDP where it would be an offer', async () => {
    const { test, invite, last } = await invited({});
    invite.progress!(ANSWER);
    expect([last().what, last().text.endsWith(ANSWER), header(last().text, 'RSeq')]).toEqual(['183', true, undefined]);
    test.clock.advance(10_000);
    expect(times(test, '183')).toEqual([0]);
    const late = await invited({ body: '' });
    late.invite.progress!(OFFER);
    expect([late.last().what, header(late.last().text, 'Content-Length')]).toEqual(['183', '0']);
  });

  it('holds the 200 back until its PRACK is in', async () => {
    const { test, invite, prack, last } = await invited({ headers: supported });
    invite.ring();
    expect(header(last().text, 'RSeq')).toBeUndefined();
    invite.progress!(ANSWER);
    const early = last().text;
    const ends: string[] = [];
    const call = invite.answer(OFFER);
    call.onEnd = (end) => void ends.push(end);
    expect(last().what).toBe('183');
    test.clock.advance(400);
    const [, ok] = prack(early);
    expect([ok?.what, ok?.text.endsWith(ANSWER)]).toEqual(['200', true]); // what was agreed on stands
    expect(ends).toEqual([]);
    test.clock.advance(500);
    expect(times(test, '200').filter((at) => at === 900)).toHaveLength(1);
  });

  it('that was answered and is cancelled before its PRACK ends the call as hung up', async () => {
    const branch = 'z9hG4bKearly';
    const { test, invite, cancels } = await invited({ headers: supported, branch });
    invite.progress!(ANSWER);
    const ends: string[] = [];
    invite.answer(ANSWER).onEnd = (end) => void ends.push(end);
    expect(test.exchange(request({ method: 'CANCEL', branch })).map(({ what }) => what)).toEqual(['200', '487']);
    expect([ends, cancels]).toEqual([['bye'], []]);
    test.clock.advance(64_000);
    expect([await test.count('sip_transactions'), await test.count('sip_dialogs')]).toEqual([0, 0]);
  });

  it('that was answered and is never acknowledged ends with 504', async () => {
    const { test, invite } = await invited({ headers: supported });
    invite.progress!(ANSWER);
    const ends: string[] = [];
    invite.answer(ANSWER).onEnd = (end) => void ends.push(end);
    test.clock.advance(32_000);
    expect([ends, test.sent.some(({ what }) => what === '504'), test.sent.some(({ what }) => what === 'BYE')]).toEqual([
      ['no_ack'],
      true,
      false,
    ]);
    test.clock.advance(64_000);
    expect([await test.count('sip_transactions'), await test.count('sip_dialogs')]).toEqual([0, 0]);
  });

  it('of an INVITE without an offer is our offer, and the PRACK brings the answer', async () => {
    const { test, invite, cancels, prack, last } = await invited({ headers: required, body: '' });
    invite.ring(); // cannot be said: the first reliable response must bring the offer
    expect(test.sent.map(({ what }) => what)).toEqual(['100']);
    const answers: string[] = [];
    invite.onAnswer = (answer) => answers.push(answer) > 0;
    invite.progress!(OFFER);
    expect(prack(last().text, { body: ANSWER }).map(({ what }) => what)).toEqual(['200']);
    expect([answers, cancels]).toEqual([[ANSWER], []]);
    const call = invite.answer(OFFER);
    expect(header(last().text, 'Content-Length')).toBe('0'); // all is agreed on already
    const toTag = toTagOf(last().text);
    test.receive(request({ method: 'ACK', toTag }));
    expect(call.acknowledged).toBe(true);
  });

  it('of an INVITE without an offer whose PRACK brings no answer refuses the call', async () => {
    const { test, invite, cancels, prack, last } = await invited({ headers: required, body: '' });
    invite.onAnswer = () => true;
    invite.progress!(OFFER);
    expect(prack(last().text).map(({ what }) => what)).toEqual(['200', '488']);
    expect(cancels).toEqual([0]);
    expect(await test.count('sip_dialogs')).toBe(0);
  });

  it('may be changed by the caller in a PRACK and an UPDATE once it is agreed on', async () => {
    const { test, invite, inDialog, prack, last } = await invited({ headers: supported });
    invite.progress!(ANSWER);
    const early = last().text;
    expect(test.exchange(inDialog({ method: 'UPDATE', body: OFFER })).map(({ what }) => what)).toEqual(['500']);
    invite.onOffer = () => ANSWER;
    const [ok] = prack(early, { body: OFFER });
    expect([ok?.what, ok?.text.endsWith(ANSWER)]).toEqual(['200', true]);
    const [updated] = test.exchange(inDialog({ method: 'UPDATE', body: OFFER }));
    expect([updated?.what, updated?.text.endsWith(ANSWER)]).toEqual(['200', true]);
    invite.onOffer = undefined;
    expect(test.exchange(inDialog({ method: 'UPDATE', body: OFFER })).map(({ what }) => what)).toEqual(['488']);
  });
});

describe('the receiving end', () => {
  const response = (rseq: number, require = '100rel'): SipResponse =>
    parseMessage(
      Buffer.from(`SIP/2.0 183 P\r\nCSeq: 7 INVITE\r\nRequire: ${require}\r\nRSeq: ${rseq}\r\nContent-Length: 0\r\n\r\n`),
    ) as SipResponse;

  it('acknowledges each once and in order', () => {
    const receiver = new ReliableReceiver();
    expect(receiver.take(response(5, 'timer'))).toEqual({ type: 'plain' });
    expect(receiver.take(response(5))).toEqual({ type: 'acknowledge', rack: '5 7 INVITE' });
    expect(receiver.take(response(5))).toEqual({ type: 'drop' });
    expect(receiver.take(response(7))).toEqual({ type: 'drop' });
    expect(receiver.take(response(6))).toEqual({ type: 'acknowledge', rack: '6 7 INVITE' });
  });
});

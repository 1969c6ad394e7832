import { describe, expect, it } from 'vitest';
import type { Call, Refusal } from '../../../src/sip/engine.ts';
import { ANSWER, answeredCall, EngineUnderTest, header, OFFER, responseTo } from './engine-under-test.ts';

/* The answer to an offer in a dialog may be somebody else's to give, and then it takes its time. */

/** Answers when the test says so. */
function slowAnswers(call: Call): { readonly answer: (answer: string | Refusal) => Promise<void>; fail(): Promise<void>; count(): number } {
  const waiting: { resolve(answer: string | Refusal): void; reject(error: Error): void }[] = [];
  let count = 0;
  call.onOffer = () => {
    count += 1;
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };
  return {
    answer: (answer) => passed(waiting.shift()?.resolve(answer)),
    fail: () => passed(waiting.shift()?.reject(new Error('broken'))),
    count: () => count,
  };
}

/** What follows from a promise has happened. */
function passed(_settled: unknown): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('an offer whose answer takes its time', () => {
  it('in a re-INVITE is answered when it is there; a repeat meanwhile asks nobody again', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    const slow = slowAnswers(call);
    const invite = inDialog({ cseq: 2, branch: 'z9hG4bKslow' });
    expect(test.exchange(invite)).toEqual([]);
    test.clock.advance(1000);
    test.receive(invite);
    expect(slow.count()).toBe(1);
    const before = test.sent.length;
    await slow.answer(ANSWER);
    const [ok] = test.sent.slice(before);
    expect([ok?.what, ok?.text.endsWith(ANSWER)]).toEqual(['200', true]);
    test.clock.advance(500);
    expect(test.sent.at(-1)?.what).toBe('200');
    test.receive(inDialog({ method: 'ACK', cseq: 2 }));
    const after = test.sent.length;
    test.clock.advance(20_000);
    expect(test.sent.slice(after)).toEqual([]);
  });

  it('in an UPDATE is answered or refused as well, and a handler that fails is our fault', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    const slow = slowAnswers(call);
    const finals: (string | undefined)[] = [];
    const outcomes = [() => slow.answer(ANSWER), () => slow.answer({ status: 504, warning: 'gone' }), () => slow.fail()];
    for (const [index, outcome] of outcomes.entries()) {
      expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 2 + index, body: OFFER }))).toEqual([]);
      await outcome();
      finals.push(test.sent.at(-1)?.what);
    }
    expect(finals).toEqual(['200', '504', '500']);
  });

  it('puts another offer of the peer off with 500 and Retry-After; a refresh without one is answered', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    const slow = slowAnswers(call);
    test.receive(inDialog({ cseq: 2 }));
    for (const [cseq, method] of [
      [3, 'INVITE'],
      [4, 'UPDATE'],
    ] as const) {
      const [refusal] = test.exchange(inDialog({ method, cseq, body: OFFER }));
      expect(refusal?.what).toBe('500');
      expect(Number(header(refusal!.text, 'Retry-After'))).toBeLessThanOrEqual(10);
    }
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 5 })).map(({ what }) => what)).toEqual(['200']);
    expect(slow.count()).toBe(1);
    await slow.answer(ANSWER);
    expect(test.sent.at(-1)?.what).toBe('200');
  });

  it('lets offers of ours wait: for its refusal, or for the ACK of its 200', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog } = answeredCall(test);
    const slow = slowAnswers(call);
    for (const [cseq, answer] of [
      [2, { status: 488 }],
      [3, ANSWER],
    ] as const) {
      test.receive(inDialog({ cseq, branch: `z9hG4bKnumber${cseq}` }));
      const before = test.sent.length;
      const ours = call.reinvite!(OFFER).catch(() => undefined);
      expect(test.sent.slice(before)).toEqual([]);
      await slow.answer(answer);
      if (typeof answer === 'string') test.receive(inDialog({ method: 'ACK', cseq }));
      const invite = test.sent.at(-1)!;
      expect(invite.what).toBe('INVITE');
      test.receive(responseTo(invite.text, 488));
      await ours;
    }
  });

  it('is refused with 487 when either side ends the call, and the answer then comes too late', async () => {
    for (const who of ['peer', 'we'] as const) {
      const test = await EngineUnderTest.start();
      const { call, inDialog, ends } = answeredCall(test);
      const slow = slowAnswers(call);
      test.receive(inDialog({ cseq: 2 }));
      const before = test.sent.length;
      if (who === 'peer') test.receive(inDialog({ method: 'BYE', cseq: 3 }));
      else call.hangup();
      expect(test.sent.slice(before).map(({ what }) => what)).toEqual(who === 'peer' ? ['200', '487'] : ['487', 'BYE']);
      if (who === 'we') test.receive(responseTo(test.sent.at(-1)!.text, 200));
      expect(ends).toEqual([who === 'peer' ? 'bye' : 'hangup']);
      const after = test.sent.length;
      await slow.answer(ANSWER);
      expect(test.sent.length).toBe(after);
    }
  });
});

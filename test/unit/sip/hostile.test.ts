import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { seededRandom } from '../../support/random.ts';
import { ANSWER, answeredCall, EngineUnderTest, header, OFFER, request, responseTo } from './engine-under-test.ts';
import { answer, dial, dialling, last, SDP, TRUNK } from './outbound-under-test.ts';

/* Peers that are in a call and misuse it: each does ten thousand times what is legal once. */

const MANY = 10_000;

/** Nothing is left of the call but itself; the peer's transactions die within 32 s. */
async function expectOneCall(test: EngineUnderTest): Promise<void> {
  test.clock.advance(40_000);
  expect([await test.count('sip_transactions'), await test.count('sip_dialogs'), test.faults]).toEqual([0, 1, []]);
}

describe('a peer in a call', () => {
  it('that sends 10,000 re-INVITEs gets as many answers, holds a bounded number of transactions, and has its call', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog, ends } = answeredCall(test);
    let asked = 0;
    call.onOffer = () => {
      asked += 1;
      return ANSWER;
    };
    const startedAt = performance.now();
    let most = 0;
    let answers = 0;
    for (let n = 0; n < MANY; n += 1) {
      const cseq = n + 2;
      answers += test.exchange(inDialog({ method: 'INVITE', cseq, body: OFFER })).filter(({ what }) => what === '200').length;
      test.receive(inDialog({ method: 'ACK', cseq }));
      test.clock.advance(10);
      test.sent.length = 0;
      if (n % 1000 === 0) most = Math.max(most, await test.count('sip_transactions'));
    }
    expect([asked, answers, ends]).toEqual([MANY, MANY, []]);
    expect(most).toBeLessThanOrEqual(3300); // one a 10 ms, for 32 s
    console.log(`10,000 re-INVITEs: ${((performance.now() - startedAt) / MANY).toFixed(3)} ms each, ${most} transactions at most`);
    await expectOneCall(test);
  });

  it('that never acknowledges them gets one answer each and a BYE after 32 s, and nothing is left', async () => {
    const test = await EngineUnderTest.start({ maxTransactions: 5000 });
    const { call, inDialog, ends } = answeredCall(test);
    call.onOffer = () => ANSWER;
    const finals = new Map<string, number>();
    for (let n = 0; n < MANY; n += 1) {
      for (const { what } of test.exchange(inDialog({ method: 'INVITE', cseq: n + 2, body: OFFER })))
        finals.set(what, (finals.get(what) ?? 0) + 1);
    }
    expect(finals.get('200')).toBeLessThanOrEqual(5000);
    expect((finals.get('200') ?? 0) + (finals.get('503') ?? 0)).toBe(MANY);
    test.sent.length = 0;
    test.clock.advance(32_000);
    expect(ends).toEqual(['no_ack']);
    expect(test.sent.filter(({ what }) => what === '200').length).toBeLessThanOrEqual(11); // the newest alone is repeated
    test.clock.advance(70_000);
    expect([await test.count('sip_transactions'), await test.count('sip_dialogs')]).toEqual([0, 0]);
  });

  it('that sends 10,000 INFOs of garbage gets one answer each, and the application what has a body', async () => {
    const test = await EngineUnderTest.start();
    const random = seededRandom(4);
    const { call, inDialog, ends } = answeredCall(test);
    let told = 0;
    call.onInfo = () => {
      told += 1;
    };
    const types = ['application/dtmf-relay', 'application/dtmf', 'text/plain', 'x/y; z', '\0', 'multipart/mixed;boundary=--'];
    for (let n = 0; n < MANY; n += 1) {
      const body = Array.from({ length: Math.floor(random() * 60) }, () => String.fromCharCode(32 + Math.floor(random() * 200))).join('');
      const type = types[n % types.length] ?? '';
      const sent = test.exchange(inDialog({ method: 'INFO', cseq: n + 2, body }).replace('application/sdp', type));
      expect(sent.map(({ what }) => what)).toEqual(['200']);
      test.clock.advance(1);
    }
    expect(told).toBeGreaterThan(MANY * 0.9);
    expect(ends).toEqual([]);
    await expectOneCall(test);
  });

  it('that has us call nowhere 10,000 times dials nobody, whatever it names', async () => {
    const test = await EngineUnderTest.start({}, (clock) => ({ trunks: new TrunkBook(clock, [TRUNK]) }));
    const { call, inDialog, ends } = answeredCall(test);
    let asked = 0;
    call.onRefer = () => {
      asked += 1;
      return false; // as the switchboard does with who is not among the destinations
    };
    const targets = [
      '<sip:+88212345@192.0.2.9>',
      '<sip:nobody@somewhere.invalid>',
      'garbage',
      '<>',
      '<sip:a@b?Replaces=%00>',
      '<tel:+882>',
    ];
    const outcomes = new Map<string, number>();
    test.sent.length = 0;
    for (let n = 0; n < MANY; n += 1) {
      const headers = [`Refer-To: ${targets[n % targets.length]}`];
      for (const { what } of test.exchange(inDialog({ method: 'REFER', cseq: n + 2, headers })))
        outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
      test.clock.advance(1);
    }
    expect([...outcomes.keys()].sort()).toEqual(['400', '603']);
    expect([(outcomes.get('400') ?? 0) + (outcomes.get('603') ?? 0), asked, ends]).toEqual([MANY, outcomes.get('603'), []]);
    await expectOneCall(test);
  });

  it('that wants a session of a second is told 422 each time, and one that answers with it is not refreshed in a storm', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 200, { sdp: SDP, headers: ['Session-Expires: 1;refresher=uac', 'Require: timer', 'Allow: UPDATE'] });
    for (let seconds = 0; seconds < 3600 && one.ends.length === 0; seconds += 1) {
      test.clock.advance(1000);
      const update = test.sent.at(-1);
      if (update?.what === 'UPDATE' && update.at > test.clock.now() - 1000)
        answer(test, update, 200, { headers: ['Session-Expires: 1;refresher=uac'] });
    }
    expect(one.ends).toEqual([]);
    expect(test.sent.filter(({ what }) => what === 'UPDATE').length).toBeLessThanOrEqual(81); // each 45 s
  });

  it('that asks for ever longer sessions by 422 is asked four times, and in a call six', async () => {
    const test = await dialling();
    const one = dial(test);
    for (let minSe = 200; one.failures.length === 0 && minSe < 5000; minSe *= 2)
      answer(test, one.invite(), 422, { headers: [`Min-SE: ${minSe}`] });
    expect([test.sent.filter(({ what }) => what === 'INVITE').length, one.failures.length]).toEqual([4, 1]);

    const inside = await EngineUnderTest.start();
    answeredCall(inside, { headers: ['Session-Expires: 90;refresher=uas', 'Supported: timer', 'Allow: UPDATE'] });
    inside.clock.advance(45_000);
    let minSe = 100;
    for (let sent = inside.sent.at(-1); sent?.what === 'UPDATE'; minSe *= 2) {
      [sent] = inside.exchange(responseTo(sent.text, 422).replace('Content-Length', `Min-SE: ${minSe}\r\nContent-Length`));
    }
    expect(inside.sent.filter(({ what }) => what === 'UPDATE')).toHaveLength(6);
  });

  it('that reports 10,000 times what became of a transfer tells the application 64 things at the most', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 200, { sdp: SDP });
    let news = 0;
    one.call().refer!('sip:desk@192.0.2.50', () => {
      news += 1;
    });
    answer(test, last(test, 'REFER'), 202);
    const ours = /;tag=(\S+)/.exec(header(one.invite().text, 'From') ?? '')?.[1];
    for (let n = 0; n < MANY; n += 1) {
      const text = request({
        method: 'NOTIFY',
        uri: 'sip:x@192.0.2.1',
        cseq: n + 1,
        callId: header(one.invite().text, 'Call-ID') ?? '',
        fromTag: 'peer',
        toTag: ours,
        headers: ['Event: refer', 'Subscription-State: active', 'X-Type: x'],
        body: `SIP/2.0 1${n % 90 < 10 ? '0' : ''}${n % 90} Trying ${n}\r\n`,
      }).replace('application/sdp', 'message/sipfrag');
      expect(test.exchange(text, TRUNK.peer).map(({ what }) => what)).toEqual(['200']);
      test.clock.advance(1);
    }
    expect(news).toBeLessThanOrEqual(64);
    await expectOneCall(test);
  });
});

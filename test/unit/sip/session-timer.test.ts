import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMessage } from '../../../src/sip/embedded/message.ts';
import { agreeInterval, readSessionExpires } from '../../../src/sip/embedded/session-expires.ts';
import { SessionTimer } from '../../../src/sip/embedded/session-timer.ts';
import { ANSWER, answeredCall, EngineUnderTest, header, OFFER, request, responseTo } from './engine-under-test.ts';
import { record } from './recorder.ts';

function headersOf(...lines: string[]) {
  const message = parseMessage(Buffer.from(['OPTIONS sip:a@b SIP/2.0', ...lines, '', ''].join('\r\n')));
  return message!.headers;
}

describe('the timer of a session (RFC 4028 §10)', () => {
  it('refreshes at half until the end, and waits for refreshes until a third before it, 32 s at the most', () => {
    const { clock, log, machine, run } = record(new SessionTimer());
    run((now) => machine.agree(now, { intervalS: 1800, refresher: 'us' }));
    clock.advance(2_000_000);
    expect(log).toEqual([
      [900_000, 'refresh'],
      [1_800_000, 'expired'],
    ]);
    const short = record(new SessionTimer());
    short.run((now) => short.machine.agree(now, { intervalS: 90, refresher: 'peer' }));
    short.clock.advance(200_000);
    expect(short.log).toEqual([[60_000, 'expired']]);
  });

  it('starts anew with each refresh and stops when none is agreed on', () => {
    const { clock, log, machine, run } = record(new SessionTimer());
    run((now) => machine.agree(now, { intervalS: 90, refresher: 'peer' }));
    clock.advance(59_999);
    run((now) => machine.agree(now, { intervalS: 90, refresher: 'peer' }));
    clock.advance(59_999);
    run((now) => machine.agree(now, undefined));
    clock.advance(1_000_000);
    expect(log).toEqual([]);
  });

  it('tries a refused refresh again at half of what is left, down to 10 s', () => {
    const { clock, log, machine, run } = record(new SessionTimer());
    run((now) => machine.agree(now, { intervalS: 180, refresher: 'us' }));
    for (let i = 0; i < 10; i += 1) {
      clock.advance(clock.nextTimer()! - clock.now());
      if (log.at(-1)?.[1] === 'refresh') run((now) => machine.refused(now));
      else break;
    }
    expect(log).toEqual([
      [90_000, 'refresh'],
      [135_000, 'refresh'],
      [157_500, 'refresh'],
      [168_750, 'refresh'],
      [180_000, 'expired'],
    ]);
  });

  it('tries a refresh again that nobody answers, for a minute or until the end, and tells when that is enough', () => {
    const tries = (intervalS: number, answerMs: number): unknown[] => {
      const { clock, log, machine, run } = record(new SessionTimer());
      run((now) => machine.agree(now, { intervalS, refresher: 'us' }));
      for (let again = true; again && log.at(-1)?.[1] !== 'expired'; ) {
        const refreshes = log.length;
        clock.advance(clock.nextTimer()! - clock.now());
        if (log.length === refreshes || log.at(-1)?.[1] !== 'refresh') continue;
        clock.advance(answerMs);
        run((now) => {
          again = machine.session !== undefined && machine.lost(now);
        });
        if (!again && machine.session) log.push([clock.now(), 'lost']);
      }
      return log;
    };
    expect(tries(1800, 32_000)).toEqual([
      [900_000, 'refresh'],
      [937_000, 'refresh'],
      [974_000, 'refresh'],
      [1_006_000, 'lost'],
    ]);
    expect(tries(90, 32_000)).toEqual([
      [45_000, 'refresh'],
      [82_000, 'refresh'],
      [90_000, 'expired'],
    ]);
    const refused = tries(1800, 0); // a connection that does not come up
    expect([refused.length, refused.at(-1)]).toEqual([14, [960_000, 'lost']]);
  });
});

describe('what a request asks for', () => {
  it('is read in both spellings, and anything else is malformed', () => {
    expect(readSessionExpires(headersOf('Session-Expires: 1800;refresher=uac'))).toEqual({ intervalS: 1800, refresher: 'uac' });
    expect(readSessionExpires(headersOf('x: 90 ; Refresher=UAS;foo=bar'))).toEqual({ intervalS: 90, refresher: 'uas' });
    expect(readSessionExpires(headersOf('x: 90;refresher=me'))).toEqual({ intervalS: 90, refresher: undefined });
    expect(readSessionExpires(headersOf())).toBeUndefined();
    for (const text of ['', 'x', '-1', '1.5', '90 90', '90;;', '99999999999', '90;a=1;a=2']) {
      expect([text, readSessionExpires(headersOf(`Session-Expires: ${text}`))]).toEqual([text, 'malformed']);
    }
    expect(readSessionExpires(headersOf('x: 90', 'Session-Expires: 90'))).toBe('malformed');
  });

  it('is agreed to: never shorter than 90 s or the peer’s least, nor longer than a day, whatever stands there', () => {
    const agreed = (...lines: string[]) => agreeInterval(headersOf(...lines), 1800, 90);
    expect(agreed('Session-Expires: 600', 'Supported: timer')).toEqual({ intervalS: 600, refresher: 'peer' });
    expect(agreed('Session-Expires: 600;refresher=uas', 'Supported: timer')).toEqual({ intervalS: 600, refresher: 'us' });
    expect(agreed('Session-Expires: 600;refresher=uac', 'Require: timer')).toEqual({ intervalS: 600, refresher: 'peer' });
    expect(agreed('Session-Expires: 600')).toEqual({ intervalS: 600, refresher: 'us' }); // a proxy asked for a peer that cannot
    expect(agreed('Session-Expires: 7200', 'Supported: timer')).toEqual({ intervalS: 1800, refresher: 'peer' });
    expect(agreed('Session-Expires: 7200', 'Min-SE: 3600', 'Supported: timer')).toEqual({ intervalS: 3600, refresher: 'peer' });
    expect(agreed('Supported: timer')).toEqual({ intervalS: 1800, refresher: 'us' });
    expect(agreed('Supported: replaces')).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(), fc.bigInt({ min: 0n, max: 10n ** 10n }), fc.integer({ min: 0, max: 7200 }), (asked, least, ours) => {
        const session = agreeInterval(headersOf(`x: ${asked}`, `Min-SE: ${least}`, 'k: timer'), ours, 90);
        expect(session?.intervalS).toBeGreaterThanOrEqual(90);
        expect(session?.intervalS).toBeLessThanOrEqual(86_400);
      }),
    );
  });
});

const withTimer = ['Supported: timer', 'Allow: INVITE, ACK, BYE, UPDATE'];

describe('a call with a session timer', () => {
  it('refuses less than 90 s with 422 and Min-SE, at once and inside the dialog', async () => {
    const test = await EngineUnderTest.start();
    for (let seconds = 0; seconds < 90; seconds += 1) {
      const [refusal] = test.exchange(request({ callId: `c${seconds}`, headers: [`Session-Expires: ${seconds}`, 'Supported: timer'] }));
      expect([refusal?.what, header(refusal!.text, 'Min-SE')]).toEqual(['422', '90']);
    }
    expect(test.exchange(request({ headers: ['x: nonsense'] })).map(({ text }) => text.split('\r\n')[0])).toEqual([
      'SIP/2.0 400 Bad Session-Expires',
    ]);
    const { inDialog, ends } = answeredCall(test);
    expect(test.exchange(inDialog({ method: 'UPDATE', cseq: 2, headers: ['x: 1'] })).map(({ what }) => what)).toEqual(['422']);
    expect(ends).toEqual([]);
    expect(await test.count('sip_transactions')).toBe(1);
  });

  it('that the peer refreshes lives, and ends a third before the end when it does not', async () => {
    const test = await EngineUnderTest.start();
    const { inDialog, ends } = answeredCall(test, { headers: ['Session-Expires: 90;refresher=uac', 'Supported: timer'] });
    const ok = test.sent.find(({ what }) => what === '200')!;
    expect([header(ok.text, 'Session-Expires'), header(ok.text, 'Require'), header(ok.text, 'Supported')]).toEqual([
      '90;refresher=uac',
      'timer',
      '100rel, replaces, timer',
    ]);
    test.clock.advance(45_000);
    const headers = ['Session-Expires: 90;refresher=uac', 'Supported: timer'];
    const [refreshed] = test.exchange(inDialog({ method: 'UPDATE', cseq: 2, headers }));
    expect(header(refreshed!.text, 'Session-Expires')).toBe('90;refresher=uac');
    test.clock.advance(59_999);
    expect(ends).toEqual([]);
    test.clock.advance(1);
    expect([ends, test.sent.at(-1)?.what, test.clock.now()]).toEqual([['session_expired'], 'BYE', 105_000]);
  });

  it('is refreshed by us with UPDATE at half, for hours', async () => {
    const test = await EngineUnderTest.start();
    const { ends } = answeredCall(test, { headers: ['Session-Expires: 1800;refresher=uas', ...withTimer] });
    const times: number[] = [];
    for (let i = 0; i < 32; i += 1) {
      test.clock.advance(900_000);
      const update = test.sent.at(-1)!;
      expect([update.what, header(update.text, 'Session-Expires'), header(update.text, 'Content-Length')]).toEqual([
        'UPDATE',
        '1800;refresher=uac',
        '0',
      ]);
      times.push(update.at);
      test.receive(responseTo(update.text, 200).replace('Content-Length', 'Session-Expires: 1800;refresher=uac\r\nContent-Length'));
    }
    expect(times).toEqual(Array.from({ length: 32 }, (_, i) => (i + 1) * 900_000)); // eight hours
    expect(ends).toEqual([]);
  });

  it('is refreshed with a re-INVITE of the same description when the peer knows no UPDATE, or refuses it', async () => {
    const test = await EngineUnderTest.start();
    const { ends } = answeredCall(test, { headers: ['Supported: timer'] });
    expect(header(test.sent.find(({ what }) => what === '200')!.text, 'Session-Expires')).toBe('1800;refresher=uas');
    test.clock.advance(900_000);
    const invite = test.sent.at(-1)!;
    expect([invite.what, invite.text.endsWith(ANSWER)]).toEqual(['INVITE', true]);
    expect(test.exchange(responseTo(invite.text, 200)).map(({ what }) => what)).toEqual(['ACK']);
    test.clock.advance(10_000_000); // the 200 agreed on no timer
    expect(ends).toEqual([]);

    answeredCall(test, { callId: 'two', headers: withTimer });
    test.clock.advance(900_000);
    test.receive(responseTo(test.sent.at(-1)!.text, 405));
    test.clock.advance(0);
    expect(test.sent.at(-1)?.what).toBe('INVITE');
  });

  it('ends at the end when every refresh is refused, and at once when the peer does not know the call', async () => {
    const test = await EngineUnderTest.start();
    const { ends } = answeredCall(test, { headers: withTimer });
    test.engine.onInvite = undefined;
    while (ends.length === 0 && test.clock.now() < 2_000_000) {
      const last = test.sent.at(-1)!;
      if (last.what === 'UPDATE' && last.at === test.clock.now()) test.receive(responseTo(last.text, 500));
      test.clock.advance(test.clock.nextTimer()! - test.clock.now());
    }
    expect([ends, test.clock.now()]).toEqual([['session_expired'], 1_800_000]);
    expect(test.sent.filter(({ what }) => what === 'UPDATE').length).toBeLessThan(10);

    const lost = await EngineUnderTest.start();
    const second = answeredCall(lost, { headers: withTimer });
    lost.clock.advance(900_000);
    lost.receive(responseTo(lost.sent.at(-1)!.text, 481));
    expect(second.ends).toEqual(['dialog_lost']);
  });

  it('asks for more after 422, and for no more than six times', async () => {
    const test = await EngineUnderTest.start();
    const { ends } = answeredCall(test, { headers: ['Session-Expires: 90;refresher=uas', ...withTimer] });
    test.clock.advance(45_000);
    const raised = (text: string): string => responseTo(text, 422).replace('Content-Length', 'Min-SE: 600\r\nContent-Length');
    const [again] = test.exchange(raised(test.sent.at(-1)!.text));
    expect([again?.what, header(again!.text, 'Session-Expires'), header(again!.text, 'Min-SE')]).toEqual([
      'UPDATE',
      '600;refresher=uac',
      '600',
    ]);
    let tries = 2;
    for (let last = again; last; tries += 1) last = test.exchange(raised(last.text))[0];
    expect(tries - 1).toBe(6);
    test.clock.advance(45_000);
    expect(ends).toEqual(['session_expired']);
  });

  it.each(['nothing', '408'])('lives on when its refresh of 90 s comes to %s and the next one is answered', async (what) => {
    const test = await EngineUnderTest.start();
    const { ends } = answeredCall(test, { headers: ['Session-Expires: 90;refresher=uas', ...withTimer] });
    test.clock.advance(45_000);
    if (what === '408') test.receive(responseTo(test.sent.at(-1)!.text, 408));
    test.clock.advance(what === '408' ? 5000 : 37_000);
    const again = test.sent.at(-1)!;
    expect([again.what, header(again.text, 'CSeq'), again.at, ends]).toEqual(['UPDATE', '2 UPDATE', what === '408' ? 50_000 : 82_000, []]);
    test.receive(responseTo(again.text, 200).replace('Content-Length', 'Session-Expires: 90;refresher=uac\r\nContent-Length'));
    test.clock.advance(44_999);
    expect(ends).toEqual([]);
    expect(await test.count('sip_dialogs')).toBe(1);
  });

  it('ends after three refreshes that nobody answers, and at once after one that gets 481', async () => {
    const test = await EngineUnderTest.start();
    const { ends } = answeredCall(test, { headers: withTimer });
    test.clock.advance(1_005_999);
    expect(ends).toEqual([]);
    test.clock.advance(100);
    expect([ends, new Set(test.sent.filter((each) => each.what === 'UPDATE').map((each) => header(each.text, 'CSeq'))).size]).toEqual([
      ['dialog_lost'],
      3,
    ]);
  });

  it('keeps the roles when we offer something new, and counts it as a refresh', async () => {
    const test = await EngineUnderTest.start();
    const { call, ends } = answeredCall(test, { headers: ['Session-Expires: 90;refresher=uac', 'Supported: timer'] });
    test.clock.advance(50_000);
    void call.reinvite!(OFFER).catch(() => undefined);
    const invite = test.sent.at(-1)!;
    expect(header(invite.text, 'Session-Expires')).toBe('90;refresher=uas');
    test.receive(responseTo(invite.text, 200).replace('Content-Length', 'Session-Expires: 90;refresher=uas\r\nContent-Length'));
    test.clock.advance(59_999);
    expect(ends).toEqual([]);
    test.clock.advance(1);
    expect(ends).toEqual(['session_expired']);
  });

  it('asks for none when told so, but takes part', async () => {
    const test = await EngineUnderTest.start({ sessionIntervalS: 0 });
    answeredCall(test, { headers: ['Supported: timer'] });
    expect(header(test.sent.find(({ what }) => what === '200')!.text, 'Session-Expires')).toBeUndefined();
    answeredCall(test, { callId: 'b', headers: ['Supported: timer', 'x: 4000000000'] });
    expect(header(test.sent.at(-1)!.text, 'Session-Expires')).toBe('86400;refresher=uac');
  });
});

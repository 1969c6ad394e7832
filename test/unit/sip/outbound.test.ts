import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import { header, OFFER } from './engine-under-test.ts';
import { answer, dial, dialling, fromPeer, last, reply, SDP, TRUNK } from './outbound-under-test.ts';

const code = (action: () => unknown): string => {
  try {
    action();
    return 'none';
  } catch (thrown) {
    return GatewayError.from(thrown).code;
  }
};

describe('a call of ours', () => {
  it('rings, is answered, and ends by our BYE', async () => {
    const test = await dialling();
    const one = dial(test, { from: '+15559999' });
    const invite = one.invite();
    expect(invite.to).toEqual(TRUNK.peer);
    expect(invite.text).toMatch(/^INVITE sip:\+15550001@192\.0\.2\.9:5060 SIP\/2\.0\r\n/);
    expect(header(invite.text, 'From')).toMatch(/^<sip:\+15559999@192\.0\.2\.1>;tag=\S{22}$/);
    expect(header(invite.text, 'To')).toBe('<sip:+15550001@192.0.2.9:5060>');
    expect(header(invite.text, 'CSeq')).toBe('1 INVITE');
    expect(header(invite.text, 'Supported')).toContain('100rel');
    expect(invite.text.endsWith(OFFER)).toBe(true);
    answer(test, invite, 100, { tag: '' });
    answer(test, invite, 180);
    answer(test, invite, 183, { sdp: SDP });
    expect(one.progress.map(({ status, sdp }) => [status, sdp])).toEqual([
      [180, undefined],
      [183, SDP],
    ]);
    expect(answer(test, invite, 200, { sdp: SDP })).toEqual(['ACK']);
    const ack = last(test, 'ACK');
    expect(ack.text).toMatch(/^ACK sip:peer@192\.0\.2\.9:5060 SIP\/2\.0\r\n/);
    expect(header(ack.text, 'CSeq')).toBe('1 ACK');
    expect(header(ack.text, 'To')).toContain(';tag=peer');
    expect(one.answers).toEqual([SDP]);
    expect(one.call().acknowledged).toBe(true);
    one.call().hangup({ q850: 16, text: 'Normal call clearing' });
    const bye = last(test, 'BYE');
    expect(header(bye.text, 'CSeq')).toBe('2 BYE');
    expect(header(bye.text, 'Reason')).toBe('Q.850;cause=16;text="Normal call clearing"');
    answer(test, bye, 200);
    expect(one.ends).toEqual(['hangup']);
    expect(await test.count('sip_dialogs')).toBe(0);
  });

  it('is ended by the peer’s BYE, and its re-INVITE reaches the call', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 200, { sdp: SDP });
    one.call().onOffer = (offer) => `${offer}a=ours\r\n`;
    expect(test.exchange(fromPeer(one.invite(), 'INVITE', 7, { body: OFFER }), TRUNK.peer)[0]?.text).toContain('a=ours');
    expect(test.exchange(fromPeer(one.invite(), 'BYE', 8), TRUNK.peer).map(({ what }) => what)).toEqual(['200']);
    expect(one.ends).toEqual(['bye']);
  });

  it('goes by the routes of the answer, the nearest first', async () => {
    const test = await dialling();
    const one = dial(test);
    const headers = ['Record-Route: <sip:192.0.2.77;lr>', 'Record-Route: <sip:192.0.2.9;lr>'];
    answer(test, one.invite(), 200, { sdp: SDP, headers, contact: '<sip:far@203.0.113.5:5090>' });
    const ack = last(test, 'ACK');
    expect(ack.text).toMatch(/^ACK sip:far@203\.0\.113\.5:5090 SIP\/2\.0\r\n/);
    expect([...ack.text.matchAll(/^Route: (.*)$/gm)].map(([, value]) => value?.trim())).toEqual([
      '<sip:192.0.2.9;lr>',
      '<sip:192.0.2.77;lr>',
    ]);
    expect(ack.to).toEqual({ address: '192.0.2.9', port: 5060 });
  });

  it('repeats the INVITE on Timer A and gives up after 32 s', async () => {
    const test = await dialling();
    const one = dial(test);
    test.clock.advance(32_000);
    expect(test.timeline).toEqual([0, 500, 1500, 3500, 7500, 15_500, 31_500].map((at) => [at, 'INVITE']));
    expect(one.failures).toEqual([{ cause: 'unreachable', status: 408, reason: 'no response' }]);
  });

  it.each([
    [486, 'busy'],
    [480, 'no_answer'],
    [404, 'not_found'],
    [603, 'declined'],
    [488, 'no_common_codec'],
    [503, 'unavailable'],
    [302, 'redirected'],
    [401, 'unauthorized'],
  ])('that is refused with %i failed as %s, with the Q.850 cause it was given', async (status, cause) => {
    const test = await dialling();
    const one = dial(test);
    const headers = ['Reason: SIP;cause=1, Q.850 ;cause=17;text="User busy"'];
    expect(answer(test, one.invite(), status, { headers })).toEqual(['ACK']);
    expect(header(last(test, 'ACK').text, 'Via')).toBe(header(one.invite().text, 'Via'));
    expect(one.failures).toEqual([{ cause, status, reason: 'Because', q850: 17 }]);
    expect(answer(test, one.invite(), status)).toEqual(['ACK']); // the ACK was lost
    expect(one.failures).toHaveLength(1);
  });

  it('acknowledges a repeated 200 again', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 200, { sdp: SDP });
    expect(answer(test, one.invite(), 200, { sdp: SDP })).toEqual(['ACK']);
    expect(one.answers).toHaveLength(1);
  });

  it('keeps the first phone that answers and hangs up on the others', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 180, { tag: 'a' });
    answer(test, one.invite(), 183, { tag: 'b', sdp: SDP });
    expect(answer(test, one.invite(), 200, { tag: 'b', sdp: SDP })).toEqual(['ACK']);
    expect(answer(test, one.invite(), 200, { tag: 'a', sdp: SDP })).toEqual(['ACK', 'BYE']);
    expect(answer(test, one.invite(), 200, { tag: 'a', sdp: SDP })).toEqual(['ACK']);
    expect(answer(test, one.invite(), 200, { tag: 'c', sdp: SDP })).toEqual(['ACK', 'BYE']);
    expect(header(last(test, 'BYE').text, 'To')).toContain(';tag=c');
    expect(one.answers).toHaveLength(1);
    expect(await test.count('sip_dialogs')).toBe(1);
  });

  it('takes the answer of reliable early media for the one that the 200 leaves out', async () => {
    const test = await dialling();
    const one = dial(test);
    const reliable = (rseq: number) => ({ sdp: SDP, headers: ['Require: 100rel', `RSeq: ${rseq}`] });
    expect(answer(test, one.invite(), 183, reliable(5))).toEqual(['PRACK']);
    expect(header(last(test, 'PRACK').text, 'RAck')).toBe('5 1 INVITE');
    expect(header(last(test, 'PRACK').text, 'CSeq')).toBe('2 PRACK');
    expect(answer(test, one.invite(), 183, reliable(5))).toEqual([]);
    expect(answer(test, one.invite(), 183, reliable(7))).toEqual([]);
    expect(one.progress).toHaveLength(1);
    answer(test, one.invite(), 200);
    expect(one.answers).toEqual([SDP]);
  });

  it('that is answered without any description is hung up', async () => {
    const test = await dialling();
    const one = dial(test);
    expect(answer(test, one.invite(), 200)).toEqual(['ACK', 'BYE']);
    expect(one.failures).toEqual([{ cause: 'no_common_codec', status: 200, reason: 'answered without a session description' }]);
  });

  it('asks for a longer session when it must, and not for ever', async () => {
    const test = await dialling();
    const one = dial(test);
    expect([header(one.invite().text, 'Session-Expires'), header(one.invite().text, 'Supported')]).toEqual([
      '1800',
      '100rel, replaces, timer',
    ]);
    for (const [n, seconds] of [2000, 2100, 2200, 2300].entries()) {
      expect(answer(test, one.invite(), 422, { headers: [`Min-SE: ${seconds}`] })).toEqual(n < 3 ? ['ACK', 'INVITE'] : ['ACK']);
      if (n < 3) expect(header(one.invite().text, 'Session-Expires')).toBe(String(seconds));
      if (n < 3) expect(header(one.invite().text, 'Min-SE')).toBe(String(seconds));
    }
    expect(one.failures).toMatchObject([{ status: 422 }]);
  });
});

describe('a call of ours that is cancelled', () => {
  it('waits with the CANCEL for a provisional response', async () => {
    const test = await dialling();
    const one = dial(test);
    one.outbound.cancel();
    expect(test.sent.map(({ what }) => what)).toEqual(['INVITE']);
    expect(answer(test, one.invite(), 180)).toEqual(['CANCEL']);
    expect(header(last(test, 'CANCEL').text, 'Via')).toBe(header(one.invite().text, 'Via'));
    expect(header(last(test, 'CANCEL').text, 'CSeq')).toBe('1 CANCEL');
    answer(test, last(test, 'CANCEL'), 200);
    expect(answer(test, one.invite(), 487)).toEqual(['ACK']);
    expect(one.failures).toEqual([{ cause: 'cancelled', status: 487, reason: 'Request Terminated' }]);
    expect(one.progress).toEqual([]);
  });

  it('and answered at the same moment is acknowledged and hung up', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 180);
    one.outbound.cancel();
    expect(answer(test, one.invite(), 200, { sdp: SDP })).toEqual(['ACK', 'BYE']);
    expect(answer(test, one.invite(), 200, { sdp: SDP })).toEqual(['ACK']);
    expect(one.failures).toMatchObject([{ cause: 'cancelled' }]);
    expect(one.answers).toEqual([]);
    expect(await test.count('sip_dialogs')).toBe(0);
  });

  it('before a provisional response and answered at once is hung up too', async () => {
    const test = await dialling();
    const one = dial(test);
    one.outbound.cancel();
    expect(answer(test, one.invite(), 200, { sdp: SDP })).toEqual(['ACK', 'BYE']);
    expect(one.failures).toMatchObject([{ cause: 'cancelled' }]);
  });

  it('is given up 32 s after a CANCEL that nobody answers, and nothing of it is left', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 180);
    one.outbound.cancel();
    test.clock.advance(31_999);
    expect(one.failures).toEqual([]);
    test.clock.advance(1);
    expect(one.failures).toMatchObject([{ cause: 'cancelled' }]);
    test.clock.advance(32_000);
    expect([await test.count('sip_dialogs'), await test.count('sip_transactions')]).toEqual([0, 0]);
  });

  it('before it was sent is never sent', async () => {
    const test = await dialling();
    const outbound = test.engine.dial({ trunk: 'carrier', destination: '+15550001', offer: () => OFFER });
    const failures: string[] = [];
    outbound.onFailed = ({ cause }) => void failures.push(cause);
    outbound.cancel();
    test.clock.advance(0);
    expect(failures).toEqual(['cancelled']);
    expect(test.sent).toEqual([]);
  });

  it('because nobody answers in time failed as no_answer', async () => {
    const test = await dialling();
    const one = dial(test, { ringTimeoutMs: 20_000 });
    answer(test, one.invite(), 180);
    test.clock.advance(20_000);
    answer(test, one.invite(), 487);
    expect(last(test, 'CANCEL').at).toBe(20_000);
    expect(one.failures).toEqual([{ cause: 'no_answer', status: 408, reason: 'not answered in time' }]);
  });
});

describe('credentials', () => {
  const LOGIN = { username: '1001', password: 's3cret' };
  const challenge = (nonce: string, more = '') => `Digest realm="carrier", nonce="${nonce}", qop="auth"${more}`;

  it.each([
    [401, 'WWW-Authenticate', 'Authorization', ''],
    [407, 'Proxy-Authenticate', 'Proxy-Authorization', ', algorithm=SHA-256'],
  ])('answer a %i, with SHA-256 where it is offered', async (status, asks, answers, more) => {
    const test = await dialling(LOGIN);
    const one = dial(test);
    const first = one.invite();
    expect(header(first.text, 'From')).toMatch(/^<sip:1001@192\.0\.2\.9>;/);
    expect(header(first.text, answers)).toBeUndefined();
    expect(answer(test, first, status, { headers: [`${asks}: ${challenge('n1', more)}`, `${asks}: ${challenge('n1')}`] })).toEqual([
      'ACK',
      'INVITE',
    ]);
    const second = one.invite();
    expect(header(second.text, 'CSeq')).toBe('2 INVITE');
    expect(header(second.text, 'Call-ID')).toBe(header(first.text, 'Call-ID'));
    expect(header(second.text, answers)).toMatch(more ? /algorithm=SHA-256.*nc=00000001/ : /algorithm=MD5.*nc=00000001/);
    answer(test, second, 200, { sdp: SDP });
    expect(header(last(test, 'ACK').text, 'CSeq')).toBe('2 ACK');
    expect(header(last(test, 'ACK').text, answers)).toBe(header(second.text, answers));
    one.call().hangup();
    expect(header(last(test, 'BYE').text, answers)).toContain('nc=00000002');
  });

  it('of a BYE are made anew when the nonce has aged', async () => {
    const test = await dialling(LOGIN);
    const one = dial(test);
    answer(test, one.invite(), 401, { headers: [`WWW-Authenticate: ${challenge('n1')}`] });
    answer(test, one.invite(), 200, { sdp: SDP });
    one.call().hangup();
    const bye = last(test, 'BYE');
    expect(answer(test, bye, 401, { headers: [`WWW-Authenticate: ${challenge('n2', ', stale=true')}`] })).toEqual(['BYE']);
    expect(header(last(test, 'BYE').text, 'Authorization')).toContain('nonce="n2"');
    expect(header(last(test, 'BYE').text, 'CSeq')).toBe('4 BYE');
    expect(one.ends).toEqual([]);
    answer(test, last(test, 'BYE'), 200);
    expect(one.ends).toEqual(['hangup']);
  });

  it('are not tried again and again', async () => {
    const test = await dialling(LOGIN);
    const one = dial(test);
    for (let n = 1; n <= 10 && one.failures.length === 0; n++) {
      answer(test, one.invite(), n % 2 ? 401 : 407, {
        headers: [
          `WWW-Authenticate: Digest realm="r${n}", nonce="n${n}", stale=true`,
          `Proxy-Authenticate: Digest realm="r${n}", nonce="n${n}"`,
        ],
      });
    }
    expect(test.sent.filter(({ what }) => what === 'INVITE').length).toBeLessThanOrEqual(5);
    expect(one.failures).toMatchObject([{ cause: 'unauthorized' }]);
  });

  it('go to nobody but the peer, whatever realm somebody else names', async () => {
    const destinations = ['+1555*', 'sip:bob@203.0.113.7'];
    const test = await dialling({ ...LOGIN, redirects: 'follow', destinations });
    const one = dial(test);
    answer(test, one.invite(), 401, { headers: [`WWW-Authenticate: ${challenge('n1')}`] });
    answer(test, one.invite(), 302, { contact: '<sip:bob@203.0.113.7>', headers: ['Contact: <sip:bob@203.0.113.7>'] });
    const redirected = one.invite();
    expect(redirected.to).toMatchObject({ address: '203.0.113.7', port: 5060 });
    expect(redirected.text).not.toMatch(/Authorization/);
    answer(test, redirected, 401, { headers: [`WWW-Authenticate: ${challenge('n9')}`] });
    expect(one.failures).toMatchObject([{ cause: 'unauthorized' }]);
    expect(test.sent.filter(({ to, text }) => to.address !== '192.0.2.9' && /uthorization/.test(text))).toEqual([]);

    const direct = dial(test, { destination: 'sip:bob@203.0.113.7' });
    expect(direct.invite().text).not.toMatch(/Authorization/);
    answer(test, direct.invite(), 407, { headers: [`Proxy-Authenticate: ${challenge('n1')}`] });
    expect(direct.failures).toMatchObject([{ cause: 'unauthorized' }]);
  });

  it('do not follow the dialog to a Contact elsewhere', async () => {
    const test = await dialling(LOGIN);
    const one = dial(test);
    answer(test, one.invite(), 401, { headers: [`WWW-Authenticate: ${challenge('n1')}`] });
    answer(test, one.invite(), 200, { sdp: SDP, contact: '<sip:thief@203.0.113.66>' });
    expect(last(test, 'ACK').text).not.toMatch(/uthorization/);
    one.call().hangup();
    const bye = last(test, 'BYE');
    expect(bye.to.address).toBe('203.0.113.66');
    expect(bye.text).not.toMatch(/uthorization/);
    answer(test, bye, 401, { headers: [`WWW-Authenticate: ${challenge('n2')}`] });
    expect(one.ends).toEqual(['hangup']);
  });

  it('of another realm than the configured one are not given', async () => {
    const test = await dialling({ ...LOGIN, realm: 'mine' });
    const one = dial(test);
    expect(answer(test, one.invite(), 401, { headers: [`WWW-Authenticate: ${challenge('n1')}`] })).toEqual(['ACK']);
    expect(one.failures).toMatchObject([{ cause: 'unauthorized' }]);
  });
});

describe('a redirection', () => {
  const contacts = (...uris: string[]) => ({ headers: uris.map((uri) => `Contact: <${uri}>`) });

  it('is followed within the destinations, one target after the other', async () => {
    const test = await dialling({ redirects: 'follow' });
    const one = dial(test);
    const { text } = one.invite();
    answer(
      test,
      one.invite(),
      302,
      contacts('sip:+8825@192.0.2.9', 'sip:+15550002@192.0.2.9', 'sip:+15550003@192.0.2.9', 'sip:x@example.com'),
    );
    expect(one.invite().text).toMatch(/^INVITE sip:\+15550002@192\.0\.2\.9:5060 /);
    expect(header(one.invite().text, 'To')).toBe(header(text, 'To'));
    answer(test, one.invite(), 486);
    expect(one.invite().text).toMatch(/^INVITE sip:\+15550003@/);
    answer(test, one.invite(), 486);
    expect(one.failures).toMatchObject([{ cause: 'busy' }]);
  });

  it('goes round in no circle and ends', async () => {
    const test = await dialling({ redirects: 'follow' });
    const one = dial(test);
    for (let n = 0; n < 50 && one.failures.length === 0; n++) {
      answer(test, one.invite(), 302, contacts('sip:+15550001@192.0.2.9', `sip:+1555100${n}@192.0.2.9`));
    }
    expect(test.sent.filter(({ what }) => what === 'INVITE')).toHaveLength(6);
    expect(one.failures).toMatchObject([{ cause: 'redirected' }]);
  });

  it('is refused by default', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 302, contacts('sip:+15550002@192.0.2.9'));
    expect(one.failures).toMatchObject([{ cause: 'redirected', status: 302 }]);
  });
});

describe('limits of what is dialled', () => {
  it('names what is refused', async () => {
    const test = await dialling();
    const attempt = (options: object) => code(() => dial(test, options));
    expect(attempt({ trunk: 'none' })).toBe('ERR_NOT_FOUND');
    expect(attempt({ destination: '+88212345' })).toBe('ERR_FORBIDDEN');
    expect(attempt({ destination: 'sip:a@example.com' })).toBe('ERR_NOT_FOUND');
    expect(attempt({ headers: [['Route', '<sip:evil>']] })).toBe('ERR_FORBIDDEN');
    expect(attempt({ headers: [['X-A', 'b\r\nRoute: <sip:evil>']] })).toBe('ERR_FORBIDDEN');
    expect(attempt({ from: 'a>;tag=1\r\n' })).toBe('ERR_NOT_FOUND');
    expect(test.sent).toEqual([]);
    expect(attempt({ headers: [['X-Order', '17']] })).toBe('none');
    expect(header(last(test, 'INVITE').text, 'X-Order')).toBe('17');
  });

  it('refuses the eleventh call at a cap of ten, and takes it when one has ended, however it ended', async () => {
    const test = await dialling();
    const calls = Array.from({ length: 10 }, () => dial(test));
    expect(code(() => dial(test))).toBe('ERR_OVERLOADED');
    const invites = test.sent.filter(({ what }) => what === 'INVITE');
    answer(test, invites[0] as never, 486);
    expect(code(() => dial(test))).toBe('none');
    expect(code(() => dial(test))).toBe('ERR_OVERLOADED');
    answer(test, invites[1] as never, 200, { sdp: SDP });
    expect(code(() => dial(test))).toBe('ERR_OVERLOADED');
    test.receive(fromPeer(invites[1] as never, 'BYE', 1), TRUNK.peer);
    expect(calls[1]?.ends).toEqual(['bye']);
    expect(code(() => dial(test))).toBe('none');
  });

  it('ends a call of 26 hours after the four that are allowed', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 200, { sdp: SDP });
    const caps: number[] = [];
    one.outbound.onDurationCap = () => void caps.push(test.clock.now());
    test.clock.advance(14_400_000 - 1);
    expect(test.sent.some(({ what }) => what === 'BYE')).toBe(false);
    test.clock.advance(26 * 3_600_000);
    expect(caps).toEqual([14_400_000]);
    expect(last(test, 'BYE').text).toContain('Reason: Q.850;cause=31;text="Maximum call duration reached"');
    expect(one.ends).toEqual(['hangup']);
    expect(code(() => dial(test))).toBe('none');
  });

  it('dials nothing while the process drains, and nothing without trunks', async () => {
    const test = await dialling();
    test.engine.drain();
    expect(code(() => dial(test))).toBe('ERR_OVERLOADED');
    expect(code(() => dial({ ...test } as never))).not.toBe('none');
  });

  it('leaves nothing running when the engine stops', async () => {
    const test = await dialling();
    dial(test);
    answer(test, dial(test).invite(), 200, { sdp: SDP });
    test.engine.dial({ trunk: 'carrier', destination: '+15550001', offer: () => OFFER });
    await test.engine.stop();
    expect(test.clock.nextTimer() === undefined || test.clock.nextTimer() === 0).toBe(true);
    const before = test.sent.length;
    test.clock.advance(20_000_000);
    expect(test.sent).toHaveLength(before);
  });
});

it('a response that is garbage changes nothing', async () => {
  const test = await dialling();
  const one = dial(test);
  const good = reply(one.invite(), 200, { sdp: SDP });
  test.receive(good.replace(/^To:.*$/m, 'To: <<<>>>;tag'), TRUNK.peer);
  test.receive(good.replace(/branch=\S+/, 'branch=z9hG4bKother'), TRUNK.peer);
  test.receive(good.replace(/^CSeq:.*$/m, 'CSeq: INVITE'), TRUNK.peer);
  expect(one.answers.length).toBeLessThanOrEqual(1);
  expect(test.faults).toEqual([]);
});

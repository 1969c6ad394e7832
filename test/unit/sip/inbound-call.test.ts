import { describe, expect, it } from 'vitest';
import { ANSWER, answeredCall, EngineUnderTest, header, OFFER, PEER, request, responseTo, toTagOf } from './engine-under-test.ts';

describe('an arriving call', () => {
  it('gets 100 Trying at once and shows the application who calls whom', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request({ headers: ['P-Asserted-Identity: <sip:+15550000001@trunk.example>', 'Subject: Grüße'] }));
    expect(test.timeline).toEqual([[0, '100']]);
    const [invite] = test.invites;
    expect(invite).toMatchObject({
      sipCallId: 'call-1@192.0.2.10',
      source: { ...PEER, transport: 'udp' },
      from: 'sip:+15551234567@192.0.2.10',
      to: 'sip:agent@192.0.2.1',
      requestUri: 'sip:agent@192.0.2.1',
      offer: OFFER,
      localAddress: '192.0.2.1',
    });
    expect(invite?.header('p-asserted-IDENTITY')).toBe('<sip:+15550000001@trunk.example>');
    expect(invite?.header('s')).toBe('Grüße');
    expect(invite?.header('Nothing')).toBeUndefined();
  });

  it('shows all its header fields in their order as people write them, credentials left out', async () => {
    const test = await EngineUnderTest.start();
    const secret = 'Digest username="a", realm="r", nonce="n", uri="sip:a@b", response="0"';
    test.receive(
      request({
        headers: ['x-ACCOUNT-id: 7', `Authorization: ${secret}`, 's: Grüße', 'X-Account-Id: 8', `Proxy-Authorization: ${secret}`],
      }),
    );
    const headers = test.invites[0]?.headers ?? [];
    expect(headers.map(({ name }) => name)).toEqual(expect.arrayContaining(['Via', 'From', 'To', 'Call-ID', 'CSeq']));
    expect(headers.filter(({ name }) => /^(?:X-|Subject|Auth|Proxy)/.test(name))).toEqual([
      { name: 'X-Account-Id', value: '7' },
      { name: 'Subject', value: 'Grüße' },
      { name: 'X-Account-Id', value: '8' },
    ]);
    expect(JSON.stringify(headers)).not.toContain('Digest');
  });

  it('rings, is answered, acknowledged and ended by the caller', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request({ headers: ['Record-Route: <sip:192.0.2.99;lr>'] }));
    const invite = test.invites[0]!;
    invite.ring();
    const call = invite.answer(ANSWER);
    const [, ringing, ok] = test.sent;
    const acks: boolean[] = [];
    const ends: string[] = [];
    call.onAck = () => void acks.push(call.acknowledged);
    call.onEnd = (end) => void ends.push(end);
    expect(test.timeline.map(([, what]) => what)).toEqual(['100', '180', '200']);
    expect(toTagOf(ringing!.text)).toBe(toTagOf(ok!.text));
    expect(toTagOf(ok!.text)).toMatch(/^[\w-]{22}$/);
    for (const { text } of [ringing!, ok!]) {
      expect(header(text, 'Contact')).toBe('<sip:192.0.2.1:5060>');
      expect(header(text, 'Record-Route')).toBe('<sip:192.0.2.99;lr>');
    }
    expect(ok!.text.endsWith(`\r\n\r\n${ANSWER}`)).toBe(true);
    expect(header(ok!.text, 'Content-Type')).toBe('application/sdp');
    expect(call.acknowledged).toBe(false);
    const toTag = toTagOf(ok!.text);
    test.receive(request({ method: 'ACK', toTag }));
    expect(acks).toEqual([true]);
    expect(test.exchange(request({ method: 'BYE', cseq: 2, toTag })).map(({ what }) => what)).toEqual(['200']);
    expect(ends).toEqual(['bye']);
    test.clock.advance(60_000);
    expect(test.sent).toHaveLength(4);
    expect(await test.count('sip_transactions')).toBe(0);
    expect(await test.count('sip_dialogs')).toBe(0);
    expect(test.clock.nextTimer()).toBeUndefined();
  });

  it('has its 200 repeated until the ACK, and gets BYE when none comes', async () => {
    const test = await EngineUnderTest.start();
    const { ends } = answeredCall(test, {}, false);
    test.clock.advance(31_999);
    const repeats = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map((at) => [at, '200']);
    expect(test.timeline.slice(1)).toEqual(repeats);
    test.clock.advance(1);
    expect(test.timeline.at(-1)).toEqual([32_000, 'BYE']);
    expect(ends).toEqual(['no_ack']);
    test.receive(responseTo(test.sent.at(-1)!.text, 481));
    test.clock.advance(60_000);
    expect(test.timeline.at(-1)).toEqual([32_000, 'BYE']);
    expect(await test.count('sip_transactions')).toBe(0);
  });

  it('has its BYE kept back until the ACK, then sent with the reason and repeated until it is answered', async () => {
    const test = await EngineUnderTest.start();
    const { call, inDialog, ends } = answeredCall(test, {}, false);
    call.hangup({ q850: 16, text: 'Normal "call" clearing' });
    call.hangup();
    test.clock.advance(1000);
    expect(test.timeline.map(([, what]) => what)).toEqual(['100', '200', '200']);
    test.receive(inDialog({ method: 'ACK' }));
    const bye = test.sent.at(-1)!;
    expect(bye.text.split('\r\n')[0]).toBe('BYE sip:caller@192.0.2.10:5062 SIP/2.0');
    expect(header(bye.text, 'Reason')).toBe('Q.850;cause=16;text="Normal \\"call\\" clearing"');
    expect(header(bye.text, 'To')).toBe('"Caller" <sip:+15551234567@192.0.2.10>;tag=caller');
    expect(header(bye.text, 'CSeq')).toBe('1 BYE');
    expect(header(bye.text, 'Via')).toMatch(/^SIP\/2\.0\/UDP 192\.0\.2\.1:5060;branch=z9hG4bK[\w-]{22};rport$/);
    test.clock.advance(600);
    expect(test.timeline.slice(3)).toEqual([
      [1000, 'BYE'],
      [1500, 'BYE'],
    ]);
    expect(ends).toEqual([]);
    test.receive(responseTo(bye.text, 200));
    test.receive(responseTo(bye.text, 200));
    expect(ends).toEqual(['hangup']);
    test.clock.advance(60_000);
    expect(test.sent).toHaveLength(5);
  });

  it('ends after 32 s when its BYE is never answered', async () => {
    const test = await EngineUnderTest.start();
    const { call, ends } = answeredCall(test);
    call.hangup();
    test.clock.advance(31_999);
    expect(ends).toEqual([]);
    test.clock.advance(1);
    expect(ends).toEqual(['hangup']);
  });

  it('is refused with status, phrase, Retry-After and Warning, repeated until the ACK', async () => {
    const test = await EngineUnderTest.start();
    const branch = 'z9hG4bKrefused';
    test.receive(request({ branch }));
    const invite = test.invites[0]!;
    invite.ring();
    invite.reject({ status: 488, warning: 'no "common" codec\r\n', retryAfterS: 2.5, reason: 'No\r\nCodec' });
    invite.reject({ status: 486 });
    invite.ring();
    expect(() => invite.answer(ANSWER)).toThrowError(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
    const refusal = test.sent.at(-1)!.text;
    expect(refusal.split('\r\n')[0]).toBe('SIP/2.0 488 No Codec');
    expect(header(refusal, 'Retry-After')).toBe('3');
    expect(header(refusal, 'Warning')).toBe('399 ringdown "no \\"common\\" codec "');
    test.clock.advance(600);
    test.receive(request({ method: 'ACK', branch, toTag: toTagOf(refusal) }));
    test.clock.advance(60_000);
    expect(test.timeline).toEqual([
      [0, '100'],
      [0, '180'],
      [0, '488'],
      [500, '488'],
    ]);
    expect(await test.count('sip_dialogs')).toBe(0);
  });

  it('is refused once an INVITE when load is shed at once', async () => {
    const test = await EngineUnderTest.start();
    test.engine.onInvite = (invite) => invite.reject({ status: 503, retryAfterS: 1 });
    const invite = request();
    test.receive(invite);
    test.clock.advance(400);
    test.receive(invite);
    test.clock.advance(60_000);
    expect(test.timeline).toEqual([
      [0, '503'],
      [400, '503'],
    ]);
  });

  it('that repeats its INVITE gets the same answer, and one call', async () => {
    const test = await EngineUnderTest.start();
    const invite = request();
    for (let i = 0; i < 100; i += 1) test.receive(invite);
    expect(test.invites).toHaveLength(1);
    expect(test.sent.every(({ what }) => what === '100')).toBe(true);
    test.invites[0]!.answer(ANSWER);
    expect(test.exchange(invite)).toEqual([]);
  });

  it('that arrives by two ways is refused on the second with 482', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request({ branch: 'z9hG4bKone' }));
    expect(test.exchange(request({ branch: 'z9hG4bKtwo' })).map(({ what }) => what)).toEqual(['482']);
    expect(test.invites).toHaveLength(1);
  });

  it('is told every minute that it still rings, and refused after five', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request());
    const invite = test.invites[0]!;
    let cancelled = 0;
    invite.onCancel = () => {
      cancelled += 1;
    };
    test.clock.advance(60_000);
    invite.ring();
    test.clock.advance(239_999);
    expect(cancelled).toBe(0);
    test.clock.advance(1);
    expect(cancelled).toBe(1);
    expect(test.timeline.slice(0, 7)).toEqual([
      [0, '100'],
      [60_000, '183'],
      [60_000, '180'],
      [120_000, '180'],
      [180_000, '180'],
      [240_000, '180'],
      [300_000, '480'],
    ]);
  });

  it('ends when its INVITE expires', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request({ headers: ['Expires: 20'] }));
    test.clock.advance(20_000);
    expect(test.timeline).toEqual([
      [0, '100'],
      [20_000, '487'],
    ]);
  });

  it('without an offer leaves it to the application', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request({ body: '' }));
    expect(test.invites[0]?.offer).toBeUndefined();
  });

  it('to a tel URI and with odd but legal URIs arrives', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request({ uri: 'tel:+1-555-0100;phone-context=example.com', callId: 'tel' }));
    test.receive(request({ uri: 'sip:*98#@my_host.example:5070;user=phone', callId: 'hash' }));
    test.receive(request({ uri: 'sips:agent@192.0.2.1', callId: 'sips' }));
    expect(test.invites.map(({ requestUri }) => requestUri)).toEqual([
      'tel:+1-555-0100;phone-context=example.com',
      'sip:*98#@my_host.example:5070;user=phone',
      'sips:agent@192.0.2.1',
    ]);
  });

  it('gets 480 without an application and 500 when the application fails', async () => {
    const test = await EngineUnderTest.start();
    test.engine.onInvite = undefined;
    expect(test.exchange(request({ callId: 'a' })).map(({ what }) => what)).toEqual(['480']);
    test.engine.onInvite = () => {
      throw new Error('broken');
    };
    expect(test.exchange(request({ callId: 'b' })).map(({ what }) => what)).toEqual(['500']);
  });

  it('is reached by the public address when there is one', async () => {
    const test = await EngineUnderTest.start({ publicAddress: '203.0.113.5' });
    const { invite } = answeredCall(test);
    expect(invite.localAddress).toBe('203.0.113.5');
    expect(header(test.sent.at(-1)!.text, 'Contact')).toBe('<sip:203.0.113.5:5060>');
  });
});

describe('a CANCEL', () => {
  const branch = 'z9hG4bKcancelled';

  it('before the answer gets 200, the INVITE 487, and the application is told once', async () => {
    const test = await EngineUnderTest.start();
    test.receive(request({ branch }));
    const invite = test.invites[0]!;
    let cancelled = 0;
    invite.onCancel = () => {
      cancelled += 1;
    };
    invite.ring();
    const cancel = request({ method: 'CANCEL', branch });
    const [ok, terminated] = test.exchange(cancel);
    expect([ok?.what, header(ok!.text, 'CSeq'), terminated?.what, header(terminated!.text, 'CSeq')]).toEqual([
      '200',
      '1 CANCEL',
      '487',
      '1 INVITE',
    ]);
    expect(toTagOf(ok!.text)).toBe(toTagOf(terminated!.text));
    expect(test.exchange(cancel).map(({ what }) => what)).toEqual(['200']);
    expect(cancelled).toBe(1);
    expect(() => invite.answer(ANSWER)).toThrow();
    invite.reject({ status: 486 });
    test.receive(request({ method: 'ACK', branch, toTag: toTagOf(terminated!.text) }));
    test.clock.advance(60_000);
    expect(test.timeline.map(([, what]) => what)).toEqual(['100', '180', '200', '487', '200']);
    expect(await test.count('sip_transactions')).toBe(0);
    expect(await test.count('sip_dialogs')).toBe(0);
  });

  it('after the answer gets 200 and changes nothing', async () => {
    const test = await EngineUnderTest.start();
    const { ends, toTag } = answeredCall(test, { branch });
    const [ok, ...more] = test.exchange(request({ method: 'CANCEL', branch }));
    // RFC 3261 §9.2: the tag of the answer, or the caller takes it for another dialog's.
    expect([ok?.what, toTagOf(ok!.text), more]).toEqual(['200', toTag, []]);
    test.clock.advance(60_000);
    expect(ends).toEqual([]);
  });

  it('of nothing gets 481, whatever it requires', async () => {
    const test = await EngineUnderTest.start();
    const [refusal] = test.exchange(request({ method: 'CANCEL', branch: 'z9hG4bKunknown', headers: ['Require: foo'] }));
    expect(refusal?.what).toBe('481');
  });

  it('at any time around the answer leaves exactly one final response to the INVITE', async () => {
    for (let cancelAt = 0; cancelAt <= 200; cancelAt += 1) {
      const test = await EngineUnderTest.start();
      let finals = 0;
      test.engine.onInvite = (invite) => {
        invite.onCancel = () => {
          finals += 1;
        };
        test.clock.setTimer(100, () => {
          try {
            invite.answer(ANSWER);
            finals += 1;
          } catch {
            // cancelled first
          }
        });
      };
      test.clock.setTimer(cancelAt, () => test.receive(request({ method: 'CANCEL', branch })));
      test.receive(request({ branch }));
      test.clock.advance(300);
      const statuses = test.sent.filter(({ text, what }) => header(text, 'CSeq') === '1 INVITE' && Number(what) >= 200);
      expect([cancelAt, finals, new Set(statuses.map(({ what }) => what)).size]).toEqual([cancelAt, 1, 1]);
      const cancelled = test.sent.filter(({ text }) => header(text, 'CSeq') === '1 CANCEL');
      expect(cancelled.map(({ what }) => what)).toEqual(['200']);
      test.receive(request({ method: 'ACK', branch, toTag: toTagOf(statuses[0]!.text) }));
      test.clock.advance(60_000);
      expect(await test.count('sip_transactions')).toBe(0);
    }
  });
});

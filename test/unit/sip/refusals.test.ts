import { describe, expect, it } from 'vitest';
import { answeredCall, EngineUnderTest, header, PEER, type RequestParts, request, toTagOf } from './engine-under-test.ts';

const refusalOf = async (parts: RequestParts, change: (text: string) => string = (text) => text) => {
  const test = await EngineUnderTest.start();
  const sent = test.exchange(change(request(parts)));
  expect(sent.length).toBeLessThanOrEqual(1);
  expect(test.invites).toEqual([]);
  test.clock.advance(60_000); // stateless: nothing is repeated, nothing kept
  expect(test.sent).toHaveLength(sent.length);
  expect(await test.count('sip_transactions')).toBe(0);
  return sent[0];
};

describe('what the engine refuses by itself', () => {
  const cases: [string, string | undefined, RequestParts, ((text: string) => string)?][] = [
    ['a method that is known but not served', '405', { method: 'SUBSCRIBE' }],
    ['REGISTER', '405', { method: 'REGISTER' }],
    ['MESSAGE', '405', { method: 'MESSAGE' }],
    ['a method nobody knows', '501', { method: 'DANCE' }],
    ['a Request-URI of an unknown scheme', '416', { uri: 'isdn:2983792873' }],
    ['an extension it lacks', '420', { headers: ['Require: precondition, timer'] }],
    ['a body that is no SDP', '415', {}, (text) => text.replace('application/sdp', 'text/plain')],
    ['a multipart body', '415', {}, (text) => text.replace('application/sdp', 'multipart/mixed;boundary=x')],
    ['a body that is signed by S/MIME', '415', {}, (text) => text.replace('application/sdp', 'application/pkcs7-mime')],
    ['an encoded body', '415', { headers: ['Content-Encoding: gzip'] }],
    ['a caller that could not read the answer', '406', { headers: ['Accept: text/plain'] }],
    ['a call without hops left', '483', {}, (text) => text.replace('Max-Forwards: 70', 'Max-Forwards: 0')],
    ['another version', '505', {}, (text) => text.replace('192.0.2.1 SIP/2.0', '192.0.2.1 SIP/7.0')],
    ['a CSeq of another method', '400', {}, (text) => text.replace('1 INVITE', '1 OPTIONS')],
    ['a CSeq of 2^31', '400', { cseq: 2 ** 31 }],
    ['two Call-IDs', '400', { headers: ['i: second'] }],
    ['no From', '400', {}, (text) => text.replace(/^From.*\r\n/m, '')],
    ['a broken To', '400', {}, (text) => text.replace('To: <sip:', 'To: "x <sip:')],
    ['a broken Contact', '400', { contact: '<sip:a@b>;;' }],
    ['a Contact that is no SIP address', '400', { contact: '<tel:+1555>' }],
    ['a broken Record-Route', '400', { headers: ['Record-Route: <sip:a@b;lr>, '] }],
    ['headers in the Request-URI', '400', { uri: 'sip:a@b?Route=x' }],
    ['an IPv6 address without brackets', '400', { uri: 'sip:2001:db8::10' }],
    ['a body shorter than announced', '400', {}, (text) => text.replace(/Content-Length: \d+/, 'Content-Length: 5000')],
    ['a bare line feed in the header', '400', { headers: ['X: a\nRoute: <sip:evil@x>'] }],
    ['101 header lines', '400', { headers: Array.from({ length: 101 }, (_, i) => `X-${i}: y`) }],
    ['71 Vias', '400', { headers: Array.from({ length: 71 }, (_, i) => `Via: SIP/2.0/UDP h${i}`) }],
    ['two branches in Via', '400', { via: 'SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa;branch=z9hG4bKb' }],
    ['nothing: garbage is dropped', undefined, {}, () => 'hello world\r\n\r\n'],
    ['nothing: without Via nobody can be told', undefined, {}, (text) => text.replace(/^Via.*\r\n/m, '')],
    ['nothing: a bad ACK is dropped', undefined, { method: 'ACK', headers: ['Call-ID: second'] }],
    ['nothing: a keep-alive', undefined, {}, () => '\r\n\r\n'],
    ['nothing: a stray response', undefined, {}, (text) => text.replace(/^INVITE .*/, 'SIP/2.0 200 OK')],
  ];

  it.each(cases)('%s: %s', async (_name, status, parts, change) => {
    expect((await refusalOf(parts, change))?.what).toBe(status);
  });

  it('says what it would have taken', async () => {
    expect(header((await refusalOf({ method: 'REFER' }))!.text, 'Allow')).toContain('INVITE, ACK, BYE');
    expect(header((await refusalOf({ headers: ['Require: foo, bar'] }))!.text, 'Unsupported')).toBe('foo, bar');
    expect(header((await refusalOf({ headers: ['Content-Encoding: gzip'] }))!.text, 'Accept')).toBe('application/sdp');
  });

  it('gives every repeat of a refused request the same To tag without remembering it', async () => {
    const test = await EngineUnderTest.start();
    const text = request({ method: 'PUBLISH' });
    const [first] = test.exchange(text);
    const [second] = test.exchange(text);
    expect(toTagOf(first!.text)).toMatch(/^[0-9a-f]{16}$/);
    expect(second?.text).toBe(first?.text);
  });

  it('answers no louder than it is asked: a refusal is at most half again as long', async () => {
    for (const [, status, parts, change] of cases) {
      if (status === undefined) continue;
      const text = (change ?? ((same: string) => same))(request({ ...parts, body: '' }));
      const test = await EngineUnderTest.start();
      const [refusal] = test.exchange(text);
      if (refusal) expect(refusal.text.length / text.length).toBeLessThan(1.5);
    }
  });

  it('ignores a body that says it may be ignored', async () => {
    const test = await EngineUnderTest.start();
    test.receive(
      request({ headers: ['Content-Disposition: session;handling=optional'] }).replace('application/sdp', 'application/pidf+xml'),
    );
    expect(test.invites[0]?.offer).toBeUndefined();
    expect(test.invites).toHaveLength(1);
  });
});

describe('OPTIONS', () => {
  it('is answered with what we can, even without hops left, and nothing is kept', async () => {
    const test = await EngineUnderTest.start();
    const [ok] = test.exchange(request({ method: 'OPTIONS' }).replace('Max-Forwards: 70', 'Max-Forwards: 0'));
    expect(ok?.what).toBe('200');
    expect(header(ok!.text, 'Allow')).toBe('INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY');
    expect(header(ok!.text, 'Accept')).toBe('application/sdp');
    expect(header(ok!.text, 'Supported')).toBe('100rel, replaces, timer');
    expect(await test.count('sip_transactions')).toBe(0);
  });

  it('gets 503 with Retry-After while draining, like new calls, and old dialogs go on', async () => {
    const test = await EngineUnderTest.start();
    const { inDialog, ends } = answeredCall(test, { callId: 'old' });
    test.engine.drain();
    for (const method of ['OPTIONS', 'INVITE']) {
      const [refusal] = test.exchange(request({ method, callId: 'new' }));
      expect([refusal?.what, header(refusal!.text, 'Retry-After')]).toEqual(['503', '5']);
    }
    expect(test.exchange(inDialog({ method: 'BYE', cseq: 2 })).map(({ what }) => what)).toEqual(['200']);
    expect(ends).toEqual(['bye']);
  });
});

describe('where a response goes (RFC 3261 §18.2, RFC 3581)', () => {
  const answerTo = async (via: string) => {
    const test = await EngineUnderTest.start();
    const [response] = test.exchange(request({ method: 'OPTIONS', via }), { address: '192.0.2.77', port: 40_000 });
    return { to: response?.to, via: header(response!.text, 'Via') };
  };

  it('is the port in Via, at the address the request came from, which is noted as received', async () => {
    expect(await answerTo('SIP/2.0/UDP 10.0.0.5:5090;branch=z9hG4bKa')).toEqual({
      to: { address: '192.0.2.77', port: 5090 },
      via: 'SIP/2.0/UDP 10.0.0.5:5090;branch=z9hG4bKa;received=192.0.2.77',
    });
    expect((await answerTo('SIP/2.0/UDP phone.example;branch=z9hG4bKa')).to).toEqual({ address: '192.0.2.77', port: 5060 });
  });

  it('is the source port with rport', async () => {
    expect(await answerTo('SIP/2.0/UDP 10.0.0.5:5090;rport;branch=z9hG4bKa')).toEqual({
      to: { address: '192.0.2.77', port: 40_000 },
      via: 'SIP/2.0/UDP 10.0.0.5:5090;rport=40000;branch=z9hG4bKa;received=192.0.2.77',
    });
  });

  it('is not where a forged received or maddr points', async () => {
    const { to, via } = await answerTo('SIP/2.0/UDP 192.0.2.77:5090;received=198.51.100.1;maddr=198.51.100.2;branch=z9hG4bKa');
    expect(to).toEqual({ address: '192.0.2.77', port: 5090 });
    expect(via).not.toContain('received');
  });

  it('repeats all Vias in their order', async () => {
    const test = await EngineUnderTest.start();
    const [response] = test.exchange(
      request({ method: 'OPTIONS', via: `SIP/2.0/UDP ${PEER.address};branch=z9hG4bKa, SIP/2.0/TCP b`, headers: ['v: SIP/2.0/TLS c'] }),
    );
    expect(response?.text.split('\r\n').filter((line) => line.startsWith('Via'))).toEqual([
      'Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKa',
      'Via: SIP/2.0/TCP b',
      'Via: SIP/2.0/TLS c',
    ]);
  });
});

describe('the guard', () => {
  it('drops what one source sends beyond its rate unread, and no other source notices', async () => {
    const test = await EngineUnderTest.start({ requestsPerSecond: 10 });
    for (let i = 0; i < 100; i += 1) test.receive(request({ method: 'OPTIONS' }));
    expect(test.sent).toHaveLength(20); // two seconds' worth at once
    expect(await test.count('sip_dropped_total{reason="rate_limited"}')).toBe(80);
    test.clock.advance(1000);
    for (let i = 0; i < 100; i += 1) test.receive(request({ method: 'OPTIONS' }));
    expect(test.sent).toHaveLength(30);
    expect(test.exchange(request({ method: 'OPTIONS' }), { address: '192.0.2.11', port: 5062 })).toHaveLength(1);
  });

  it('keeps no more transactions than allowed and refuses new calls beyond, while old ones end in order', async () => {
    const test = await EngineUnderTest.start({ maxTransactions: 10 });
    const { inDialog, ends } = answeredCall(test, { callId: 'first' });
    for (let i = 0; i < 100; i += 1) test.receive(request({ callId: `flood-${i}` }));
    expect(test.invites).toHaveLength(10);
    expect(test.sent.filter(({ what }) => what === '503')).toHaveLength(91);
    expect(await test.count('sip_transactions')).toBe(10);
    expect(test.exchange(inDialog({ method: 'BYE', cseq: 2 })).map(({ what }) => what)).toEqual(['200']);
    expect(ends).toEqual(['bye']);
    expect(await test.count('sip_transactions')).toBe(10);
  });

  it('counts methods and drops under names from a closed set', async () => {
    const test = await EngineUnderTest.start();
    for (let i = 0; i < 50; i += 1) test.receive(request({ method: `M${i}` }));
    expect(await test.count('sip_requests_total{method="other"}')).toBe(50);
    test.receive('garbage garbage');
    expect(await test.count('sip_dropped_total{reason="unparsable"}')).toBe(1);
  });
});

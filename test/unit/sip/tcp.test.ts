import { describe, expect, it } from 'vitest';
import { ANSWER, EngineUnderTest, header, PEER, type RequestParts, request, responseTo, toTagOf } from './engine-under-test.ts';
import type { FakeStream } from './fake-stream.ts';

/** As phones on TCP write it: their connection's far port is not the one they listen on. */
const FAR = { address: PEER.address, port: 40_001 };
const overTcp = (parts: RequestParts = {}): string =>
  request({
    via: `SIP/2.0/TCP 192.0.2.10:5062;branch=z9hG4bK${Math.random()}`,
    contact: '<sip:caller@192.0.2.10:5062;transport=tcp>',
    ...parts,
  });

function answered(test: EngineUnderTest, stream: FakeStream) {
  stream.receive(overTcp());
  const call = test.invites.at(-1)!.answer(ANSWER);
  const ok = test.sent.at(-1)!;
  const ends: string[] = [];
  call.onEnd = (end) => void ends.push(end);
  return { call, ok, ends, toTag: toTagOf(ok.text) };
}

describe('a call over TCP', () => {
  it('is answered on its connection, with a Contact and a Via of that transport, and nothing of its transactions is repeated', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    const { call, ok, ends, toTag } = answered(test, stream);
    expect(test.sent.map(({ what, to }) => [what, to.port])).toEqual([
      ['100', 40_001],
      ['200', 40_001],
    ]);
    expect(header(ok.text, 'Contact')).toBe('<sip:192.0.2.1:5060;transport=tcp>');
    stream.receive(overTcp({ method: 'ACK', toTag }));
    call.hangup();
    const bye = test.sent.at(-1)!;
    expect([bye.what, bye.to.port]).toEqual(['BYE', 40_001]);
    expect(header(bye.text, 'Via')).toMatch(/^SIP\/2\.0\/TCP 192\.0\.2\.1:5060;/);
    test.clock.advance(20_000);
    expect(test.sent).toHaveLength(3); // no Timer E
    stream.receive(responseTo(bye.text, 200));
    expect(ends).toEqual(['hangup']);
    expect(test.opened).toHaveLength(0);
    test.clock.advance(20_000);
    expect(await test.count('sip_transactions')).toBe(0);
  });

  it('forgets its transactions at once: D, I, J and K are zero', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    const branch = 'z9hG4bKrefused';
    const via = `SIP/2.0/TCP 192.0.2.10:5062;branch=${branch}`;
    stream.receive(overTcp({ via }));
    test.invites[0]!.reject({ status: 486 });
    test.clock.advance(10_000);
    expect(test.timeline.map(([, what]) => what)).toEqual(['100', '486']); // no Timer G
    stream.receive(overTcp({ method: 'ACK', via, toTag: toTagOf(test.sent[1]!.text) }));
    test.clock.advance(1);
    expect(await test.count('sip_transactions')).toBe(0);
  });

  it('repeats its 200 until the ACK all the same: a proxy may go on by UDP', async () => {
    const test = await EngineUnderTest.start();
    answered(test, test.connect(FAR));
    test.clock.advance(1600);
    expect(test.timeline.slice(1)).toEqual([
      [0, '200'],
      [500, '200'],
      [1500, '200'],
    ]);
  });

  it('goes on over a new connection to the Contact when its own is gone', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    const { call, ends, toTag } = answered(test, stream);
    stream.receive(overTcp({ method: 'ACK', toTag }));
    stream.close();
    call.hangup();
    const [opened] = test.opened;
    expect(opened?.remote).toEqual({ address: '192.0.2.10', port: 5062 });
    expect(opened?.written).toMatch(/^BYE sip:caller@192\.0\.2\.10:5062;transport=tcp SIP/);
    opened?.receive(responseTo(opened.written, 200));
    expect(ends).toEqual(['hangup']);
  });

  it('ends at once when its BYE cannot be delivered', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    const { call, ends, toTag } = answered(test, stream);
    stream.receive(overTcp({ method: 'ACK', toTag }));
    stream.close();
    call.hangup();
    test.opened[0]!.close({ undelivered: true });
    expect(ends).toEqual(['hangup']);
    expect(await test.count('sip_transactions')).toBe(1); // of the INVITE, until Timer L
  });

  it('moves to UDP and back where the Contact says so', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    stream.receive(overTcp({ contact: '<sip:caller@192.0.2.10:5062;transport=udp>' }));
    const call = test.invites[0]!.answer(ANSWER);
    stream.receive(overTcp({ method: 'ACK', toTag: toTagOf(test.sent.at(-1)!.text) }));
    call.hangup();
    expect(header(test.sent.at(-1)!.text, 'Via')).toMatch(/^SIP\/2\.0\/UDP/);
    expect(test.sent.at(-1)!.to).toEqual({ address: '192.0.2.10', port: 5062 });
    expect(test.opened).toEqual([]);
  });

  it('is cancelled for the application when nobody can be told of it any more', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    stream.receive(overTcp());
    let cancelled = 0;
    test.invites[0]!.onCancel = () => {
      cancelled += 1;
    };
    stream.close();
    test.invites[0]!.ring();
    expect(test.opened[0]?.remote).toEqual({ address: '192.0.2.10', port: 5062 });
    test.opened[0]?.close({ undelivered: true });
    expect(cancelled).toBe(1);
    expect(await test.count('sip_transactions')).toBe(0);
    expect(await test.count('sip_dialogs')).toBe(0);
  });
});

describe('a connection', () => {
  it('gets a pong for its ping', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    stream.receive('\r\n\r\n');
    expect(stream.written).toBe('\r\n');
    stream.receive(overTcp({ method: 'OPTIONS' }));
    stream.receive('\r\n\r\n');
    expect(test.sent.filter(({ what }) => what === '200')).toHaveLength(1);
    expect(stream.written.endsWith('\r\n\r\n\r\n')).toBe(true);
  });

  it('is cut when its first message, or the rest of a later one, takes longer than 30 s', async () => {
    const test = await EngineUnderTest.start();
    const silent = test.connect(FAR);
    const slow = test.connect({ ...FAR, port: 40_002 });
    slow.receive(overTcp({ method: 'OPTIONS' }));
    test.clock.advance(10_000);
    for (let at = 0; at < 19_999; at += 1000) {
      slow.receive('O');
      test.clock.advance(1000);
    }
    expect([silent.ended, slow.ended]).toEqual(['destroyed', undefined]);
    test.clock.advance(10_000);
    expect(slow.ended).toBe('destroyed'); // 30 s after the first byte, whatever came since
    expect(await test.count('sip_connections')).toBe(0);
  });

  it('stands as long as it is used, an hour after the last use', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    stream.receive(overTcp({ method: 'OPTIONS' }));
    test.clock.advance(3_000_000);
    stream.receive('\r\n\r\n');
    test.clock.advance(3_599_999);
    expect(stream.ended).toBeUndefined();
    test.clock.advance(1);
    expect(stream.ended).toBe('destroyed');
  });

  it('that cannot be read on is told why and closed', async () => {
    const test = await EngineUnderTest.start();
    for (const [length, status] of [
      ['2147483648', '513'],
      ['x', '400'],
    ] as const) {
      const stream = test.connect(FAR);
      stream.receive(overTcp({ method: 'OPTIONS' }).replace('Content-Length: 0', `Content-Length: ${length}`));
      expect([test.sent.at(-1)?.what, stream.ended]).toEqual([status, 'ended']);
    }
    const tls = test.connect(FAR);
    tls.receive(Buffer.from([0x16, 3, 1, 2, 0, 1]));
    expect([tls.written, tls.ended]).toEqual(['', 'ended']);
    expect(await test.count('sip_connections')).toBe(0);
  });

  it('is closed when its peer does not read', async () => {
    const test = await EngineUnderTest.start();
    const stream = test.connect(FAR);
    stream.queuedBytes = 1 << 20;
    stream.receive(overTcp({ method: 'OPTIONS' }));
    expect(stream.ended).toBe('destroyed');
    const pinging = test.connect(FAR);
    pinging.queuedBytes = 1 << 20;
    pinging.receive('\r\n\r\n'.repeat(3));
    expect([pinging.written, pinging.ended]).toEqual(['', 'destroyed']);
  });

  it('is slowed down, not cut, when its source sends faster than it may', async () => {
    const test = await EngineUnderTest.start({ requestsPerSecond: 10 });
    const stream = test.connect(FAR);
    stream.receive(Array.from({ length: 50 }, () => overTcp({ method: 'OPTIONS' })).join(''));
    expect([test.sent.length, stream.paused]).toEqual([20, true]);
    test.clock.advance(1000);
    expect(test.sent.length).toBe(30);
    test.clock.advance(2100);
    expect([test.sent.length, stream.paused]).toEqual([50, false]);
  });

  it('is one of 256 of its source, and of 2048 in all', async () => {
    const test = await EngineUnderTest.start();
    const flood = Array.from({ length: 300 }, (_, i) => test.connect({ address: '192.0.2.66', port: 1024 + i }));
    expect(flood.filter(({ ended }) => ended === undefined)).toHaveLength(256);
    flood[0]?.close();
    expect(test.connect({ address: '192.0.2.66', port: 9 }).ended).toBeUndefined();
    for (let i = 0; i < 20 * 256; i += 1) test.connect({ address: `198.51.100.${i % 20}`, port: 1024 + i });
    expect(await test.count('sip_connections')).toBe(2048);
    expect(test.connect({ address: '203.0.113.1', port: 9 }).ended).toBe('destroyed');
  });

  it('that floods INVITEs and closes leaves nothing', async () => {
    const test = await EngineUnderTest.start();
    test.engine.onInvite = (invite) => void invite.answer(ANSWER);
    for (let i = 0; i < 1000; i += 1) {
      const stream = test.connect({ ...FAR, port: 10_000 + i });
      stream.receive(overTcp({ callId: `flood-${i}` }));
      stream.close();
    }
    test.clock.advance(500);
    expect(test.opened).toHaveLength(1); // one attempt, however many calls wait for it
    for (let i = 0; i < 200; i += 1) {
      test.opened.at(-1)?.close({ undelivered: true });
      test.clock.advance(500);
    }
    expect(await test.count('sip_transactions')).toBe(0);
    expect(await test.count('sip_dialogs')).toBe(0);
    expect(await test.count('sip_connections')).toBe(0);
  });
});

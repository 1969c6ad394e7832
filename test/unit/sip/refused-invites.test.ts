import { describe, expect, it } from 'vitest';
import type { RefusedInvite } from '../../../src/sip/engine.ts';
import { answeredCall, EngineUnderTest, PEER, request } from './engine-under-test.ts';

async function noted(options = {}): Promise<{ test: EngineUnderTest; records: RefusedInvite[] }> {
  const test = await EngineUnderTest.start(options);
  const records: RefusedInvite[] = [];
  test.engine.onRefused = (refused) => void records.push(refused);
  return { test, records };
}

describe('an INVITE that the engine refuses by itself', () => {
  it('is told once, whatever the reason and however often it is repeated', async () => {
    const { test, records } = await noted();
    test.receive(request({ callId: 'a', headers: ['Require: foo'] }));
    test.receive(request({ callId: 'b', headers: ['Content-Type: text/plain'] }));
    test.receive(request({ callId: 'c', uri: 'urn:service:sos' }));
    test.receive(request({ callId: 'd' }).replace(/^CSeq.*$/m, 'CSeq: nonsense'));
    test.engine.drain();
    for (let repeat = 0; repeat < 5; repeat += 1) test.receive(request({ callId: 'e' }));
    expect(records.map(({ sipCallId, status, reason }) => [sipCallId, status, reason])).toEqual([
      ['a', 420, 'Bad Extension'],
      ['b', 400, 'Bad Content-Type'],
      ['c', 416, 'Unsupported URI Scheme'],
      ['d', 400, 'Bad CSeq'],
      ['e', 503, 'Service Unavailable'],
    ]);
    expect(records[0]).toMatchObject({
      from: 'sip:+15551234567@192.0.2.10',
      requestUri: 'sip:agent@192.0.2.1',
      source: { ...PEER, transport: 'udp' },
    });
    expect(test.invites).toEqual([]);
  });

  it('is not told where it is no end of a call: a session too short, a second way, a re-INVITE, another method', async () => {
    const { test, records } = await noted();
    test.receive(request({ callId: 'a', headers: ['Session-Expires: 1', 'Supported: timer'] }));
    const { inDialog } = answeredCall(test, { callId: 'b' });
    test.receive(request({ callId: 'b', branch: 'z9hG4bK-other-way' }));
    test.receive(inDialog({ cseq: 2, headers: ['Require: foo'] }));
    test.receive(inDialog({ cseq: 3 }).replace(/^CSeq.*$/m, 'CSeq: nonsense'));
    test.receive(request({ method: 'REGISTER', callId: 'c' }));
    test.receive(request({ callId: '' }));
    expect(records).toEqual([]);
  });

  it('is one of ten a second and a hundred at once: a flood fills no disk', async () => {
    const { test, records } = await noted();
    test.engine.drain();
    for (let n = 0; n < 5000; n += 1) test.receive(request({ callId: `flood-${n}` }));
    expect(records).toHaveLength(100);
    test.clock.advance(10_000);
    for (let n = 5000; n < 6000; n += 1) test.receive(request({ callId: `flood-${n}` }));
    expect(records).toHaveLength(200);
    expect(await test.count('sip_refusals_unrecorded_total')).toBe(5800);
  });

  it('is told once a minute of a source that sends faster than it may, as what was never answered', async () => {
    const { test, records } = await noted({ requestsPerSecond: 5 });
    for (let n = 0; n < 1000; n += 1) test.receive(request({ method: 'OPTIONS', callId: `o-${n}` }));
    expect(records).toEqual([]);
    for (let n = 0; n < 1000; n += 1) test.receive(request({ callId: `i-${n}` }));
    expect(records.map(({ sipCallId, status }) => [sipCallId, status])).toEqual([['i-0', 0]]);
    for (let n = 0; n < 1000; n += 1) test.receive(request({ callId: `j-${n}` }), { address: `198.51.100.${n % 4}`, port: 5060 });
    expect(records).toHaveLength(5);
    for (const junk of ['INVITE ', 'INVITE sip:a@b SIP/2.0\r\n\r\n', 'INVITE \0\r\n']) test.receive(junk);
    expect(records).toHaveLength(5);
    test.clock.advance(60_000);
    for (let n = 0; n < 20; n += 1) test.receive(request({ callId: `k-${n}` }));
    expect(records.slice(5).map(({ status }) => status)).toEqual([0]);
  });

  it('says no more of itself than a record takes', async () => {
    const { test, records } = await noted();
    test.engine.drain();
    test.receive(request({ callId: 'x'.repeat(5000), uri: `sip:${'y'.repeat(5000)}@192.0.2.1` }));
    expect([records[0]?.sipCallId.length, records[0]?.requestUri.length]).toEqual([256, 256]);
  });
});

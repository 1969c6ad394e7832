import { describe, expect, it } from 'vitest';
import type { EngineUnderTest, Sent } from './engine-under-test.ts';
import { header } from './engine-under-test.ts';
import { answer, dial, dialling, last, reply, SDP, TRUNK } from './outbound-under-test.ts';

/* RFC 3261 §18.1.1: what is larger than 1300 bytes goes by TCP. */

const LONG = [0, 1].map((n) => [`X-Long-${n}`, 'x'.repeat(500)] as const);
const viaOf = (sent: Sent): string => header(sent.text, 'Via')?.split(' ')[0] ?? '';
const invites = (test: EngineUnderTest): string[] => test.sent.filter(({ what }) => what === 'INVITE').map(viaOf);

describe('a request that is too large for a datagram', () => {
  it('goes by TCP, and what belongs to it too; what is smaller goes by UDP', async () => {
    const test = await dialling();
    const one = dial(test, { headers: LONG });
    expect([viaOf(one.invite()), one.invite().text.length > 1300, test.opened.length]).toEqual(['SIP/2.0/TCP', true, 1]);
    expect(header(one.invite().text, 'Contact')).toBe('<sip:192.0.2.1:5060>');
    test.opened[0]?.receive(reply(one.invite(), 180));
    one.outbound.cancel();
    expect(viaOf(last(test, 'CANCEL'))).toBe('SIP/2.0/TCP');
    test.opened[0]?.receive(reply(one.invite(), 487));
    expect(viaOf(last(test, 'ACK'))).toBe('SIP/2.0/TCP');
    expect(one.failures.map((each) => each.cause)).toEqual(['cancelled']);
    const two = dial(test, { headers: LONG });
    test.opened[0]?.receive(reply(two.invite(), 200, { sdp: SDP }));
    expect(viaOf(last(test, 'ACK'))).toBe('SIP/2.0/UDP');
    two.call().hangup();
    expect(viaOf(last(test, 'BYE'))).toBe('SIP/2.0/UDP');
    expect(answer(test, last(test, 'BYE'), 200)).toEqual([]);
    expect(two.ends).toEqual(['hangup']);
    expect(invites(test)).toEqual(['SIP/2.0/TCP', 'SIP/2.0/TCP']);
    test.clock.advance(40_000);
    expect(await test.count('sip_transactions')).toBe(0);
  });

  it('goes by UDP after all to whom refuses TCP, and for ten minutes at once', async () => {
    const test = await dialling();
    const one = dial(test, { headers: LONG });
    test.opened[0]?.close({ undelivered: true });
    test.clock.advance(0);
    expect(invites(test)).toEqual(['SIP/2.0/TCP', 'SIP/2.0/UDP']);
    const [first, second] = test.sent.filter(({ what }) => what === 'INVITE');
    expect(header(first!.text, 'Via') === header(second!.text, 'Via')).toBe(false);
    answer(test, one.invite(), 200, { sdp: SDP });
    expect([one.answers.length, one.failures]).toEqual([1, []]);

    const again = one.call().reinvite!(`${SDP}a=x-long:${'x'.repeat(1200)}\r\n`);
    expect([viaOf(one.invite()), one.invite().text.length > 1300]).toEqual(['SIP/2.0/UDP', true]);
    answer(test, one.invite(), 200, { sdp: SDP });
    await expect(again).resolves.toBe(SDP);
    dial(test, { headers: LONG });
    expect(invites(test).at(-1)).toBe('SIP/2.0/UDP');
    test.clock.advance(600_001);
    dial(test, { headers: LONG });
    expect(invites(test).at(-1)).toBe('SIP/2.0/TCP');
  });

  it('in a dialog keeps its number when it goes by another way', async () => {
    const test = await dialling();
    const one = dial(test);
    answer(test, one.invite(), 200, { sdp: SDP });
    void one.call().reinvite!(`${SDP}a=x-long:${'x'.repeat(1200)}\r\n`).catch(() => undefined);
    const byTcp = one.invite();
    expect([viaOf(byTcp), header(byTcp.text, 'CSeq')]).toEqual(['SIP/2.0/TCP', '2 INVITE']);
    test.opened[0]?.close({ undelivered: true });
    test.clock.advance(0);
    expect([viaOf(one.invite()), header(one.invite().text, 'CSeq')]).toEqual(['SIP/2.0/UDP', '2 INVITE']);
    answer(test, one.invite(), 200, { sdp: SDP });
    expect([viaOf(last(test, 'ACK')), header(last(test, 'ACK').text, 'CSeq')]).toEqual(['SIP/2.0/UDP', '2 ACK']);
    one.call().hangup();
    expect(header(last(test, 'BYE').text, 'CSeq')).toBe('3 BYE');
  });

  it('of a call that was given up meanwhile is not sent by another way', async () => {
    const test = await dialling();
    const one = dial(test, { headers: LONG });
    one.outbound.cancel();
    test.opened[0]?.close({ undelivered: true });
    test.clock.advance(0);
    expect(invites(test)).toEqual(['SIP/2.0/TCP']);
    expect(one.failures.map((each) => each.cause)).toEqual(['cancelled']);
    test.clock.advance(40_000);
    expect(await test.count('sip_transactions')).toBe(0);
  });
});

describe('a call by a trunk over TCP', () => {
  const tcp = { transport: 'tcp' as const, refer: 'allow' as const };
  const contact = '<sip:peer@192.0.2.9:5060;transport=tcp>';

  it('runs over one connection from its INVITE to its BYE', async () => {
    const test = await dialling(tcp);
    const one = dial(test);
    test.opened[0]?.receive(reply(one.invite(), 200, { sdp: SDP, contact }));
    const again = one.call().reinvite!(SDP);
    test.opened[0]?.receive(reply(one.invite(), 200, { sdp: SDP, contact }));
    await expect(again).resolves.toBe(SDP);
    one.call().refer!('sip:desk@192.0.2.50', () => undefined);
    test.opened[0]?.receive(reply(last(test, 'REFER'), 202));
    one.call().hangup();
    test.opened[0]?.receive(reply(last(test, 'BYE'), 200));
    expect(test.sent.map((each) => each.what)).toEqual(['INVITE', 'ACK', 'INVITE', 'ACK', 'REFER', 'BYE']);
    expect([test.sent.every((each) => viaOf(each) === 'SIP/2.0/TCP'), test.opened.length, one.ends]).toEqual([true, 1, ['hangup']]);
    expect(header(one.invite().text, 'Contact')).toBe('<sip:192.0.2.1:5060;transport=tcp>');
  });

  it('goes on over another connection when its own breaks, and hears the peer on one that the peer opens', async () => {
    const test = await dialling(tcp);
    const one = dial(test);
    test.opened[0]?.receive(reply(one.invite(), 200, { sdp: SDP, contact }));
    test.opened[0]?.close();
    test.clock.advance(1000);
    expect(one.ends).toEqual([]);
    one.call().refer!('sip:desk@192.0.2.50', () => undefined);
    expect([test.opened.length, viaOf(last(test, 'REFER'))]).toEqual([2, 'SIP/2.0/TCP']);
    test.opened[1]?.receive(reply(last(test, 'REFER'), 202));
    const theirs = test.connect({ address: TRUNK.peer.address, port: 40_000 });
    const ours = /;tag=(\S+)/.exec(header(one.invite().text, 'From') ?? '')?.[1];
    theirs.receive(
      [
        'BYE sip:x@192.0.2.1:5060 SIP/2.0',
        'Via: SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK-bye',
        'Max-Forwards: 70',
        `From: ${header(one.invite().text, 'To')};tag=peer`,
        `To: <sip:us@192.0.2.1>;tag=${ours}`,
        `Call-ID: ${header(one.invite().text, 'Call-ID')}`,
        'CSeq: 1 BYE',
        'Content-Length: 0',
        '',
        '',
      ].join('\r\n'),
    );
    expect([test.sent.at(-1)?.what, one.ends]).toEqual(['200', ['bye']]);
  });

  it('that the peer does not take fails at once, and is not tried by UDP', async () => {
    const test = await dialling(tcp);
    const one = dial(test);
    test.opened[0]?.close({ undelivered: true });
    test.clock.advance(0);
    expect([one.failures.map((each) => each.cause), invites(test)]).toEqual([['unreachable'], ['SIP/2.0/TCP']]);
  });
});

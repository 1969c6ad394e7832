import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Attacker } from '../support/attacker.ts';
import type { Endpoint } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import type { DialOptions, PhoneCall } from '../support/phone-call.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { elapse } from '../support/wait.ts';

/** 5 s of 20 ms packets, and some for a beat that catches up. */
const MOST_UNASKED = 256;

/** A machine that has nothing to do with the call. */
const VICTIM = '127.0.0.77';

describe('media aimed at third parties', () => {
  let gateway: GatewayProcess;
  let slack: MachineSlack;
  let phone: SipPhone;

  beforeAll(async () => {
    gateway = await GatewayProcess.start({ flags: ['--media-timeout', '7'] });
    slack = new MachineSlack(gateway.pid);
    phone = await SipPhone.open();
  });

  afterAll(async () => {
    slack.stop();
    phone.close();
    await gateway.stop();
  });

  /** Dials with media at `target`; the phone itself never sends. */
  async function dialFor(target: Endpoint, options: DialOptions = {}): Promise<PhoneCall> {
    const call = await phone.dial(gateway.sip, { talk: false, ...options, offer: { media: target, ...options.offer } });
    await call.answered();
    return call;
  }

  test.each([
    ['multicast', { address: '224.0.0.1', port: 20_000 }],
    ['broadcast', { address: '255.255.255.255', port: 20_000 }],
    ['a reserved address', { address: '240.0.0.1', port: 20_000 }],
    ['port 0 of another machine', { address: VICTIM, port: 0 }],
    ['the port of a name server', { address: VICTIM, port: 53 }],
    ['port 1023', { address: VICTIM, port: 1023 }],
    ['a name', { address: 'victim.invalid', port: 20_000 }],
    ['an address of this network (0.0.0.9)', { address: '0.0.0.9', port: 20_000 }],
    ['a port that is none', { address: VICTIM, port: 65_536 }],
  ])('an INVITE for %s is refused', async (_, media) => {
    const call = await phone.dial(gateway.sip, { offer: { media } });
    const { status } = await call.refused();
    expect([400, 488]).toContain(status);
  });

  test('an INVITE for 0.0.0.0 is a call on hold: answered, and nothing is sent', async () => {
    const call = await dialFor({ address: '0.0.0.0', port: 20_000 });
    expect(call.remoteMedia?.direction).toBe('recvonly');
    await elapse(300);
    expect(call.media.arrivals.count).toBe(0);
    await call.bye();
  });

  test('whoever never sent gets 5 s of media in a call at the most, and none before the ACK', async () => {
    const victims = await Promise.all(Array.from({ length: 6 }, () => Attacker.open(VICTIM)));
    const [silent, first, second, unacknowledged, reports, held] = victims as [Attacker, Attacker, Attacker, Attacker, Attacker, Attacker];
    /** The call ends by itself, long after the media has. */
    const toSilent = async (): Promise<void> => {
      const call = await dialFor(silent.local);
      const answeredAt = performance.now();
      const bye = await call.hungUp(12_000);
      expect(performance.now() - answeredAt).toBeGreaterThan(6500 - slack.worstMs);
      expect(bye.header('reason')).toBeDefined();
      const last = silent.replies.last?.at ?? 0;
      expect(last - answeredAt).toBeGreaterThan(3000 - slack.worstMs);
      expect(last - answeredAt).toBeLessThan(5500 + slack.worstMs);
    };
    /** A phone that has proved its own address moves the media from victim to victim, and back. */
    const fromOneToTheNext = async (): Promise<void> => {
      const call = await phone.dial(gateway.sip);
      await call.answered();
      await elapse(500);
      call.media.pause();
      for (const victim of [first, second, first]) {
        expect((await call.reinvite(call.sdp({ media: victim.local }))).status).toBe(200);
        await elapse(1900);
      }
      await call.bye();
    };
    const withoutAck = async (): Promise<void> => {
      const call = await dialFor(unacknowledged.local, { ack: false });
      await elapse(6000);
      call.ack();
      await call.bye();
    };
    /** RFC 3605 lets a=rtcp name another machine. */
    const reportsElsewhere = async (): Promise<void> => {
      const { address, port } = reports.local;
      const call = await phone.dial(gateway.sip, { offer: { lines: [`a=rtcp:${port} IN IP4 ${address}`] } });
      await call.answered();
      await call.media.rtcpArrivals.find(() => true, 8000, 'a report at the phone');
      await call.bye();
    };
    /** On hold nothing flows; the victim is named when the call is taken back. */
    const afterHold = async (): Promise<void> => {
      const call = await dialFor(held.local, { offer: { direction: 'sendonly' } });
      await elapse(1000);
      expect(held.replies.count).toBe(0);
      await call.reinvite(call.sdp({ media: held.local, direction: 'sendrecv' }));
      await elapse(6000);
      await call.bye();
    };
    /** Its neighbour for RTCP would be port 65536. */
    const lastPort = async (): Promise<void> => {
      const call = await dialFor({ address: VICTIM, port: 65_535 });
      await elapse(4000);
      await call.bye();
    };
    await Promise.all([toSilent(), fromOneToTheNext(), withoutAck(), reportsElsewhere(), afterHold(), lastPort()]);
    await elapse(300);

    console.log(
      `figures: packets to a silent victim ${silent.replies.count}, to two in turn ${first.replies.count} + ${second.replies.count}, ` +
        `before the ACK ${unacknowledged.replies.count}, by a=rtcp ${reports.replies.count}, after hold ${held.replies.count}`,
    );
    expect(silent.replies.count).toBeGreaterThan(100);
    expect(silent.replies.count).toBeLessThanOrEqual(MOST_UNASKED);
    expect(first.replies.count).toBeGreaterThan(50);
    expect(first.replies.count + second.replies.count).toBeLessThanOrEqual(MOST_UNASKED);
    // After the ACK and before the BYE a packet or two may have left.
    expect(unacknowledged.replies.count).toBeLessThanOrEqual(2 + slack.worstMs / 20);
    expect(reports.replies.count).toBe(0);
    expect(held.replies.count).toBeLessThanOrEqual(MOST_UNASKED);
    for (const victim of victims) victim.close();
    expect(gateway.running).toBe(true);
  });

  test('nothing of a call goes to whom only Via, Contact or Record-Route name', async () => {
    const victim = await Attacker.open(VICTIM);
    const { address, port } = victim.local;
    const options = await phone.ask('OPTIONS', gateway.sip, { headers: [['Record-Route', `<sip:${address}:${port};lr>`]] });
    expect(options.status).toBe(200);
    const before = victim.replies.count;
    const branch = `z9hG4bK${port}`;
    for (const [name, via] of [
      ['sent-by', `SIP/2.0/UDP ${address}:${port};branch=${branch}1`],
      ['maddr', `SIP/2.0/UDP ${phone.local.address}:${phone.local.port};maddr=${address};branch=${branch}2`],
      ['received', `SIP/2.0/UDP ${phone.local.address}:${phone.local.port};received=${address};rport=${port};branch=${branch}3`],
    ]) {
      const request = [
        `OPTIONS sip:agent@${gateway.sip.address} SIP/2.0`,
        `Via: ${via}`,
        'Max-Forwards: 70',
        `From: <sip:phone@${phone.local.address}>;tag=${name}`,
        `To: <sip:agent@${gateway.sip.address}>`,
        `Call-ID: ${name}${port}`,
        'CSeq: 1 OPTIONS',
        'Content-Length: 0',
      ];
      phone.sendRaw(`${request.join('\r\n')}\r\n\r\n`, gateway.sip);
    }
    await elapse(300);
    expect(victim.replies.count - before).toBe(0);
    victim.close();
  });
});

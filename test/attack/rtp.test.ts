import { randomInt } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Attacker, lastingGapMs, paced } from '../support/attacker.ts';
import { LOOPBACK } from '../support/endpoint.ts';
import { encodeG711 } from '../support/g711.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { writeRtp } from '../support/rtp-wire.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { findTone, isSilent, tone, toneShare } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';

const OWN_HZ = 700;
const FOREIGN_HZ = 1800;
const CALLS = 10;

/** A port pair for each call, and some that stay free. */
const FIRST_PORT = 20_000 + 2 * randomInt(5000);
const LAST_PORT = FIRST_PORT + 4 * CALLS - 1;
const ports = Array.from({ length: LAST_PORT - FIRST_PORT + 1 }, (_, n) => FIRST_PORT + n);

const foreignVoice = tone(FOREIGN_HZ, 200);

/** Audio that nobody in the call said. */
function forged(n: number, { ssrc = 0x442a2c1, sequence = n, timestamp = n * 160 } = {}): Buffer {
  const payload = encodeG711('PCMU', foreignVoice.subarray((n % 10) * 160, (n % 10) * 160 + 160));
  return writeRtp({ payloadType: 0, marker: false, sequence, timestamp, ssrc, payload });
}

describe('the RTP ports', () => {
  let gateway: GatewayProcess;
  let slack: MachineSlack;
  let phone: SipPhone;
  const calls: PhoneCall[] = [];
  const attackers: Attacker[] = [];

  beforeAll(async () => {
    gateway = await GatewayProcess.start({ flags: ['--rtp-ports', `${FIRST_PORT}-${LAST_PORT}`, '--max-calls', `${2 * CALLS}`] });
    slack = new MachineSlack(gateway.pid);
    phone = await SipPhone.open();
  });

  afterEach(async () => {
    for (const each of attackers.splice(0)) each.close();
    await Promise.all(calls.splice(0).map((call) => call.bye().catch(() => undefined)));
  });

  afterAll(async () => {
    slack.stop();
    phone.close();
    await gateway.stop();
  });

  async function attacker(address?: string): Promise<Attacker> {
    const made = await Attacker.open(address);
    attackers.push(made);
    return made;
  }

  async function dial(talk = true): Promise<PhoneCall> {
    const call = await phone.dial(gateway.sip, { talk });
    calls.push(call);
    await call.answered();
    return call;
  }

  /** A call that hears its own tone back: what the model hears, the phone hears. */
  async function echoed(): Promise<PhoneCall> {
    const call = await dial();
    call.media.background(tone(OWN_HZ, 200));
    await call.media.press('2');
    const hears = (): boolean => findTone(call.media.recording(Math.max(0, call.media.arrivals.count - 15)).samples, OWN_HZ).present;
    await eventually(hears, 15_000, 'the echo');
    return call;
  }

  async function recordOf(call: PhoneCall): Promise<Readonly<Record<string, unknown>>> {
    await call.bye();
    return eventually(() => gateway.cdrs().find((record) => record['sip_call_id'] === call.callId), 3000, 'the call record');
  }

  test('a spray over all of them during ten calls brings nothing back and nothing in', async () => {
    const made = await Promise.all(Array.from({ length: CALLS }, () => echoed()));
    const stranger = await attacker();
    const neighbour = await attacker(LOOPBACK);
    const before = made.map(({ media }) => media.arrivals.count);
    // 2 s: each port gets a packet of both every 20 ms.
    await paced(100 * ports.length, 50 * ports.length, (n) => {
      const round = Math.floor(n / ports.length);
      const port = ports[n % ports.length] as number;
      stranger.send(forged(round, { timestamp: 0x442a2c1 }), { address: LOOPBACK, port });
      neighbour.send(forged(round), { address: LOOPBACK, port });
    });
    // As one who has seen the call's packets would do it: its SSRC, its next numbers.
    for (const { media } of made) {
      const to = media.remote ?? { address: LOOPBACK, port: 9 };
      for (let n = 0; n < 50; n++)
        stranger.send(forged(n, { ssrc: media.ssrc, sequence: media.sequence + n, timestamp: media.timestamp + 160 * n }), to);
    }
    await elapse(300);
    const heard = made.map(({ media }, n) => media.recording(before[n]).samples);
    const gap = lastingGapMs(made.map(({ media }, n) => media.arrivals.all.slice(before[n]).map(({ at }) => at)));
    const own = Math.min(...heard.map((samples) => toneShare(samples, OWN_HZ)));
    const foreign = Math.max(...heard.map((samples) => toneShare(samples, FOREIGN_HZ)));
    const records = await Promise.all(made.map(recordOf));
    console.log(
      `figures: ${stranger.sent + neighbour.sent} forged packets, ${stranger.replies.count + neighbour.replies.count} back; own tone at least ${own.toFixed(3)}, ` +
        `foreign tone at most ${foreign.toFixed(5)} of the power; longest gap ${gap.toFixed(0)} ms; ` +
        `foreign packets counted ${records.map((record) => record['packets_foreign']).join(' ')}`,
    );
    expect([stranger.replies.count, neighbour.replies.count]).toEqual([0, 0]);
    expect(own).toBeGreaterThan(0.9);
    expect(foreign).toBeLessThan(0.001);
    expect(gap).toBeLessThan(60 + slack.worstMs);
    for (const [n, record] of records.entries()) {
      const sent = made[n]?.media.sent ?? 0;
      // What the phone sent came in, and nothing else; its last packets may have met the end of the call.
      expect(Number(record['packets_in'])).toBeLessThanOrEqual(sent);
      expect(Number(record['packets_in'])).toBeGreaterThan(sent - 10 - slack.worstMs / 20);
      expect(Number(record['packets_foreign'])).toBeGreaterThan(100);
    }
  });

  test('a spray at calls whose phone never sends gets at most five packets in, and none back', async () => {
    const made = await Promise.all(Array.from({ length: 3 }, () => dial(false)));
    const stranger = await attacker();
    const sweep = (rounds: number, packet: (round: number) => Buffer): Promise<void> =>
      paced(rounds * ports.length, 50 * ports.length, (n) => {
        stranger.send(packet(Math.floor(n / ports.length)), { address: LOOPBACK, port: ports[n % ports.length] as number });
      });
    // The spray known since 2017: one timestamp, the next number in each round.
    await sweep(50, (round) => forged(round, { timestamp: 0x442a2c1 }));
    // Faster than any microphone; with numbers and times that jump about; a new stream each time.
    await sweep(25, (round) => forged(round, { timestamp: round * 1600 }));
    await sweep(25, (round) => forged(round, { sequence: round * 7, timestamp: round * 160 }));
    await sweep(25, (round) => forged(round, { ssrc: round }));
    await elapse(100);
    const records = await Promise.all(made.map(recordOf));
    const taken = records.map((record) => Number(record['packets_in'] ?? 0));
    console.log(`figures: ${stranger.sent} forged packets at silent phones' ports, ${taken.join(' ')} in, ${stranger.replies.count} back`);
    expect(Math.max(...taken)).toBeLessThanOrEqual(5);
    expect(stranger.replies.count).toBe(0);
  });

  test('an impostor with the pace of a real phone has to leave with the first packet of the right one', async () => {
    const call = await dial(false);
    const impostor = await attacker();
    const to = call.media.remote ?? { address: LOOPBACK, port: 9 };
    // Nobody else speaks, so for all anybody can tell this is the phone, behind a NAT: 25 packets in a row, none of which is heard.
    await paced(60, 50, (n) => impostor.send(forged(n), to));
    const back = impostor.replies.count;
    call.media.start();
    await elapse(200);
    const after = impostor.replies.count;
    const from = call.media.arrivals.count;
    await paced(50, 50, (n) => impostor.send(forged(60 + n), to));
    await elapse(200);
    console.log(
      `figures: an impostor at a silent phone's port got ${back} packets, and ${impostor.replies.count - after} once the phone spoke`,
    );
    expect(impostor.replies.count - after).toBe(0);
    expect(call.media.arrivals.count - from).toBeGreaterThan(30);
    const record = await recordOf(call);
    expect(Number(record['packets_foreign'])).toBeGreaterThanOrEqual(25);
  });

  test('RTCP of strangers, short and contradictory, changes nothing and is not answered', async () => {
    const call = await echoed();
    const stranger = await attacker();
    const neighbour = await attacker(LOOPBACK);
    const rtcp = call.remoteMedia?.rtcp ?? { address: LOOPBACK, port: 9 };
    const ssrc = call.media.arrivals.last?.ssrc ?? 0;
    const bye = Buffer.from([0x81, 203, 0, 1, 0, 0, 0, 0]);
    bye.writeUInt32BE(call.media.ssrc, 4);
    const byeOfOurs = Buffer.from(bye);
    byeOfOurs.writeUInt32BE(ssrc, 4);
    const lies = Buffer.alloc(32);
    lies.set([0x9f, 201, 0, 7]);
    const bad = [
      bye,
      byeOfOurs,
      lies,
      Buffer.from([0x80, 200, 0, 0]),
      Buffer.from([0x80, 201]),
      Buffer.from([0x9f, 200, 0xff, 0xff]),
      Buffer.alloc(0),
    ];
    const from = call.media.arrivals.count;
    for (let n = 0; n < 50; n++) {
      for (const datagram of bad) {
        for (const each of [stranger, neighbour]) each.send(datagram, rtcp);
        call.media.sendRtcp(datagram, rtcp);
      }
      await elapse(5);
    }
    await elapse(300);
    expect([stranger.replies.count, neighbour.replies.count]).toEqual([0, 0]);
    const { samples } = call.media.recording(from);
    expect(toneShare(samples, OWN_HZ)).toBeGreaterThan(0.9);
    expect(isSilent(samples)).toBe(false);
    expect(call.requests.all.map(({ method }) => method)).not.toContain('BYE');
    expect(gateway.running).toBe(true);
  });
});

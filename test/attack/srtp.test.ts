import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AttackedGateway } from '../support/attacked-gateway.ts';
import { Attacker, lastingGapMs, paced } from '../support/attacker.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import { findTone, rms, tone } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';
import { WEB_RATE_HZ, type WebCaller, type WebCallerOptions } from '../support/web-caller.ts';

const OWN_HZ = 700;
/** 40 ms at 24 kHz. */
const PIECE = WEB_RATE_HZ / 25;

/** Shares of pieces of a recording in which the caller's own tone is heard, and nothing else. */
function echoShare(heard: Int16Array): number {
  const pieces = Array.from({ length: Math.floor(heard.length / PIECE) }, (_, n) => heard.subarray(n * PIECE, (n + 1) * PIECE));
  return pieces.filter((piece) => isEcho(piece)).length / Math.max(1, pieces.length);
}

function isEcho(piece: Int16Array): boolean {
  return rms(piece) > 3000 && findTone(piece, OWN_HZ, { rateHz: WEB_RATE_HZ }).share > 0.9;
}

describe('SRTP', () => {
  let gateway: AttackedGateway;
  let slack: MachineSlack;
  const callers: WebCaller[] = [];
  /** Callers that hear their own tone back; made together, because the way there takes some seconds. */
  let echoes: Readonly<Record<'actpass' | 'active' | 'wrapping', WebCaller>>;

  beforeAll(async () => {
    gateway = await AttackedGateway.start();
    slack = new MachineSlack(gateway.process.pid);
    // The numbers of the last one are about to wrap when it is its turn.
    const [actpass, active, wrapping] = await Promise.all([
      echoing({ setup: 'actpass' }),
      echoing({ setup: 'active' }),
      echoing({ firstSequence: 65_536 - 600 }),
    ]);
    echoes = { actpass, active, wrapping };
  });

  afterAll(async () => {
    slack.stop();
    for (const each of callers) each.close();
    await gateway.stop();
  });

  async function echoing(options: WebCallerOptions): Promise<WebCaller> {
    const made = await gateway.webCaller(options);
    callers.push(made);
    await made.connected();
    made.background(tone(OWN_HZ, 200, { rateHz: WEB_RATE_HZ }));
    made.talk();
    made.press('2');
    await eventually(async () => isEcho((await made.heard(Math.max(0, made.arrivals.count - 4))).subarray(-PIECE)), 15_000, 'the echo');
    return made;
  }

  /** Packets the session's model has been given so far: every frame comes back as one. */
  async function framesOf(made: WebCaller): Promise<Readonly<Record<string, number>>> {
    made.hangUp();
    const isEnd = ({ msg, session }: { msg: string; session?: unknown }): boolean => msg === 'session ended' && session === made.sessionId;
    const end = await gateway.process.log.find(isEnd, 3000, 'the end of the session');
    return { uplink: Number(end['uplinkFrames']), concealed: Number(end['concealedFrames']) };
  }

  async function underFire(setup: 'actpass' | 'active'): Promise<void> {
    const victim = echoes[setup];
    victim.keepsSent = true;
    await elapse(2100);
    victim.keepsSent = false;
    const captured = victim.sent.filter((datagram) => (datagram[0] as number) >= 128 && (datagram[1] as number) % 128 === 111);
    expect(captured.length).toBeGreaterThanOrEqual(100);
    const stranger = await Attacker.open();
    const from = victim.arrivals.count;
    const startedAt = performance.now();
    const waitedBefore = slack.totalMs;
    const garbage = (n: number): Buffer => {
      const datagram = randomBytes(40 + (n % 200));
      datagram.set([0x80, n % 3 === 0 ? 200 : 111]);
      return datagram;
    };
    const changed = (n: number): Buffer => {
      const datagram = Buffer.from(captured[n % captured.length] as Buffer);
      // The number goes on where the real one is; anything else is as it was.
      datagram.writeUInt16BE((datagram.readUInt16BE(2) + 120) & 0xffff, 2);
      const at = 12 + (n % (datagram.length - 12));
      datagram[at] = (datagram[at] as number) ^ (1 << (n % 8));
      return datagram;
    };
    await paced(5000, 2500, (n) => {
      victim.sendRaw(garbage(n));
      if (n % 5 === 0) victim.sendRaw(changed(n));
      stranger.send(n % 2 ? garbage(n) : (captured[n % 100] as Buffer), gateway.relay);
    });
    for (const datagram of captured.slice(0, 100)) victim.sendRaw(datagram);
    await elapse(300);
    const starved = (slack.totalMs - waitedBefore) / (performance.now() - startedAt);
    const heard = await victim.heard(from + 10);
    const gap = lastingGapMs([victim.arrivals.all.slice(from).map(({ at }) => at)]);
    const share = echoShare(heard);
    const { rtpSent } = victim.peer.snapshot();
    const closed = [...victim.closed]; // before the caller itself ends the call
    const frames = await framesOf(victim);
    console.log(
      `figures (${setup}): 5000 garbage, 1000 changed and 100 replayed packets from the caller's own address, 5000 from elsewhere: ${(100 * share).toFixed(1)} % of the echo is heard, ` +
        `longest gap ${gap.toFixed(0)} ms, ${frames['uplink']} frames at the model of ${rtpSent} packets sent (${frames['concealed']} concealed), ${stranger.replies.count} replies`,
    );
    // A caller that is late itself, on a busy machine, hears that as well.
    expect(share).toBeGreaterThan(Math.max(0.5, 0.85 - starved));
    expect(frames['concealed']).toBeLessThanOrEqual(Math.floor(slack.worstMs / 20));
    expect(gap).toBeLessThan(60 + slack.worstMs);
    expect(frames['uplink']).toBeLessThanOrEqual(rtpSent + (frames['concealed'] ?? 0));
    expect(frames['uplink']).toBeGreaterThan(rtpSent - 10 - slack.worstMs / 20);
    expect(stranger.replies.count).toBe(0);
    expect(closed).toEqual([]);
    expect(gateway.unharmed).toBe(true);
    stranger.close();
  }

  test('garbage, changed and replayed packets never reach the model, whichever side was the DTLS client', async () => {
    await Promise.all([underFire('actpass'), underFire('active')]);
  });

  test('a hole of 3.2 s over the wrap of the sequence numbers heals within 200 ms', async () => {
    const victim = echoes.wrapping;
    await eventually(() => victim.nextSequence > 65_536 - 60 || victim.nextSequence < 1000, 15_000, 'the wrap to come near');
    expect(victim.nextSequence).toBeGreaterThan(60_000);
    victim.lost = true;
    await elapse(3200);
    expect(victim.nextSequence).toBeLessThan(30_000);
    const from = victim.arrivals.count;
    const endsAt = performance.now();
    victim.lost = false;
    await elapse(1000);
    const heard = await victim.heard(from);
    const arrivals = victim.arrivals.all.slice(from);
    const piece = Array.from({ length: Math.floor(heard.length / PIECE) }, (_, n) => n).find((n) =>
      isEcho(heard.subarray(n * PIECE, (n + 1) * PIECE)),
    );
    // Two packets make a piece; it is heard when the second one is there.
    const healedMs = piece === undefined ? Number.NaN : (arrivals[piece * 2 + 1]?.at ?? Number.NaN) - endsAt;
    console.log(`figures: after a hole of 3.2 s over the wrap the caller hears itself again ${healedMs.toFixed(0)} ms later`);
    expect(healedMs).toBeLessThan(200 + slack.worstMs);
    expect(victim.peer.snapshot().state).toBe('connected');
  });
});

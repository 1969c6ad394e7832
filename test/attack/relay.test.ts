import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { deriveRelayKeys } from '../../src/ownership/cluster-keys.ts';
import { makeUfrag } from '../../src/ownership/ufrag.ts';
import { type StunDraft, writeStun } from '../../src/webrtc/stun/write-stun.ts';
import { AttackedGateway } from '../support/attacked-gateway.ts';
import { Attacker, paced } from '../support/attacker.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import { findTone, rms, tone } from '../support/tones.ts';
import { elapse, eventually } from '../support/wait.ts';
import { WEB_RATE_HZ, type WebCaller } from '../support/web-caller.ts';

/** A check as ICE agents send it. */
function check(username: string | undefined, password?: string, more: Partial<StunDraft> = {}): Buffer {
  const draft: StunDraft = {
    class: 'request',
    transactionId: randomBytes(12),
    priority: 0x6e00_1eff,
    useCandidate: true,
    iceControlling: 1n,
    ...more,
  };
  return writeStun({ ...draft, ...(username === undefined ? {} : { username }) }, password);
}

/** 40 ms. */
const PIECE = WEB_RATE_HZ / 25;

describe('the relay and what lies behind it', () => {
  let gateway: AttackedGateway;
  let slack: MachineSlack;
  const callers: WebCaller[] = [];
  let proven = 0;
  const attackers: Attacker[] = [];

  beforeAll(async () => {
    gateway = await AttackedGateway.start();
    slack = new MachineSlack(gateway.process.pid);
  });

  afterEach(() => {
    proven += callers.filter(({ connectedAt }) => connectedAt !== undefined).length;
    for (const each of [...callers.splice(0), ...attackers.splice(0)]) each.close();
  });

  afterAll(async () => {
    slack.stop();
    await gateway.stop();
  });

  async function caller(options: Parameters<AttackedGateway['webCaller']>[0] = {}): Promise<WebCaller> {
    const made = await gateway.webCaller(options);
    callers.push(made);
    return made;
  }

  async function attacker(address?: string): Promise<Attacker> {
    const made = await Attacker.open(address);
    attackers.push(made);
    return made;
  }

  async function state(): Promise<{ flows: number; sessions: number }> {
    const metrics = await gateway.process.metrics();
    return { flows: metrics.value('ringdown_relay_flows'), sessions: metrics.value('ringdown_sessions') };
  }

  test('STUN that proves nothing gets no answer and leaves nothing behind', async () => {
    const target = await caller({ connect: false });
    const before = await state();
    const stranger = await attacker();
    const { ufrag, pwd } = target.remote;
    const mine = target.credentials.ufrag;
    const forged = `${ufrag.slice(0, -1)}${ufrag.endsWith('A') ? 'B' : 'A'}`;
    const unknown = randomBytes(17).toString('base64').slice(0, 22);
    const unreached: Readonly<Record<string, Buffer>> = {
      'no username': check(undefined, pwd),
      'an unknown ufrag': check(`${unknown}:${mine}`, pwd),
      'a ufrag with a forged tag': check(`${forged}:${mine}`, pwd),
      'a ufrag cut short': check(`${ufrag.slice(0, 10)}:${mine}`, pwd),
      'an indication': check(`${ufrag}:${mine}`, pwd, { class: 'indication' }),
      'a response': check(undefined, pwd, { class: 'success' }),
    };
    for (const datagram of Object.values(unreached)) for (let n = 0; n < 50; n++) stranger.send(datagram, gateway.relay);
    await elapse(300);
    expect(await state()).toEqual(before);
    expect(stranger.replies.count).toBe(0);

    // These carry a ufrag the relay has to believe; their owner does not.
    const reaching: Readonly<Record<string, () => Buffer>> = {
      'no integrity': () => check(`${ufrag}:${mine}`),
      'a wrong password': () => check(`${ufrag}:${mine}`, 'a-password-of-22-chars'),
      'the wrong role': () => check(`${ufrag}:${mine}`, 'a-password-of-22-chars', { iceControlled: 1n }),
      'another sender': () => check(`${ufrag}:stranger`, pwd),
      'no sender': () => check(ufrag, pwd),
    };
    for (const make of Object.values(reaching)) for (let n = 0; n < 50; n++) stranger.send(make(), gateway.relay);
    await elapse(300);
    const after = await state();
    console.log(`figures: ${stranger.sent} checks, ${stranger.replies.count} replies, ${after.flows - before.flows} unproven flow`);
    expect(stranger.replies.count).toBe(0);
    // One way for the relay to remember, of one address, for ten seconds.
    expect(after.flows - before.flows).toBeLessThanOrEqual(1);
    expect(after.sessions).toBe(before.sessions);

    // The session is as good as new.
    target.connect();
    expect(await target.connected()).toBeLessThan(500 + slack.worstMs);
    expect(stranger.replies.count).toBe(0);
  });

  test('who knows a ufrag but not its password takes eight flows at the most', async () => {
    const target = await caller({ connect: false });
    const before = await state();
    const many = await Promise.all(Array.from({ length: 20 }, () => attacker()));
    for (const each of many) each.send(check(`${target.remote.ufrag}:x`, 'a-password-of-22-chars'), gateway.relay);
    await elapse(200);
    expect((await state()).flows - before.flows).toBeLessThanOrEqual(8);
    expect(many.every(({ replies }) => replies.count === 0)).toBe(true);
  });

  /** A caller that hears its own voice, at 700 Hz. */
  async function echoed(): Promise<WebCaller> {
    const made = await caller();
    await made.connected();
    made.background(tone(700, 200, { rateHz: WEB_RATE_HZ }));
    made.talk();
    made.press('2');
    await eventually(async () => await hears(made, 300), 15_000, 'the echo');
    return made;
  }

  /** Share of 40 ms pieces from arrival `from` on in which the caller hears its own tone: a lost frame takes one away. */
  async function echoShare(who: WebCaller, from: number): Promise<number> {
    const heard = await who.heard(from);
    const pieces = Array.from({ length: Math.floor(heard.length / PIECE) }, (_, n) => heard.subarray(n * PIECE, (n + 1) * PIECE));
    const good = pieces.filter((piece) => rms(piece) > 3000 && findTone(piece, 700, { rateHz: WEB_RATE_HZ }).share > 0.9);
    return good.length / Math.max(1, pieces.length);
  }

  /** A session that an attack ends or takes over hears nothing more; one on a starved machine misses pieces here and there. */
  function leastShare(starved: number): number {
    return Math.max(0.5, 0.9 - starved);
  }

  async function hears(who: WebCaller, lastMs: number): Promise<boolean> {
    const heard = await who.heard(Math.max(0, who.arrivals.count - lastMs / 20));
    return findTone(heard, 700, { rateHz: WEB_RATE_HZ }).present;
  }

  test('a session does not get at another one: not with its ufrag, not from its address', async () => {
    const victim = await echoed();
    const thief = await caller();
    await thief.connected();

    // With the victim's ufrag and its own password, from its own address.
    const replies = thief.arrivals.count;
    for (let n = 0; n < 50; n++) thief.sendRaw(check(`${victim.remote.ufrag}:${victim.credentials.ufrag}`, thief.remote.pwd));
    // Audio of the thief under the victim's ufrag changes nothing at the thief's session either.
    await elapse(300);
    expect(thief.closed).toEqual([]);
    expect(thief.arrivals.count).toBeGreaterThan(replies);

    // With its own valid ufrag and password, but from the victim's address: what a forger of addresses can do.
    const from = victim.arrivals.count;
    const startedAt = performance.now();
    const waitedBefore = slack.totalMs;
    await paced(400, 200, () => {
      victim.sendRaw(check(`${thief.remote.ufrag}:${thief.credentials.ufrag}`, thief.remote.pwd));
    });
    const starved = (slack.totalMs - waitedBefore) / (performance.now() - startedAt);
    const share = await echoShare(victim, from + 15);
    console.log(
      `figures: the victim hears ${(100 * share).toFixed(1)} % of its echo while its address claims another session 200 times a second`,
    );
    expect(share).toBeGreaterThan(leastShare(starved));
    expect(victim.closed).toEqual([]);
    await eventually(() => hears(victim, 300), 3000, 'the echo to go on');
  });

  test('one datagram from a forged address does not make the relay forget whose it is', async () => {
    const victim = await echoed();
    const dead = await caller();
    await dead.connected();
    const ufragOfTheDead = `${dead.remote.ufrag}:${dead.credentials.ufrag}`;
    dead.close();
    await elapse(100);
    const keysOfNobody = makeUfrag({ nodeId: 77, generation: 0 }, deriveRelayKeys(gateway.keys));
    const from = victim.arrivals.count;
    const startedAt = performance.now();
    const waitedBefore = slack.totalMs;
    await paced(1600, 800, (n) => {
      const forged = [
        Buffer.from([0]),
        Buffer.from([3, 1, 0, 0]),
        check(undefined, 'x'.repeat(22), { class: 'success' }),
        check(ufragOfTheDead, dead.remote.pwd),
        check(`${keysOfNobody}:x`, 'x'.repeat(22)),
        Buffer.from([22, 254, 253, 0, 0]),
        Buffer.from([70]),
      ];
      victim.sendRaw(forged[n % forged.length] as Buffer);
    });
    const starved = (slack.totalMs - waitedBefore) / (performance.now() - startedAt);
    const share = await echoShare(victim, from + 15);
    console.log(`figures: the victim hears ${(100 * share).toFixed(1)} % of its echo under 800 forged datagrams a second`);
    expect(share).toBeGreaterThan(leastShare(starved));
    expect(victim.closed).toEqual([]);
    expect(gateway.unharmed).toBe(true);
  });

  test('nothing of all that is left in the end', async () => {
    // Who once proved itself is remembered for a minute; nine others were not.
    await eventually(async () => (await state()).flows <= proven, 20_000, 'the flows to go');
    expect((await state()).sessions).toBe(0);
    expect(gateway.unharmed).toBe(true);
  });
});

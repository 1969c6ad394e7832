import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess, type RolesApart, startRolesApart } from '../support/gateway-process.ts';
import { longestGapMs, loudArrivals, nextArrival, nextSound, silentMs } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { Switchhook } from '../support/switchhook.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { findTone, tone } from '../support/tones.ts';
import { UdpListeners } from '../support/udp-listeners.ts';
import { elapse, eventually } from '../support/wait.ts';

/* sip, relay and transceiver in three processes, and what a caller notices when one of them dies. */

const hook = new Switchhook();
let roles: RolesApart;
let idle: readonly IdleGateway[];
let late: Lateness;

beforeAll(async () => {
  roles = await startRolesApart();
  await (await hook.call(roles.sip.sip)).bye();
  late = new Lateness(roles.transceiver);
  idle = await Promise.all([roles.sip, roles.transceiver].map((each) => IdleGateway.take(each)));
});

afterAll(async () => {
  late.stop();
  await hook.close();
  await roles.stop();
});

function causeOf(callId: string): Promise<unknown> {
  return eventually(() => roles.sip.cdrs().find((each) => each['sip_call_id'] === callId)?.['cause'], 3000, 'the call record');
}

/** A call in echo mode, past the prompt. */
async function echoCall(): Promise<PhoneCall> {
  const call = await hook.call(roles.sip.sip);
  await nextSound(call.media, 2000);
  await call.media.press('2');
  await elapse(2100);
  return call;
}

describe('a caller of a gateway with its roles apart', () => {
  test('is greeted, presses keys, hears itself, and hangs up or is hung up on', async () => {
    const dialledAt = performance.now();
    const call = await hook.call(roles.sip.sip);
    const answeredMs = performance.now() - dialledAt;
    const { at } = await nextSound(call.media, 2000);
    console.log(`roles apart: INVITE → 200 ${answeredMs.toFixed(0)} ms, → greeting ${(at - dialledAt).toFixed(0)} ms`);
    await call.media.press('3');
    await elapse(500);
    const first = call.media.arrivals.count;
    await elapse(300);
    expect(findTone(call.media.recording(first).samples, 1004).present).toBe(true);
    expect((await call.bye()).status).toBe(200);
    expect(await causeOf(call.callId)).toBe('remote_hangup');

    const other = await hook.call(roles.sip.sip);
    await other.media.press('#');
    await other.hungUp(4000);
    expect(await causeOf(other.callId)).toBe('agent_hangup');
    await Promise.all(idle.map((each) => each.restored()));
  });

  test('hears the agent again one packet after a killed relay is back, and the agent hears the caller', async () => {
    const call = await echoCall();
    call.media.background(tone(440, 1000));
    await nextSound(call.media, 1000);
    // A restart at once, and one that takes longer than a dead transceiver is waited for.
    for (const downMs of [0, 2000]) {
      await elapse(300);
      const killedAt = performance.now();
      await roles.relay.kill();
      await elapse(downMs);
      const restarted = roles.relay.restart();
      // The relay is back as soon as the kernel keeps its packets.
      const backAt = await new UdpListeners().bound(Number(flagOf('relay', '--inner-port')), 20_000);
      const firstPacket = await nextArrival(call.media, 5000);
      await restarted;
      await elapse(1000);
      const until = performance.now();
      const arrived = call.media.arrivals.all.filter((each) => each.at >= backAt && each.at <= until).length;
      const missing = Math.round((until - backAt) / 20) - arrived;
      const upMs = silentMs(call.media, backAt);
      console.log(
        `relay killed: ${(backAt - killedAt).toFixed(0)} ms outage; first packet ${(firstPacket.at - backAt).toFixed(0)} ms after it, ` +
          `the caller's own voice ${upMs.toFixed(0)} ms; ${missing} packets missing beyond the outage`,
      );
      const lateMs = await late.soFar();
      expect(missing).toBeLessThanOrEqual(1 + Math.floor(lateMs / 20));
      expect(firstPacket.at - backAt).toBeLessThan(60 + lateMs);
      expect(upMs).toBeLessThan(250 + lateMs);
      expect(findTone(call.media.recording(call.media.arrivals.count - 30).samples, 440).present).toBe(true);
    }
    expect((await call.bye()).status).toBe(200);
    expect(await causeOf(call.callId)).toBe('remote_hangup');
  });

  test('is hung up on within 3 s when the transceiver dies; the next caller finds the new one', async () => {
    const call = await hook.call(roles.sip.sip);
    await nextSound(call.media, 2000);
    const killedAt = performance.now();
    await roles.transceiver.kill();
    const bye = await call.hungUp(5000);
    const tookMs = performance.now() - killedAt;
    console.log(`transceiver killed: BYE after ${tookMs.toFixed(0)} ms`);
    expect(tookMs).toBeLessThan(3000 + (await late.soFar()));
    expect(bye.header('reason')).toContain('cause=41');
    expect(await causeOf(call.callId)).toMatch(/^(owner_lost|media_failed)$/);
    const refused = await (await (await hook.phone()).dial(roles.sip.sip)).refused();
    expect(refused.status).toBe(503);
    expect(Number(refused.header('retry-after'))).toBeGreaterThan(0);
    await roles.transceiver.restart();
    await eventually(async () => await takesCalls(), 10_000, 'the gateway to be ready again');
    const next = await hook.call(roles.sip.sip);
    await nextSound(next.media, 2000);
    await next.bye();
  });

  test('leaves no session behind when the process with the phones dies', async () => {
    const call = await hook.call(roles.sip.sip);
    await nextSound(call.media, 2000);
    expect((await roles.transceiver.metrics()).value('ringdown_sessions')).toBe(1);
    const killedAt = performance.now();
    await roles.sip.kill();
    const gone = async (): Promise<boolean> => (await roles.transceiver.metrics()).value('ringdown_sessions') === 0;
    await eventually(gone, 10_000, 'the session to end');
    console.log(`sip killed: its session ended after ${(performance.now() - killedAt).toFixed(0)} ms`);
    call.media.stop();
    await roles.sip.restart();
    const next = await hook.call(roles.sip.sip);
    await nextSound(next.media, 2000);
    await next.bye();
  });

  test('notices nothing when the connection between bridge and transceiver is cut', async () => {
    const target = { address: '127.0.0.1', port: Number(flagOf('transceiver', '--inner-port')) };
    const proxy = await TcpProxy.to(target);
    const nodes = roles.flags.sip.map((flag) => flag.replace(`=${target.address}:${target.port}`, `=127.0.0.1:${proxy.local.port}`));
    const sip = await GatewayProcess.start({
      flags: nodes.map((flag) => (flag === flagOf('sip', '--node-id') ? '9' : flag)),
      name: 'another bridge',
    });
    try {
      const call = await hook.call(sip.sip);
      await nextSound(call.media, 2000);
      const cutAt = performance.now();
      const taken = proxy.taken;
      proxy.cut();
      await eventually(() => proxy.taken > taken, 3000, 'the bridge to dial again');
      const healedMs = performance.now() - cutAt;
      // What is said over the door still arrives.
      const pressed = await call.media.press('#');
      await call.hungUp(4000);
      console.log(`door cut: dialled again after ${healedMs.toFixed(0)} ms`);
      expect(loudArrivals(call.media, pressed.startedAt + 200).length).toBeGreaterThan(10);
      expect(longestGapMs(call.media, cutAt, pressed.endedAt)).toBeLessThan(100 + (await late.soFar()));
    } finally {
      await sip.stop();
      proxy.close();
    }
  });
});

function flagOf(role: 'sip' | 'relay' | 'transceiver', flag: string): string | undefined {
  const flags = roles.flags[role];
  return flags[flags.indexOf(flag) + 1];
}

async function takesCalls(): Promise<boolean> {
  const { address, port } = roles.sip.http;
  return (await fetch(`http://${address}:${port}/readyz`)).status === 200;
}

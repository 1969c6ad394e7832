import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endpointText } from '../support/endpoint.ts';
import { GatewayProcess, type LogLine } from '../support/gateway-process.ts';
import { longestGapMs, loudArrivals, nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { Switchhook } from '../support/switchhook.ts';
import { findTone, tone } from '../support/tones.ts';
import { elapse, eventually, within } from '../support/wait.ts';

/* A front process with two workers: whose calls are where, and what a caller notices when a worker dies. */

const hook = new Switchhook();
let gateway: GatewayProcess;
let idle: IdleGateway;
let late: Lateness;

beforeAll(async () => {
  gateway = await GatewayProcess.start({ flags: ['--workers', '2'] });
  await (await hook.call(gateway.sip)).bye();
  idle = await IdleGateway.take(gateway);
  late = new Lateness(gateway);
});

afterAll(async () => {
  late.stop();
  await hook.close();
  await gateway.stop();
});

function answeredLine({ callId }: PhoneCall, of = gateway): Promise<LogLine> {
  return of.log.find((line) => line.msg === 'call answered' && line['sipCallId'] === callId, 2000, 'the log line of the answer');
}

/** The number of the worker that carries a call: its session is named after it. */
async function workerOf(call: PhoneCall, of = gateway): Promise<number> {
  return Number(/^rtc_(\d+)_/.exec(String((await answeredLine(call, of))['session']))?.[1]);
}

/** Process ids of the workers as they were started last, from worker 1 on. */
function pidsOf(of = gateway): number[] {
  const pids: number[] = [];
  for (const line of of.log.all) if (line.msg === 'worker ready') pids[Number(line['worker']) - 1] = Number(line['pid']);
  return pids;
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function recordOf(callId: string, of = gateway): Promise<Readonly<Record<string, unknown>>> {
  return eventually(() => of.cdrs().find((each) => each['sip_call_id'] === callId), 3000, 'the call record');
}

/** A call past the first sound of the greeting, in mode echo. */
async function echoCall(): Promise<PhoneCall> {
  const call = await hook.call(gateway.sip);
  await nextSound(call.media, 2000);
  await call.media.press('2');
  await elapse(2100);
  return call;
}

describe('callers of a gateway with two workers', () => {
  test('are spread over both; each is greeted, presses keys, hears tones and itself, and hangs up or is hung up on', async () => {
    const calls = await Promise.all([echoCall(), echoCall(), echoCall(), echoCall()]);
    const workers = await Promise.all(calls.map((call) => workerOf(call)));
    expect(workers.toSorted()).toEqual([1, 1, 2, 2]);
    const metrics = await gateway.metrics();
    expect([1, 2].map((worker) => metrics.value('ringdown_sessions', { worker: String(worker) }))).toEqual([2, 2]);
    expect(metrics.value('ringdown_calls')).toBe(4);
    expect(metrics.value('ringdown_workers_ready')).toBe(2);

    for (const call of calls) call.media.background(tone(440, 1000));
    await elapse(1000);
    const hearsItself = ({ media }: PhoneCall): boolean => findTone(media.recording(media.arrivals.count - 30).samples, 440).present;
    for (const call of calls) await eventually(() => hearsItself(call), 3000, 'its own tone');

    const [first, second, third, fourth] = calls as [PhoneCall, PhoneCall, PhoneCall, PhoneCall];
    expect((await first.bye()).status).toBe(200);
    await second.media.press('3');
    await elapse(500);
    const from = second.media.arrivals.count;
    await elapse(300);
    expect(findTone(second.media.recording(from).samples, 1004).present).toBe(true);
    await second.media.press('#');
    await second.hungUp(4000);
    await Promise.all([third.bye(), fourth.bye()]);

    const records = await Promise.all(calls.map(({ callId }) => recordOf(callId)));
    expect(records.map((each) => each['cause'])).toEqual(['remote_hangup', 'agent_hangup', 'remote_hangup', 'remote_hangup']);
    for (const record of records) {
      expect(record['packets_in']).toBeGreaterThan(100);
      expect(record['packets_out']).toBeGreaterThan(100);
      expect(record['turns']).toEqual(expect.any(Number));
      expect(record['setup_first_audio_ms']).toEqual(expect.any(Number));
    }
    await idle.restored();
  });

  test('of one that dies are hung up on within 3 s; the others hear no gap, and the next ones find it back', async () => {
    const calls = await Promise.all(Array.from({ length: 4 }, () => hook.call(gateway.sip)));
    await Promise.all(calls.map((call) => nextSound(call.media, 2000)));
    const workers = await Promise.all(calls.map((call) => workerOf(call)));
    const dying = calls.filter((_, n) => workers[n] === 1);
    const living = calls.filter((_, n) => workers[n] === 2);
    expect([dying.length, living.length]).toEqual([2, 2]);

    // Time for a beat, with which the workers tell what they have measured.
    await elapse(600);
    const [pid = 0] = pidsOf();
    const killedAt = performance.now();
    process.kill(pid, 'SIGKILL');
    const byes = await Promise.all(dying.map((call) => call.hungUp(5000)));
    const tookMs = performance.now() - killedAt;
    expect(tookMs).toBeLessThan(3000 + (await late.soFar()));
    for (const bye of byes) expect(bye.header('reason')).toContain('cause=41');
    for (const { callId } of dying) {
      const record = await recordOf(callId);
      expect(record).toMatchObject({ cause: 'owner_lost', codec: 'PCMU', packets_in: expect.any(Number), packets_out: expect.any(Number) });
      expect(record['figures_age_ms'], 'what the worker said last').toBeLessThan(5250 + (await late.soFar()));
    }

    const back = await gateway.log.find(
      (line) => line.msg === 'worker ready' && Number(line['worker']) === 1 && line['pid'] !== pid,
      10_000,
      'its return',
    );
    const backMs = performance.now() - killedAt;
    expect(back['pid']).not.toBe(pid);
    const gaps = living.map((call) => longestGapMs(call.media, killedAt, performance.now()));
    console.log(
      `worker killed: BYE after ${tookMs.toFixed(0)} ms, back after ${backMs.toFixed(0)} ms; longest gap of the other's calls ${Math.max(...gaps).toFixed(0)} ms`,
    );
    expect(Math.max(...gaps)).toBeLessThan(60 + (await late.soFar()));
    expect(living.some((call) => call.over)).toBe(false);

    // The emptier one is the one that has come back.
    const next = await hook.call(gateway.sip);
    expect(await workerOf(next)).toBe(1);
    await nextSound(next.media, 2000);
    for (const call of [...living, next]) {
      expect((await call.bye()).status).toBe(200);
      expect(await recordOf(call.callId)).not.toHaveProperty('figures_age_ms');
    }
    expect((await gateway.metrics()).value('ringdown_worker_deaths_total', { number: '1' })).toBe(1);
  });

  test('of one that is stuck are hung up on, and it is started again', async () => {
    const [call, other] = await Promise.all([hook.call(gateway.sip), hook.call(gateway.sip)]);
    await Promise.all([call, other].map(({ media }) => nextSound(media, 2000)));
    await elapse(600);
    const stuck = await workerOf(call);
    const pid = pidsOf()[stuck - 1] ?? 0;
    process.kill(pid, 'SIGSTOP');
    const stoppedAt = performance.now();
    await call.hungUp(15_000);
    const tookMs = performance.now() - stoppedAt;
    const slackMs = await late.soFar();
    console.log(`worker stopped: BYE after ${tookMs.toFixed(0)} ms`);
    // A front that is late itself waits longer, so as to kill nobody for the machine's sake.
    expect(tookMs).toBeLessThan(slackMs < 100 ? 2000 + slackMs : 6000 + 14 * slackMs);
    expect(await recordOf(call.callId)).toMatchObject({ cause: 'owner_lost', figures_age_ms: expect.any(Number) });
    await eventually(() => !runs(pid), 5000, 'the stuck worker to be gone');
    expect(other.over).toBe(false);
    await other.bye();
    await eventually(async () => (await gateway.metrics()).value('ringdown_workers_ready') === 2, 10_000, 'both workers to be ready');
  });
});

describe('a gateway with two workers and four calls', () => {
  test('that is told to end refuses new calls, lets the old ones talk, and ends with 0 after the last, its workers too', async () => {
    const draining = await GatewayProcess.start({ flags: ['--workers', '2'] });
    try {
      const calls = await Promise.all(Array.from({ length: 4 }, () => hook.call(draining.sip)));
      await Promise.all(calls.map((call) => nextSound(call.media, 2000)));
      const pids = pidsOf(draining);
      draining.signal('SIGTERM');
      await draining.logged('draining');
      expect((await (await (await hook.phone()).dial(draining.sip)).refused()).status).toBe(503);
      expect((await fetch(`http://${endpointText(draining.http)}/readyz`)).status).toBe(503);
      // The test tone: a greeting has pauses, and an end.
      await Promise.all(calls.map((call) => call.media.press('3')));
      const askedAt = performance.now();
      await eventually(
        () => calls.every((call) => loudArrivals(call.media, askedAt).length > 50),
        8000,
        'the tone in the calls that were there',
      );
      for (const { status } of await Promise.all(calls.map((call) => call.bye()))) expect(status).toBe(200);
      expect(await within(draining.ended, 5000, 'the end of the gateway')).toEqual({ code: 0, signal: null });
      // The one that was refused meanwhile has a record, too.
      expect(draining.cdrs().map((each) => each['cause'])).toEqual(['rejected', ...Array(4).fill('remote_hangup')]);
      await eventually(() => !pids.some(runs), 2000, 'the workers to be gone');
    } finally {
      await draining.stop();
    }
  });

  test('that is told twice hangs up on all, and has ended with 0 and all its records within 2 s', async () => {
    const ending = await GatewayProcess.start({ flags: ['--workers', '2'] });
    try {
      const calls = await Promise.all(Array.from({ length: 4 }, () => hook.call(ending.sip)));
      await Promise.all(calls.map((call) => nextSound(call.media, 2000)));
      const pids = pidsOf(ending);
      ending.signal('SIGTERM');
      await ending.logged('draining');
      // Two signals that come together are one.
      await elapse(300);
      const secondAt = performance.now();
      ending.signal('SIGTERM');
      const byes = await Promise.all(calls.map((call) => call.hungUp(5000)));
      expect(byes.map((each) => each.header('reason'))).toEqual(Array(4).fill(expect.stringContaining('cause=38')));
      expect(await within(ending.ended, 5000, 'the end of the gateway')).toEqual({ code: 0, signal: null });
      const endedMs = performance.now() - secondAt;
      console.log(`second signal with workers: ended after ${endedMs.toFixed(0)} ms`);
      expect(endedMs).toBeLessThan(2000 + (await late.soFar()));
      expect(ending.cdrs().map((each) => each['cause'])).toEqual(Array(4).fill('shutdown'));
      for (const record of ending.cdrs()) expect(record['packets_out']).toBeGreaterThan(0);
      await eventually(() => !pids.some(runs), 2000, 'the workers to be gone');
    } finally {
      await ending.stop();
    }
  });

  test('whose front dies leaves no worker behind', async () => {
    const dying = await GatewayProcess.start({ flags: ['--workers', '2'] });
    const call = await hook.call(dying.sip);
    await nextSound(call.media, 2000);
    const pids = pidsOf(dying);
    expect(pids.map(runs)).toEqual([true, true]);
    await dying.kill();
    await eventually(() => !pids.some(runs), 2000, 'the workers to be gone');
    call.media.stop();
    await dying.stop();
  });
});

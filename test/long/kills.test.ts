import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RolesApart, startRolesApart } from '../support/gateway-process.ts';
import { nextArrival, nextSound } from '../support/heard.ts';
import { IdleGateway, usage } from '../support/idle-gateway.ts';
import { LongReport, scaled } from '../support/long-run.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

/* Relay and transceiver killed under calls again and again: calls go on or end as documented (docs/operations.md), and nothing is left. */

const KILLS = scaled(20, 4);
const CALLS = 5;
/** The bridge asks its transceiver every half second and gives it two; then the BYE. */
const OWNER_LOST_MS = 4000;
const READY_MS = 30_000;

const hook = new Switchhook();
let roles: RolesApart;
let refused = 0;

beforeAll(async () => {
  roles = await startRolesApart();
});

afterAll(async () => {
  await hook.close();
  await roles.stop();
});

/** A gateway whose audio leaves late, as it does on a machine that is too busy, refuses callers by 503; they try again. */
async function answeredCall(): Promise<PhoneCall> {
  const giveUpAt = performance.now() + READY_MS;
  for (;;) {
    const call = await (await hook.phone()).dial(roles.sip.sip);
    const { status } = await call.final();
    if (status === 200) return call;
    if (status !== 503 || performance.now() > giveUpAt) throw new Error(`refused by ${status}`);
    refused += 1;
    await elapse(500);
  }
}

async function talkingCalls(): Promise<PhoneCall[]> {
  const calls: PhoneCall[] = [];
  for (let n = 0; n < CALLS; n++) {
    const call = await answeredCall();
    await nextSound(call.media, 5000);
    calls.push(call);
  }
  return calls;
}

function worst(values: readonly number[]): number {
  return Math.max(0, ...values);
}

/** From the relay's return to the last call that gets packets again, and how many calls are over. */
async function killRelay(calls: readonly PhoneCall[]): Promise<{ readonly backMs: number; readonly lost: number }> {
  await roles.relay.kill();
  await roles.relay.restart();
  const backAt = performance.now();
  const arrivals = await Promise.all(calls.map((call) => nextArrival(call.media, 5000).catch(() => undefined)));
  const backMs = worst(arrivals.map((arrival) => (arrival?.at ?? Number.POSITIVE_INFINITY) - backAt));
  await Promise.all(calls.map((call) => call.bye().catch(() => undefined)));
  return { backMs, lost: calls.filter(({ requests }) => requests.all.some(({ method }) => method === 'BYE')).length };
}

/** Until each caller is told, and how many never are. */
async function killTransceiver(calls: readonly PhoneCall[]): Promise<{ readonly toldMs: number; readonly untold: number }> {
  const killedAt = performance.now();
  await roles.transceiver.kill();
  const told = await Promise.all(
    calls.map((call) =>
      call.hungUp(10_000).then(
        () => performance.now() - killedAt,
        () => undefined,
      ),
    ),
  );
  await roles.transceiver.restart();
  return { toldMs: worst(told.filter((ms) => ms !== undefined)), untold: told.filter((ms) => ms === undefined).length };
}

async function takesCalls(): Promise<boolean> {
  const { address, port } = roles.sip.http;
  return (await fetch(`http://${address}:${port}/readyz`)).status === 200;
}

/** Until the next caller hears the agent. */
async function nextCallerMs(): Promise<number> {
  const at = performance.now();
  await eventually(takesCalls, READY_MS, 'the gateway to take calls again');
  const call = await answeredCall();
  await nextSound(call.media, 5000);
  await call.bye();
  return performance.now() - at;
}

test('kills of relay and transceiver end no call that could go on, and leave nothing', async () => {
  const report = new LongReport(
    'kills',
    'Kills',
    `Roles in three processes, ${CALLS} calls with the agent, ${KILLS} kills (SIGKILL) of the relay and the transceiver in turns, each started again on its ports.`,
  );
  // The first calls open what stays.
  await Promise.all((await talkingCalls()).map((call) => call.bye()));
  const idle = await IdleGateway.take(roles.sip);
  const relay = { kills: 0, backMs: 0, lost: 0 };
  const transceiver = { kills: 0, toldMs: 0, untold: 0 };
  let nextMs = 0;
  for (let n = 0; n < KILLS; n++) {
    const calls = await talkingCalls();
    if (n % 2 === 0) {
      const { backMs, lost } = await killRelay(calls);
      relay.kills += 1;
      relay.backMs = Math.max(relay.backMs, backMs);
      relay.lost += lost;
    } else {
      const { toldMs, untold } = await killTransceiver(calls);
      transceiver.kills += 1;
      transceiver.toldMs = Math.max(transceiver.toldMs, toldMs);
      transceiver.untold += untold;
    }
    nextMs = Math.max(nextMs, await nextCallerMs());
  }
  // Transactions and ports of the last calls.
  await elapse(6000);
  await idle.restored(40_000);
  const left = Object.values(usage(await roles.transceiver.metrics())).reduce((sum, count) => sum + count, 0);
  const records = roles.sip.cdrs().filter((each) => each['sip_status'] === 200);
  const made = CALLS * (KILLS + 1) + KILLS;
  const causes = new Map<unknown, number>();
  for (const { cause } of records) causes.set(cause, (causes.get(cause) ?? 0) + 1);

  const ownerLost = (causes.get('owner_lost') ?? 0) + (causes.get('media_failed') ?? 0);
  report.row(`relay killed ${relay.kills} times: calls lost`, `${relay.lost} of ${relay.kills * CALLS}`, '0', relay.lost === 0);
  report.row('packets again after the relay answers /readyz, at worst', `${relay.backMs.toFixed(0)} ms`, '≤ 1500 ms', relay.backMs <= 1500);
  report.row(`transceiver killed ${transceiver.kills} times: callers not told`, `${transceiver.untold}`, '0', transceiver.untold === 0);
  report.row(
    'BYE after the kill, at worst',
    `${transceiver.toldMs.toFixed(0)} ms`,
    `≤ ${OWNER_LOST_MS} ms`,
    transceiver.toldMs <= OWNER_LOST_MS,
  );
  report.row(
    'their records say owner_lost or media_failed',
    `${ownerLost}`,
    `${transceiver.kills * CALLS}`,
    ownerLost === transceiver.kills * CALLS,
  );
  report.row('call records', `${records.length} of ${made}`, 'one a call', records.length === made);
  report.row('left in the sip process: calls, dialogs, codecs, ports, file descriptors', '0', '0', true);
  report.row('left at the transceiver: sessions, codecs', `${left}`, '0', left === 0);
  report.note(`The next caller heard the agent ${(nextMs / 1000).toFixed(1)} s after both were up again, at worst.`);
  if (refused > 0) report.note(`${refused} calls were refused by 503 for the business of the machine, and came again.`);
  report.note(`Records by cause: ${[...causes].map(([cause, count]) => `${cause} ${count}`).join(', ')}.`);
  report.write();
  expect(report.missed).toEqual([]);
});

import { readFileSync } from 'node:fs';
import { setTimeout as elapse } from 'node:timers/promises';
import { median, quantile, short, table } from './figures.mjs';
import { Gateway } from './gateway.mjs';
import { Phones } from './phone.mjs';
import { withWatch } from './watch.mjs';
import { withYardstick } from './yardstick.mjs';

/** Echo: the prompt of 2 s, then a margin. */
const SETTLE_MS = 4000;

/** Calls come this far apart: spread over the beat, as callers are. */
const APART_MS = 23;

/** USER_HZ, which is 100 on every Linux. */
const TICK_MS = 10;

const FRAME_MS = 20;
const TICKS_A_MS = 8;

/** The same held calls in one process and over two workers: what they cost, and how late their packets are. */
export async function benchWorkers({ quick, counts = quick ? [50] : [10, 50, 75, 100, 150] }) {
  const rows = [];
  const how = quick ? { rounds: 2, roundMs: 4000 } : { rounds: 3, roundMs: 5000 };
  for (const count of counts) {
    for (const workers of [0, 2]) {
      const { value, floor } = await withWatch(() => measure(count, workers, how));
      rows.push([...value, floor]);
    }
  }
  return {
    title: 'Held calls in one process and over two workers (echo, audio both ways); medians of rounds',
    text: table(
      [
        ...['calls', 'workers', '% of a core a call', 'of which the front', 'busiest process, % of a core', 'RSS MB a call'],
        ...['sent after its beat, p50 / p99 / p99.9 ms', 'at the phone, late by, p50 / p99 / p99.9 ms', 'frames lost down, up'],
        ...['phones, % of a core', 'fixed calculation ms', 'idle process woken late, p50 / p99 / p99.9 ms'],
      ],
      rows,
    ),
  };
}

async function measure(count, workers, { rounds, roundMs }) {
  const gateway = await Gateway.start({ flags: ['--workers', String(workers)], lateness: true });
  const phones = await Phones.open(gateway.sip, { oneSocket: true });
  await phones.hangUp(await phones.call());
  const empty = memoryKb(gateway);
  const calls = [];
  try {
    for (let n = 0; n < count; n++) {
      calls.push(await phones.call());
      await elapse(APART_MS);
    }
  } catch {
    // It takes no more: what it took is measured.
  }
  await elapse(500);
  for (const call of calls) call.press('2');
  await elapse(SETTLE_MS);
  for (const call of calls) call.noteTimestamps = true;
  const measured = [];
  const yards = [];
  for (let round = 0; round < rounds; round++) {
    const { value, yardMs } = await withYardstick(() => share(gateway, calls, roundMs));
    measured.push(value);
    yards.push(yardMs);
  }
  const full = memoryKb(gateway);
  await phones.close();
  await elapse(300);
  const up = gateway.records().reduce((sum, { frames_concealed: concealed = 0 }) => sum + concealed, 0);
  await gateway.stop();
  const middle = (figure) => median(measured.map(figure));
  const quantiles = (figure) => [0.5, 0.99, 0.999].map((q) => short(middle((each) => quantile(each[figure], q)))).join(' / ');
  const all = middle(({ shares }) => shares.reduce((sum, each) => sum + each, 0));
  const front = middle(({ shares }) => shares[0]);
  return [
    ...[
      `${calls.length}${calls.length < count ? ` of ${count}, then refused` : ''}`,
      String(workers),
      (all / calls.length) * 100,
      `${short((front / all) * 100)} %`,
    ],
    ...[middle(({ shares }) => Math.max(...shares)) * 100, (full - empty) / 1000 / calls.length],
    ...[quantiles('sent'), quantiles('heard')],
    ...[`${measured.reduce((sum, each) => sum + each.lost, 0)}, ${up}`, middle(({ load }) => load) * 100, median(yards)],
  ];
}

/** CPU of the front and each of its workers as shares of a core, and how late frames were sent and heard. */
async function share(gateway, calls, ms) {
  const { pids } = gateway;
  for (const call of calls) call.arrivals.length = call.timestamps.length = 0;
  await gateway.lateness();
  const before = pids.map(cpuMs);
  const load = process.cpuUsage();
  const startedAt = performance.now();
  await elapse(ms);
  const after = pids.map(cpuMs);
  const { user, system } = process.cpuUsage(load);
  const elapsedMs = performance.now() - startedAt;
  const sent = await gateway.lateness();
  const streams = calls.map(({ arrivals, timestamps }) => heard(arrivals, timestamps));
  return {
    shares: after.map((each, n) => (each - before[n]) / elapsedMs),
    load: (user + system) / 1000 / elapsedMs,
    sent,
    heard: streams.flatMap(({ late }) => late),
    lost: streams.reduce((sum, { lost }) => sum + lost, 0),
  };
}

/** How much later each frame came than the least delayed one, by its timestamp; frames that never came or that time was let pass for. */
function heard(arrivals, timestamps) {
  const delays = timestamps.map((timestamp, n) => arrivals[n] - ((timestamp - timestamps[0]) >>> 0) / TICKS_A_MS);
  const least = delays.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY);
  const span = timestamps.length === 0 ? 0 : ((timestamps.at(-1) - timestamps[0]) >>> 0) / TICKS_A_MS / FRAME_MS + 1;
  return { late: delays.map((each) => each - least), lost: Math.max(0, span - timestamps.length) };
}

function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function memoryKb(gateway) {
  return gateway.pids.reduce((sum, pid) => sum + Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]), 0);
}

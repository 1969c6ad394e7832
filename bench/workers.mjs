import { readFileSync } from 'node:fs';
import { setTimeout as elapse } from 'node:timers/promises';
import { median, quantile, short, table } from './figures.mjs';
import { Gateway } from './gateway.mjs';
import { Phones } from './phone.mjs';
import { withYardstick } from './yardstick.mjs';

/** Echo: the prompt of 2 s, then a margin. */
const SETTLE_MS = 5000;

/** USER_HZ, which is 100 on every Linux. */
const TICK_MS = 10;

/** The same held calls in one process and over two workers: what they cost, and how even their packets come. */
export async function benchWorkers({ quick }) {
  const rows = [];
  for (const count of quick ? [50] : [10, 50, 100, 150]) {
    for (const workers of [0, 2])
      rows.push(await measure(count, workers, quick ? { rounds: 2, roundMs: 4000 } : { rounds: 3, roundMs: 8000 }));
  }
  return {
    title: 'Held calls in one process and over two workers (echo, audio both ways)',
    text: table(
      [
        ...['calls', 'workers', '% of a core a call', 'of which the front', 'busiest process, % of a core'],
        ...['deviation from 20 ms at the phone, p50 / p99 / p99.9 ms', 'packets lost', 'fixed calculation ms'],
      ],
      rows,
    ),
  };
}

async function measure(count, workers, { rounds, roundMs }) {
  const gateway = await Gateway.start({ flags: ['--workers', String(workers)] });
  const phones = await Phones.open(gateway.sip);
  const calls = [];
  for (let n = 0; n < count; n++) {
    calls.push(await phones.call());
    await elapse(37); // spread over the beat, as callers are
  }
  await elapse(500);
  for (const call of calls) call.press('2');
  await elapse(SETTLE_MS);
  const measured = [];
  const yards = [];
  for (let round = 0; round < rounds; round++) {
    for (const call of calls) call.arrivals.length = 0;
    const { value, yardMs } = await withYardstick(() => share(gateway.pid, calls, roundMs));
    measured.push(value);
    yards.push(yardMs);
  }
  await phones.close();
  await gateway.stop();
  const { deviations } = measured.at(-1);
  const lost = measured.reduce((sum, each) => sum + each.lost, 0);
  const all = median(measured.map(({ shares }) => shares.reduce((sum, each) => sum + each, 0)));
  const front = median(measured.map(({ shares }) => shares[0]));
  const busiest = median(measured.map(({ shares }) => Math.max(...shares)));
  return [
    ...[count, String(workers), (all / count) * 100, `${short((front / all) * 100)} %`, busiest * 100],
    `${short(quantile(deviations, 0.5))} / ${short(quantile(deviations, 0.99))} / ${short(quantile(deviations, 0.999))}`,
    ...[String(lost), median(yards)],
  ];
}

/** CPU of the front and each of its workers as shares of a core, and how even the packets of the calls came. */
async function share(front, calls, ms) {
  const pids = [front, ...childrenOf(front)];
  const before = pids.map(cpuMs);
  const startedAt = performance.now();
  await elapse(ms);
  const after = pids.map(cpuMs);
  const elapsedMs = performance.now() - startedAt;
  const deviations = calls.flatMap(({ arrivals }) => arrivals.slice(1).map((at, n) => Math.abs(at - arrivals[n] - 20)));
  const expected = Math.floor(elapsedMs / 20) - 1;
  const lost = calls.reduce((sum, { arrivals }) => sum + Math.max(0, expected - arrivals.length), 0);
  return { shares: after.map((each, n) => (each - before[n]) / elapsedMs), deviations, lost };
}

function childrenOf(pid) {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return text === '' ? [] : text.split(' ').map(Number);
}

function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

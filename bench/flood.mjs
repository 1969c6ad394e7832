import { setTimeout as elapse } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { quantile, table } from './figures.mjs';
import { cpuBetween, Gateway } from './gateway.mjs';
import { Phones } from './phone.mjs';
import { withWatch } from './watch.mjs';
import { withYardstick } from './yardstick.mjs';

const CALLS = 20;
const PER_SECOND = 10_000;

/** OPTIONS from one source, each with its own Call-ID and user, while calls go on: with the bucket before parsing alone, and with bans. */
export async function benchFlood({ quick }) {
  const seconds = quick ? 4 : 20;
  const rows = [];
  for (const [name, flags, perSecond] of [
    ['calm', [], 0],
    ['bucket (`--sip-rate 200`)', ['--sip-ban', '0'], PER_SECOND],
    ['bucket and ban', [], PER_SECOND],
  ]) {
    rows.push([name, ...(await measure(flags, perSecond, seconds))]);
  }
  return {
    title: `${PER_SECOND} OPTIONS a second from one source beside ${CALLS} calls, ${seconds} s`,
    text: table(
      [
        ...['what holds it', 'sent a second', 'answered', 'longest gap of a call p50 / most ms', 'packets lost'],
        ...['% of a core', 'memory MB up', 'a machine that does nothing, late p50 / p99 / p99.9 ms', 'fixed calculation ms'],
      ],
      rows,
    ),
  };
}

async function measure(flags, perSecond, seconds) {
  const gateway = await Gateway.start({ flags: ['--sip-rate', '200', ...flags] });
  const phones = await Phones.open(gateway.sip);
  const calls = [];
  for (let n = 0; n < CALLS; n++) calls.push(await phones.call());
  await elapse(2000);
  for (const call of calls) {
    call.noteSequences = true;
    call.arrivals = [];
    call.sequences = [];
  }
  const before = await gateway.figures(true);
  const { value, yardMs } = await withYardstick(() => withWatch(() => flood(gateway.sip, perSecond, seconds)));
  const { value: flooded, floor } = value;
  const after = await gateway.figures(true);
  const gaps = calls.map(({ arrivals }) => Math.max(...arrivals.slice(1).map((at, n) => at - arrivals[n])));
  const lost = calls.reduce((sum, { sequences }) => sum + lostOf(sequences), 0);
  await phones.close();
  await gateway.stop();
  return [
    ...[`${Math.round(flooded.sent / seconds)}`, `${flooded.answered}`],
    ...[
      `${quantile(gaps, 0.5).toFixed(0)} / ${Math.max(...gaps).toFixed(0)}`,
      `${lost} of ${calls.reduce((sum, { received }) => sum + received, 0)}`,
    ],
    ...[cpuBetween(before, after) / (seconds * 10), (after.memory.rss - before.memory.rss) / 2 ** 20, floor, yardMs],
  ];
}

/** Numbers that did not come between the first and the last. */
function lostOf(sequences) {
  const first = sequences[0] ?? 0;
  const from = sequences.map((each) => (each - first) & 0xffff);
  return from.length === 0 ? 0 : Math.max(...from) + 1 - new Set(from).size;
}

async function flood(to, perSecond, seconds) {
  if (perSecond === 0) {
    await elapse(seconds * 1000);
    return { sent: 0, answered: 0 };
  }
  const worker = new Worker(new URL('./flood-worker.mjs', import.meta.url), { workerData: { to, perSecond, seconds } });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

import { setTimeout as elapse } from 'node:timers/promises';
import { median, quantile, short, table } from './figures.mjs';
import { cpuBetween, Gateway } from './gateway.mjs';
import { Phones } from './phone.mjs';
import { withWatch } from './watch.mjs';
import { withYardstick } from './yardstick.mjs';

/** Echo: the prompt of 2 s, then a margin. */
const SETTLE_MS = 5000;

/** In a conversation everybody speaks for 1.2 s, then listens to the parrot. */
const SPEAK_MS = 1200;
const LISTEN_MS = 2400;

/** What a call costs, everything included: SIP, RTP, bridge, relay, transceiver, session and agent in one process. */
export async function benchCost({ quick }) {
  const rows = [];
  const plans = quick
    ? [[50, 'echo']]
    : [
        [1, 'echo'],
        [20, 'echo'],
        [50, 'echo'],
        [50, 'talk'],
        [100, 'echo'],
      ];
  const how = quick ? { rounds: 2, roundMs: 5000 } : { rounds: 5, roundMs: 8000 };
  for (const [calls, mode] of plans) {
    const { value, floor } = await withWatch(() => measure(calls, mode, how));
    rows.push([...value, floor]);
  }
  return {
    title: 'Cost of a call, audio both ways (targets at 50 calls: 0.9 % of a core, 1000 kB)',
    text: table(
      [
        ...['calls', 'mode', '% of a core a call', 'of which idle', 'RSS kB a call', 'heap kB a call', 'buffers kB a call'],
        ...[
          'deviation from 20 ms at the phone, p50 / p99 / p99.9 ms',
          'packets lost',
          'fixed calculation ms',
          'call second / fixed calculation',
        ],
      ],
      rows,
    ),
  };
}

async function measure(count, mode, { rounds, roundMs }) {
  const gateway = await Gateway.start();
  const phones = await Phones.open(gateway.sip);
  // One call that is over again: what is loaded and compiled once is not a call's.
  await phones.hangUp(await phones.call());
  await elapse(500);
  const empty = await gateway.figures(true);
  const idle = await idleShare(gateway, roundMs / 2);
  const calls = [];
  for (let n = 0; n < count; n++) {
    calls.push(await phones.call());
    await elapse(37); // spread over the beat, as callers are
  }
  await elapse(500);
  if (mode === 'echo') for (const call of calls) call.press('2');
  await elapse(SETTLE_MS);
  const stopTalking = mode === 'talk' ? converse(calls) : () => undefined;
  const shares = [];
  const yards = [];
  let late = { deviations: [], lost: 0 };
  for (let round = 0; round < rounds; round++) {
    const { value, yardMs } = await withYardstick(() => share(gateway, calls, roundMs));
    shares.push(value.share);
    yards.push(yardMs);
    late = value;
  }
  const full = await gateway.figures(true);
  stopTalking();
  await phones.close();
  await gateway.stop();
  const perCall = (median(shares) / count) * 100;
  const kB = (figure) => (full.memory[figure] - empty.memory[figure]) / 1000 / count;
  return [
    ...[count, mode, perCall, `${short(idle * 100)} %`, kB('rss'), kB('heapUsed'), kB('external')],
    ...[
      `${short(quantile(late.deviations, 0.5))} / ${short(quantile(late.deviations, 0.99))} / ${short(quantile(late.deviations, 0.999))}`,
    ],
    ...[late.lost, median(yards), (perCall * 10) / median(yards)],
  ];
}

async function idleShare(gateway, ms) {
  const { share: idle } = await share(gateway, [], ms);
  return idle;
}

/** CPU of the gateway as a share of a core, and how even the packets of the calls came. */
async function share(gateway, calls, ms) {
  const before = await gateway.figures();
  for (const call of calls) call.arrivals.length = 0;
  const startedAt = performance.now();
  await elapse(ms);
  const elapsedMs = performance.now() - startedAt;
  const after = await gateway.figures();
  const deviations = calls.flatMap(({ arrivals }) => arrivals.slice(1).map((at, n) => Math.abs(at - arrivals[n] - 20)));
  const expected = Math.floor(elapsedMs / 20) - 1;
  const lost = calls.reduce((sum, { arrivals }) => sum + Math.max(0, expected - arrivals.length), 0);
  return { share: cpuBetween(before, after) / elapsedMs, deviations, lost };
}

/** Callers that speak and listen by turns, each at another moment. */
function converse(calls) {
  const timers = calls.map((call, n) => {
    const turn = () => {
      call.talk = !call.talk;
      timers[n] = setTimeout(turn, call.talk ? SPEAK_MS : LISTEN_MS);
    };
    return setTimeout(turn, (n * (SPEAK_MS + LISTEN_MS)) / calls.length);
  });
  return () => {
    for (const timer of timers) clearTimeout(timer);
  };
}

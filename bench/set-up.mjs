import { setTimeout as elapse } from 'node:timers/promises';
import { spread, table } from './figures.mjs';
import { Gateway } from './gateway.mjs';
import { Phones } from './phone.mjs';
import { withWatch } from './watch.mjs';
import { withYardstick } from './yardstick.mjs';

/** Long enough to hear the first syllable; then it is over. */
const HOLD_MS = 600;

/** How long a caller waits: INVITE → 200, and → the first packet with something to hear in it, at some calls a second. */
export async function benchSetUp({ quick }) {
  const rows = [];
  for (const [perSecond, calls] of quick
    ? [[20, 60]]
    : [
        [1, 100],
        [20, 400],
      ]) {
    const { value, yardMs } = await withYardstick(() => withWatch(() => callAtRate(perSecond, calls)));
    const { answer, first, audible, failed } = value.value;
    rows.push([perSecond, calls, failed, spread(answer), spread(first), spread(audible), value.floor, yardMs]);
  }
  return {
    title: 'Call set-up (ms, p50 / p95; the target is 60 ms p95 to the 200)',
    text: table(
      [
        'calls/s',
        'calls',
        'failed',
        'INVITE → 200',
        '→ first packet',
        '→ first audible packet',
        'an idle process, p50 / p99 / p99.9',
        'fixed calculation ms',
      ],
      rows,
    ),
  };
}

async function callAtRate(perSecond, count) {
  const gateway = await Gateway.start();
  const phones = await Phones.open(gateway.sip);
  const seen = { answer: [], first: [], audible: [], failed: 0 };
  const one = async () => {
    try {
      const call = await phones.call({ talk: false });
      await elapse(HOLD_MS);
      await phones.hangUp(call);
      seen.answer.push(call.answeredAt - call.invitedAt);
      seen.first.push(call.firstPacketAt - call.invitedAt);
      seen.audible.push(call.firstAudibleAt - call.invitedAt);
    } catch {
      seen.failed += 1;
    }
  };
  // The first calls compile the way of a call; a gateway that has been up for a minute has had them.
  for (let n = 0; n < 10; n++) await one();
  for (const list of [seen.answer, seen.first, seen.audible]) list.length = 0;
  const running = [];
  const startedAt = performance.now();
  for (let n = 0; n < count; n++) {
    await elapse(Math.max(0, startedAt + (n * 1000) / perSecond - performance.now()));
    running.push(one());
  }
  await Promise.all(running);
  await phones.close();
  await gateway.stop();
  return seen;
}

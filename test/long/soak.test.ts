import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { HeapProbe, type LiveMemory, slope } from '../support/heap-probe.ts';
import { nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { LongReport, scaled } from '../support/long-run.ts';
import type { DialOptions, PhoneCall } from '../support/phone-call.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { Switchhook } from '../support/switchhook.ts';
import { findTone, tone } from '../support/tones.ts';
import { elapse } from '../support/wait.ts';

/* Many short calls and a long one, and whether anything of them is left. */

const SHORT_CALLS = scaled(2000, 200);
/**
 * Compiled code and what the compiler has learnt grow for some thousand calls, ever more slowly, and nothing else does: heap snapshots after 1,000
 * and after 3,000 calls have the same objects, strings and closures.
 */
const WARM_UP_CALLS = scaled(2000, 600);
const AT_ONCE = 8;
/** A wrap of the sequence numbers takes 21.8 minutes of 20 ms packets. */
const LONG_CALL_MS = scaled(25 * 60_000, 60_000);
/** Lies in the middle of the long call, however short it is. */
const WRAP_AFTER = Math.min(30_000, LONG_CALL_MS / 40);
const MEASUREMENTS = scaled(10, 4);
/** The transactions of the last BYE live for 32 s (RFC 3261 §17.2.2): what is measured before is none of our business. */
const REST_MS = 36_000;
const KB = 1024;

const hook = new Switchhook();
let gateway: GatewayProcess;
let probe: HeapProbe;

beforeAll(async () => {
  ({ gateway, probe } = await HeapProbe.start());
});

afterAll(async () => {
  probe.close();
  await hook.close();
  await gateway.stop();
});

/** One of the short calls: hung up by the caller, after a hold, or by the agent. */
async function shortCall(n: number): Promise<void> {
  const phone = await SipPhone.open();
  try {
    const call = await phone.dial(gateway.sip, n % 3 === 0 ? { offer: { codecs: ['PCMA', 'telephone-event'] } } : {});
    await call.answered();
    await nextSound(call.media, 5000);
    await elapse(200 + (n % 7) * 100);
    if (n % 10 === 0) {
      await call.media.press('#');
      await call.hungUp(10_000);
      return;
    }
    if (n % 10 === 1) await call.reinvite(call.sdp({ direction: 'sendonly' }));
    await call.bye();
  } finally {
    phone.close();
  }
}

async function shortCalls(count: number, from: number): Promise<void> {
  let next = from;
  const line = async (): Promise<void> => {
    while (next < from + count) await shortCall(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, line));
}

/** Hears its own tone, and says in how many looks it did not. */
async function listen(call: PhoneCall, ms: number): Promise<{ looks: number; silent: number; longestGapMs: number }> {
  const until = performance.now() + ms;
  const heard = { looks: 0, silent: 0, longestGapMs: 0 };
  while (performance.now() < until) {
    await elapse(5000);
    const { media } = call;
    heard.looks += 1;
    if (!findTone(media.recording(Math.max(0, media.arrivals.count - 50)).samples, 440).present) heard.silent += 1;
    heard.longestGapMs = Math.max(heard.longestGapMs, media.figures().longestGapMs);
    media.arrivals.clear();
  }
  return heard;
}

/** A call that hears its own tone. */
async function echoCall(options: DialOptions): Promise<PhoneCall> {
  const call = await hook.call(gateway.sip, options);
  await nextSound(call.media, 5000);
  await call.media.press('2');
  await elapse(2100);
  call.media.background(tone(440, 1000));
  await elapse(1000);
  return call;
}

test('nothing is left of many short calls and a long one', async () => {
  const report = new LongReport(
    'soak',
    'Soak',
    `${SHORT_CALLS} short calls after ${WARM_UP_CALLS} to warm up, ${AT_ONCE} at a time (one in ten hung up by the agent, one in ten after a hold), beside one call of ` +
      `${(LONG_CALL_MS / 60_000).toFixed(1)} minutes in echo mode over a wrap of its sequence numbers. Memory after a full collection and 36 s without short calls, ` +
      `${MEASUREMENTS} times; each collection stops the process for a moment.`,
  );
  // Beside a call like the long one, whose code would otherwise be compiled while we look.
  const first = await echoCall({});
  await shortCalls(WARM_UP_CALLS, 0);
  await first.bye();
  const idle = await IdleGateway.take(gateway);
  await elapse(REST_MS);
  const before = await probe.measure();
  const dataBefore = await probe.dataBytes();
  const long = await echoCall({ rtp: { firstSequence: 0x1_0000 - WRAP_AFTER } });
  const startedAt = performance.now();
  const listening = listen(long, LONG_CALL_MS);
  const points: { calls: number; memory: LiveMemory }[] = [];
  for (let n = 1; n <= MEASUREMENTS; n++) {
    await shortCalls(SHORT_CALLS / MEASUREMENTS, (n - 1) * (SHORT_CALLS / MEASUREMENTS));
    await elapse(REST_MS);
    points.push({ calls: (n * SHORT_CALLS) / MEASUREMENTS, memory: await probe.measure() });
  }
  const callsTookS = (performance.now() - startedAt) / 1000 - (MEASUREMENTS * REST_MS) / 1000;
  const heard = await listening;
  expect((await long.bye()).status).toBe(200);
  await idle.restored(40_000);
  await elapse(REST_MS);
  const after = await probe.measure();
  const dataSlope = ((await probe.dataBytes()) - dataBefore) / SHORT_CALLS;
  const record = gateway.cdrs().find((each) => each['sip_call_id'] === long.callId);
  const records = gateway.cdrs().filter((each) => each['sip_status'] === 200).length;
  const made = WARM_UP_CALLS + SHORT_CALLS + 2;

  const heapSlope = slope(points.map(({ calls, memory }) => ({ x: calls, y: memory.heap })));
  const externalSlope = slope(points.map(({ calls, memory }) => ({ x: calls, y: memory.external })));
  report.row('heap a call', `${heapSlope.toFixed(0)} B`, '≤ 1 kB', heapSlope <= KB);
  report.row('of it objects, strings and closures, after all calls', `${dataSlope.toFixed(0)} B`, '≤ 1 kB', dataSlope <= KB);
  report.row('buffers outside of the heap a call', `${externalSlope.toFixed(0)} B`, '≤ 1 kB', externalSlope <= KB);
  report.row('calls, sessions, dialogs, codecs, ports, file descriptors left', '0', '0', true);
  report.row('call records', `${records} of ${made}`, 'one a call', records === made);
  report.row('looks at the long call without its own tone', `${heard.silent} of ${heard.looks}`, '0', heard.silent === 0);
  const lost = Number(record?.['packets_lost'] ?? Number.NaN);
  report.row('packets of the long call lost in the gateway', `${lost} of ${record?.['packets_in']}`, '0', lost === 0);
  const unaccounted =
    Number(record?.['frames_in']) -
    Number(record?.['frames_out']) -
    Number(record?.['frames_concealed']) -
    Number(record?.['frames_beside']);
  report.row('its packets that are not accounted for', `${unaccounted - Number(record?.['packets_discarded'])}`, '0', unaccounted === 0);
  report.note(`Longest time between two packets to the long call: ${heard.longestGapMs.toFixed(0)} ms.`);
  report.note(`The short calls took ${callsTookS.toFixed(0)} s, ${(SHORT_CALLS / callsTookS).toFixed(1)} a second.`);
  for (const what of ['heap', 'external', 'rss'] as const) {
    const course = points.map(({ memory }) => (memory[what] / KB / KB).toFixed(1)).join(', ');
    report.note(
      `${what} in MB: ${(before[what] / KB / KB).toFixed(1)} before; ${course} while the calls came; ${(after[what] / KB / KB).toFixed(1)} after.`,
    );
  }
  report.write();
  expect(report.missed).toEqual([]);
});

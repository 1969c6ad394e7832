import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { nextSound } from '../support/heard.ts';
import { LongReport, scaled } from '../support/long-run.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse } from '../support/wait.ts';

/* A minute of requests from one address, each with a Call-ID of its own, beside callers from elsewhere. */

const FLOOD_S = scaled(60, 6);
/** As many as the bench sends; sender and gateway have two cores between them. */
const PER_SECOND = 10_000;
const METHODS = ['REGISTER', 'INVITE', 'OPTIONS'];
const CALLS_A_SECOND = 2;
/** Transactions and half-open calls are over after 32 s (RFC 3261 §17). */
const REST_S = 40;
const CALLER = '127.0.0.2';
const MB = 2 ** 20;

const GUARDS = [
  ['the bucket before parsing alone', ['--sip-ban', '0']],
  ['bucket and ban', []],
] as const;

const hook = new Switchhook();
let gateway: GatewayProcess | undefined;

afterEach(async () => {
  await hook.close();
  await gateway?.stop();
});

interface Callers {
  readonly made: number;
  readonly setUpMs: readonly number[];
}

/** Calls, hears the agent and hangs up, this often; whoever gets no answer or hears nothing counts as made alone. */
async function callFor(target: GatewayProcess, seconds: number): Promise<Callers> {
  const setUpMs: number[] = [];
  const calls: Promise<void>[] = [];
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    calls.push(
      (async () => {
        const phone = await hook.phone({ address: CALLER });
        const startedAt = performance.now();
        const call = await phone.dial(target.sip);
        const { status } = await call.final(10_000);
        if (status !== 200) return;
        const answeredMs = performance.now() - startedAt;
        await nextSound(call.media, 3000);
        await call.bye();
        setUpMs.push(answeredMs);
      })().catch(() => undefined),
    );
    await elapse(1000 / CALLS_A_SECOND);
  }
  await Promise.all(calls);
  return { made: calls.length, setUpMs: setUpMs.sort((a, b) => a - b) };
}

const p95 = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN;

function flood(target: GatewayProcess): Promise<{ readonly sent: number; readonly answered: number }> {
  const workerData = { to: target.sip, perSecond: PER_SECOND, seconds: FLOOD_S, methods: METHODS };
  const worker = new Worker(new URL('../../bench/flood-worker.mjs', import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

test('a flood of SIP leaves callers from elsewhere and the memory alone', async () => {
  const report = new LongReport(
    'flood',
    'Flood',
    `REGISTER, INVITE and OPTIONS in turns from one address for ${FLOOD_S} s, ${PER_SECOND} a second, beside ${CALLS_A_SECOND} calls a second from another one, ` +
      `as long before it, and memory ${REST_S} s after it. Sender, callers and gateway share the cores.`,
  );
  for (const [name, flags] of GUARDS) {
    gateway = await GatewayProcess.start({ flags: [...flags, '--sip-rate', '200'] });
    const calm = await callFor(gateway, FLOOD_S);
    const before = gateway.figures().rssBytes;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, gateway?.figures().rssBytes ?? 0);
    }, 500);
    const [{ sent, answered }, callers] = await Promise.all([flood(gateway), callFor(gateway, FLOOD_S)]);
    await elapse(REST_S * 1000);
    clearInterval(watch);
    const after = gateway.figures().rssBytes;
    const share = callers.setUpMs.length / callers.made;
    const slower = p95(callers.setUpMs) / p95(calm.setUpMs);
    report.row(`${name}: callers answered and heard`, `${callers.setUpMs.length} of ${callers.made}`, '≥ 99 %', share >= 0.99);
    report.row(
      `${name}: INVITE to 200 p95, before and in the flood`,
      `${p95(calm.setUpMs).toFixed(0)}, ${p95(callers.setUpMs).toFixed(0)} ms`,
      '≤ 2 times as long',
      slower <= 2,
    );
    const up = (most - before) / MB;
    report.row(`${name}: memory up at most`, `${up.toFixed(1)} MB`, '≤ 50 MB', up <= 50);
    const left = ((after - before) / before) * 100;
    const memoryLeft = `${left >= 0 ? '+' : ''}${left.toFixed(1)} %`;
    // Whoever is not banned may have half of the lines (switchboard.ts), and memory that had calls in it is not given back at once.
    if (flags.length === 0) report.row(`${name}: memory ${REST_S} s after it`, memoryLeft, 'at most 10 % more', left <= 10);
    else report.note(`${name}: memory ${REST_S} s after it ${memoryLeft}.`);
    report.note(`${name}: ${Math.round(sent / FLOOD_S)} requests a second were sent, ${answered} answered in all.`);
    await gateway.stop();
  }
  report.write();
  expect(report.missed).toEqual([]);
});

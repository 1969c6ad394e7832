import { afterAll, beforeAll, expect, test } from 'vitest';
import { Child } from '../support/child.ts';
import type { GatewayProcess } from '../support/gateway-process.ts';
import { HeapProbe } from '../support/heap-probe.ts';
import { nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { LongReport, scaled } from '../support/long-run.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import { Switchhook } from '../support/switchhook.ts';
import { describeWithTestData, testDataPath } from '../support/test-data.ts';
import { elapse } from '../support/wait.ts';

/* Mutated SIP messages, a hundred thousand of them, with a probe after every 250. */

const MESSAGES = scaled(100_000, 5000);
const WARM_UP = scaled(10_000, 2000);
/** A second at the most: what the gateway refuses for its rate is never parsed, so that there is no limit here. */
const RATE = 1500;
/** Transactions and calls that were never acknowledged live for 32 s. */
const REST_MS = 45_000;
const MB = 2 ** 20;

interface FuzzFigures {
  readonly sent: number;
  readonly probesMissed: number;
  readonly worstProbeMs: number;
  readonly answers: Readonly<Record<string, number>>;
  /** What the machine kept both sides waiting at worst. */
  readonly slackMs: number;
}

describeWithTestData('fuzzed SIP', () => {
  const hook = new Switchhook();
  let gateway: GatewayProcess;
  let probe: HeapProbe;

  beforeAll(async () => {
    ({ gateway, probe } = await HeapProbe.start({ flags: ['--sip-rate', '0', '--sip-ban', '0'] }));
  });

  afterAll(async () => {
    probe.close();
    await hook.close();
    await gateway.stop();
  });

  async function fuzz(count: number, seed: number): Promise<FuzzFigures> {
    const { address, port } = gateway.sip;
    const args = ['--to', `${address}:${port}`, '--n', `${count}`, '--seed', `${seed}`, '--rate', `${RATE}`, '--pid', `${gateway.pid}`];
    const child = new Child(process.execPath, [testDataPath('tools', 'sipfuzz.mjs'), ...args], { cwd: gateway.dataDir, name: 'sipfuzz' });
    const slack = new MachineSlack(gateway.pid, child.pid);
    await child.end(60_000 + (count / RATE) * 10_000);
    const line = child.stdout.all.findLast((each) => each.startsWith('{'));
    if (!line) throw new Error(`sipfuzz said nothing:\n${child.lastWords()}`);
    const slackMs = slack.worstMs;
    slack.stop();
    return { ...(JSON.parse(line) as Omit<FuzzFigures, 'slackMs'>), slackMs };
  }

  test('misses no probe and leaves nothing behind', async () => {
    const report = new LongReport(
      'fuzz',
      'Fuzzed SIP',
      `${MESSAGES} mutated messages at up to ${RATE} a second after ${WARM_UP} to warm up, an OPTIONS probe after every 250, no rate limit. ` +
        'Memory after a full collection and 45 s of rest.',
    );
    await (await hook.call(gateway.sip)).bye();
    const idle = await IdleGateway.take(gateway);
    await fuzz(WARM_UP, 1);
    await elapse(REST_MS);
    const before = await probe.measure();
    const figures = await fuzz(MESSAGES, 2);
    await elapse(REST_MS);
    await idle.restored(40_000);
    const after = await probe.measure();
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 3000);
    const { status } = await call.bye();

    report.row('probes without an answer', `${figures.probesMissed} of ${Math.floor(MESSAGES / 250)}`, '0', figures.probesMissed === 0);
    const { worstProbeMs, slackMs } = figures;
    const machine = `the ${slackMs.toFixed(0)} ms that the machine kept both sides waiting for a core`;
    report.row('slowest probe', `${worstProbeMs} ms`, `≤ 100 ms and ${machine}`, worstProbeMs <= 100 + slackMs);
    for (const what of ['heap', 'rss'] as const) {
      const change = (100 * (after[what] - before[what])) / before[what];
      const course = `${(before[what] / MB).toFixed(1)} → ${(after[what] / MB).toFixed(1)} MB (${change.toFixed(1)} %)`;
      report.row(what, course, '±10 %', Math.abs(change) <= 10 || change < 0);
    }
    report.row('a call afterwards', `answered, heard, BYE ${status}`, 'as always', status === 200);
    report.row('calls, dialogs, ports, file descriptors left', '0', '0', true);
    report.note(
      `Answers by status: ${Object.entries(figures.answers)
        .map(([code, count]) => `${code}: ${count}`)
        .join(', ')}.`,
    );
    report.write();
    expect(report.missed).toEqual([]);
  });
});

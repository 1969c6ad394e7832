import { beforeAll, describe, expect, test } from 'vitest';
import { loadOpus } from '../../../src/audio/opus.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { CallReport } from '../../../src/bridge/call-report.ts';
import { LocalMediaHost } from '../../../src/bridge/local-media.ts';
import { Switchboard } from '../../../src/bridge/switchboard.ts';
import type { InboundCall, SipEngine } from '../../../src/sip/engine.ts';
import type { Trunk } from '../../../src/sip/trunk.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MetricsText } from '../../support/metrics-text.ts';
import { FakeHost, FakeInner, FakeInvite, FakePorts, IDENTITY, SUMMARY, settled } from './call-bench.ts';

beforeAll(loadOpus);

class FakeEngine implements SipEngine {
  onInvite: ((invite: InboundCall) => void) | undefined;
  onRefused: SipEngine['onRefused'];
  drains = 0;

  async start(): Promise<[]> {
    return [];
  }

  drain(): void {
    this.drains += 1;
  }

  async stop(): Promise<void> {}
}

/** A switchboard whose calls are answered as soon as they come. */
class Bench {
  readonly clock = new FakeClock();
  readonly engine = new FakeEngine();
  readonly metrics = new Metrics();
  readonly reports: CallReport[] = [];
  readonly invites: FakeInvite[] = [];
  readonly hosts: FakeHost[] = [];
  readonly board: Switchboard;

  constructor(
    maxCalls: number,
    options: { readonly trunks?: readonly Trunk[]; readonly transferTarget?: string; readonly transferTargets?: readonly string[] } = {},
  ) {
    const { trunks, ...transfer } = options;
    const inners: FakeInner[] = [];
    this.board = new Switchboard(
      {
        engine: this.engine,
        ...(trunks ? { trunks: new TrunkBook(this.clock, trunks) } : {}),
        clock: this.clock,
        log: createLog('silent'),
        metrics: this.metrics,
        media: new LocalMediaHost(
          {
            clock: this.clock,
            ports: { open: async () => new FakePorts() },
            openInner: async () => {
              const inner = new FakeInner();
              // It connects in the moment it is told to.
              inner.connect = () => inner.onConnected?.();
              inners.push(inner);
              return inner;
            },
            host: {
              open: (opening, leg) => {
                const host = new FakeHost();
                this.hosts.push(host);
                host.opening.resolve();
                leg.answer();
                return host.open(opening, leg);
              },
            },
            ownerAnswers: () => true,
            identity: IDENTITY,
          },
          { mediaTimeoutMs: 30_000 },
        ),
        onReport: (report) => void this.reports.push(report),
      },
      { maxCalls, ...transfer },
    );
  }

  async dial(address?: string): Promise<FakeInvite> {
    const invite = new FakeInvite();
    if (address !== undefined) Object.assign(invite, { source: { ...invite.source, address } });
    this.invites.push(invite);
    this.engine.onInvite?.(invite);
    await settled();
    return invite;
  }

  /** The owner says its last word, so that nothing waits for it. */
  report(n: number): void {
    this.hosts[n]?.leg?.report(SUMMARY);
  }

  async metric(name: string, labels = {}): Promise<number> {
    return new MetricsText(await this.metrics.text()).sum(`ringdown_${name}`, labels);
  }
}

/** Has the promise settled by now? */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await settled();
  return done;
}

describe('the switchboard', () => {
  test('takes as many calls as it may, and refuses the next one with 503, Retry-After and a record', async () => {
    const bench = new Bench(2);
    await bench.dial();
    await bench.dial();
    const third = await bench.dial();
    expect(bench.board.calls).toBe(2);
    expect(third.rejections).toEqual([{ status: 503, retryAfterS: 5 }]);
    expect(bench.reports).toEqual([expect.objectContaining({ cause: 'rejected', sipStatus: 503, detail: 'all lines are busy' })]);
    expect(await bench.metric('calls')).toBe(2);
    expect(await bench.metric('calls_ended_total', { cause: 'rejected' })).toBe(1);
  });

  test('gives half of the lines at the most to calls that one address has not acknowledged', async () => {
    const bench = new Bench(12);
    for (let n = 0; n < 6; n++) expect((await bench.dial()).rejections).toEqual([]);
    expect((await bench.dial()).rejections).toEqual([{ status: 503, retryAfterS: 5 }]);
    expect(bench.reports.map(({ detail }) => detail)).toEqual(['too many unacknowledged calls from this address']);
    expect((await bench.dial('192.0.2.11')).rejections).toEqual([]);
    bench.invites[0]?.call.ack();
    expect((await bench.dial()).rejections).toEqual([]);
    expect((await bench.dial()).rejections).toHaveLength(1);
  });

  test('counts a call until it is over, not until it is reported late', async () => {
    const bench = new Bench(1);
    const first = await bench.dial();
    first.call.end('bye');
    bench.report(0);
    expect(bench.board.calls).toBe(0);
    expect((await bench.dial()).answers).toHaveLength(1);
    expect(await bench.metric('calls_ended_total', { cause: 'remote_hangup' })).toBe(1);
  });

  test('writes a record of what the engine has refused by itself', async () => {
    const bench = new Bench(2);
    const source = { address: '192.0.2.10', port: 5060, transport: 'udp' as const };
    bench.engine.onRefused?.({ sipCallId: 'x@y', from: '', requestUri: 'sip:a@b', source, status: 400, reason: 'Bad From' });
    expect(bench.reports).toMatchObject([
      { sipCallId: 'x@y', cause: 'rejected', sipStatus: 400, detail: 'Bad From', source: 'udp:192.0.2.10:5060' },
    ]);
    expect(await bench.metric('calls_ended_total', { cause: 'rejected' })).toBe(1);
  });

  test('lets a session send its phone to the configured target and to what the phone’s trunk may dial, and to nobody else', async () => {
    const trunk: Trunk = {
      name: 'pbx',
      peer: { address: '192.0.2.10', port: 5060 },
      transport: 'udp',
      addresses: [],
      caps: { concurrent: 10, perSecond: 100, perDay: 1000, durationS: 100 },
      destinations: ['+1555*', 'sip:desk@192.0.2.50'],
      redirects: 'refuse',
      refer: 'refuse',
    };
    const referred: string[] = [];
    const outcomes = async (bench: Bench): Promise<string[]> => {
      const invite = await bench.dial();
      Object.assign(invite.call, { refer: (target: string) => void referred.push(target) });
      invite.call.ack();
      const wanted = [
        'sip:desk@192.0.2.50',
        '+15550001',
        'sip:+15550001@192.0.2.10',
        'sip:desk@192.0.2.50?Replaces=a%3Bto-tag%3D1',
        'sip:line@192.0.2.60',
      ];
      const unwanted = ['+88212345', 'sip:evil@203.0.113.66', 'sip:desk@192.0.2.50?X=1&Replaces=a', 'sip:desk@evil.example', ''];
      for (const target of [...wanted, ...unwanted]) bench.hosts[0]?.leg?.refer?.(target);
      return referred.splice(0);
    };
    expect(await outcomes(new Bench(2))).toEqual([]);
    expect(await outcomes(new Bench(2, { transferTarget: 'sip:line@192.0.2.60' }))).toEqual(['sip:line@192.0.2.60']);
    // What the model's tool may do is not among what a reload changes.
    const reloaded = new Bench(2, { transferTarget: 'sip:old@192.0.2.61', transferTargets: ['sip:desk@192.0.2.50'] });
    reloaded.board.configure({ transferTarget: 'sip:line@192.0.2.60' });
    expect(await outcomes(reloaded)).toEqual(['sip:desk@192.0.2.50', 'sip:line@192.0.2.60']);
    reloaded.board.configure({});
    expect(await outcomes(reloaded)).toEqual(['sip:desk@192.0.2.50']);
    const all = await outcomes(new Bench(2, { trunks: [trunk], transferTarget: 'sip:line@192.0.2.60' }));
    expect(all).toHaveLength(5);
    expect(all.some((target) => /evil|882|X=1/.test(target))).toBe(false);
  });

  test('drains at once when there are no calls', async () => {
    const bench = new Bench(1);
    await bench.board.drain();
    expect(bench.engine.drains).toBe(1);
  });

  test('calls nobody while it drains', async () => {
    const bench = new Bench(1);
    await bench.board.drain();
    await expect(bench.board.dial({ trunk: 'pbx', destination: '100' })).rejects.toMatchObject({
      code: 'ERR_OVERLOADED',
      message: 'draining',
    });
    expect(bench.board.calls).toBe(0);
  });

  test('drains when the last dialog is over, whoever waits for it', async () => {
    const bench = new Bench(2);
    const one = await bench.dial();
    const two = await bench.dial();
    const drained = [bench.board.drain(), bench.board.drain()];
    one.call.end('bye');
    bench.report(0);
    expect(await isSettled(drained[0] as Promise<void>)).toBe(false);
    bench.hosts[1]?.leg?.hangup('agent_hangup');
    bench.report(1);
    expect(bench.board.calls).toBe(0);
    expect(await isSettled(drained[0] as Promise<void>), 'our BYE is not answered yet').toBe(false);
    two.call.end('hangup');
    for (const each of drained) expect(await isSettled(each)).toBe(true);
  });

  test('hangs up on everybody and waits until the BYEs are answered and the records written', async () => {
    const bench = new Bench(2);
    const invites = [await bench.dial(), await bench.dial()];
    const done = bench.board.hangUpAll('shutdown');
    for (const { call } of invites) expect(call.hangups).toEqual([expect.objectContaining({ q850: 38 })]);
    for (const { call } of invites) call.end('hangup');
    expect(await isSettled(done), 'the owner may still say what the sessions were').toBe(false);
    bench.report(0);
    bench.clock.advance(500);
    expect(bench.reports.map((each) => each.cause)).toEqual(['shutdown', 'shutdown']);
    expect(await isSettled(done)).toBe(true);
  });

  test('waits 1.5 s at the most for a phone that does not answer its BYE', async () => {
    const bench = new Bench(1);
    await bench.dial();
    const done = bench.board.hangUpAll('shutdown');
    bench.clock.advance(1499);
    expect(await isSettled(done)).toBe(false);
    expect(bench.reports, 'the record is written without it').toHaveLength(1);
    bench.clock.advance(1);
    expect(await isSettled(done)).toBe(true);
  });

  test('shows its calls to people who look', async () => {
    const bench = new Bench(1);
    await bench.dial();
    expect(bench.board.snapshot()).toEqual([expect.objectContaining({ state: 'answered' })]);
  });
});

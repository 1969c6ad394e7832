import { describe, expect, it } from 'vitest';
import type { Call } from '../../../src/sip/engine.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { BadNetwork, type BadNetworkOptions, CALLEE, CALLER, type Datagram, type EngineOnNetwork, engineOn } from './engine-pair.ts';
import { ANSWER, header, OFFER } from './engine-under-test.ts';

/* One call between two engines that lasts a working day. Times are the fake clock's. */

const HOUR_MS = 3_600_000;
const NOTHING = { transactions: 0, dialogs: 0 };

type Refresher = 'caller' | 'callee';
type By = 'UPDATE' | 'INVITE';

interface LongCall {
  readonly clock: FakeClock;
  readonly network: BadNetwork;
  readonly caller: EngineOnNetwork;
  readonly callee: EngineOnNetwork;
  readonly ends: string[];
  readonly calls: readonly Call[];
  /** The refreshes that were sent, repeats left out. */
  refreshes(): Datagram[];
}

/** A caller that asks for no session timer leaves the refreshing to the one who answers. */
async function longCall(refresher: Refresher, by: By, intervalS = 1800, options: BadNetworkOptions = {}): Promise<LongCall> {
  const clock = new FakeClock();
  const network = new BadNetwork(clock, options);
  if (by === 'INVITE') network.rewrite = (text) => text.replace(', UPDATE', '');
  const caller = await engineOn(clock, network, CALLER, { trunkPeer: CALLEE, sessionIntervalS: refresher === 'caller' ? intervalS : 0 });
  const callee = await engineOn(clock, network, CALLEE, { sessionIntervalS: intervalS });
  const ends: string[] = [];
  const calls: Call[] = [];
  const keep = (who: Refresher, call: Call): void => {
    calls.push(call);
    call.onOffer = () => ANSWER;
    call.onEnd = (end) => void ends.push(`${who} ${end} at ${clock.now()}`);
  };
  callee.engine.onInvite = (invite) => keep('callee', invite.answer(ANSWER));
  const outbound = caller.engine.dial({ trunk: 'carrier', destination: '+15550001', offer: () => OFFER });
  outbound.onAnswered = (call) => keep('caller', call);
  clock.advance(5000);
  expect(calls).toHaveLength(2);
  const refreshes = (): Datagram[] => {
    const sent = network.datagrams.filter(({ text }) => text.startsWith(`${by} `) && /^To:.*;tag=/m.test(text));
    return sent.filter(({ text }, n) => sent.findIndex((each) => header(each.text, 'Via') === header(text, 'Via')) === n);
  };
  return { clock, network, caller, callee, ends, calls, refreshes };
}

/** After the last word has been forgotten: not a transaction, not a dialog, not a timer. */
async function expectNothingLeft({ clock, caller, callee }: LongCall): Promise<void> {
  expect([await caller.held(), await callee.held(), clock.timers]).toEqual([NOTHING, NOTHING, 0]);
  expect([...caller.faults, ...callee.faults]).toEqual([]);
}

const ROLES: readonly (readonly [Refresher, By])[] = [
  ['caller', 'UPDATE'],
  ['callee', 'UPDATE'],
  ['caller', 'INVITE'],
  ['callee', 'INVITE'],
];

describe.each(ROLES)('a call of eight hours that the %s refreshes by %s', (refresher, by) => {
  it('is refreshed every quarter of an hour, by nobody else, and holds no more at its end than at its beginning', async () => {
    const long = await longCall(refresher, by);
    const { clock, network, caller, callee, ends, calls } = long;
    const held: unknown[] = [];
    const lengths = new Set<number>();
    for (let quarter = 1; quarter <= 32; quarter += 1) {
      // A minute after each refresh its transactions are forgotten.
      clock.advance(quarter * 900_000 + 60_000 - clock.now());
      held.push([await caller.held(), await callee.held(), clock.timers]);
      // But for the digits of CSeq, a refresh is as long as the one before: no route, no header is added up.
      const { text } = long.refreshes().at(-1)!;
      lengths.add(text.length - String(header(text, 'CSeq')).length - String(header(text, 'Content-Length')).length);
    }
    const first = held[0];
    expect(first).toMatchObject([{ transactions: 0, dialogs: 1 }, { transactions: 0, dialogs: 1 }, expect.any(Number)]);
    expect(held).toEqual(held.map(() => first));
    expect(lengths.size).toBe(1);
    const refreshes = long.refreshes();
    expect(refreshes).toHaveLength(32);
    expect(new Set(refreshes.map(({ from }) => from.address))).toEqual(new Set([refresher === 'caller' ? CALLER.address : CALLEE.address]));
    const gaps = refreshes.slice(1).map(({ at }, n) => at - refreshes[n]!.at);
    for (const gap of gaps) expect(Math.abs(gap - 900_000)).toBeLessThan(100);
    expect(ends).toEqual([]);
    const sent = network.datagrams.length;
    calls[0]?.hangup();
    clock.advance(40_000);
    expect(network.datagrams.length - sent).toBe(2);
    expect(ends.map((end) => end.split(' at ')[0]).sort()).toEqual(['callee hangup', 'caller bye']);
    await expectNothingLeft(long);
  });

  it('with the shortest interval and a tenth of everything lost lives as long, and holds no more', async () => {
    const long = await longCall(refresher, by, 90, { seed: 7, loss: 0.1, twice: 0.1, delayMs: [5, 400] });
    const { clock, caller, callee, ends, calls } = long;
    let most = 0;
    while (clock.now() < 8 * HOUR_MS) {
      clock.advance(10_000);
      most = Math.max(most, clock.timers);
      if (clock.now() % HOUR_MS === 5000) {
        const held = [await caller.held(), await callee.held()];
        for (const { transactions, dialogs } of held) expect([transactions <= 2, dialogs]).toEqual([true, 1]);
      }
    }
    expect(ends).toEqual([]);
    expect(most).toBeLessThan(20);
    const { length } = long.refreshes();
    expect(length).toBeGreaterThan(8 * 80 - 40);
    expect(length).toBeLessThan(8 * 80 + 2);
    calls[1]?.hangup();
    clock.advance(120_000);
    expect(ends).toHaveLength(2);
    await expectNothingLeft(long);
  });

  it('survives refreshes of which the request is lost for 15 s, or the answer', async () => {
    const long = await longCall(refresher, by);
    const { clock, network, ends } = long;
    let round = 0;
    let began = 0;
    network.lose = (text) => {
      const request = text.startsWith(`${by} `);
      if (!request && !(text.startsWith('SIP/2.0 200') && text.includes(` ${by}\r\n`))) return false;
      if (request && clock.now() - began > 60_000) {
        began = clock.now();
        round += 1;
      }
      return clock.now() - began < 15_000 && request === (round % 2 === 0);
    };
    clock.advance(8 * HOUR_MS);
    expect(round).toBeGreaterThanOrEqual(31);
    expect(ends).toEqual([]);
  });

  it.each([
    ['the caller', CALLER],
    ['the callee', CALLEE],
  ] as const)('ends at both ends when nothing comes from %s any more, and leaves nothing', async (_, silent) => {
    const long = await longCall(refresher, by);
    const { clock, network, ends } = long;
    clock.advance(7 * HOUR_MS + 100_000 - clock.now());
    network.lose = (_text, from) => from.address === silent.address;
    const silentAt = clock.now();
    clock.advance(HOUR_MS);
    expect(ends).toHaveLength(2);
    for (const end of ends) {
      const at = Number(end.split(' ').at(-1));
      // A refresh that fails, or whose answer is never acknowledged, is the first to tell; else the session's end, 32 s early.
      expect(at - silentAt).toBeLessThanOrEqual(1_800_000 + 32_000);
      expect(end).toMatch(/session_expired|dialog_lost|no_ack|bye/);
    }
    await expectNothingLeft(long);
  });

  it('ends when the other one is no more, and leaves nothing', async () => {
    const long = await longCall(refresher, by);
    const { clock, caller, callee, ends } = long;
    clock.advance(7 * HOUR_MS + 100_000 - clock.now());
    const [dead, alive] = refresher === 'caller' ? [callee, caller] : [caller, callee];
    const diedAt = clock.now();
    await dead.engine.stop();
    clock.advance(900_000 + 107_000);
    // Three refreshes are repeated for 32 s each, and nobody answers.
    expect(ends.map((end) => end.split(' at ')[0])).toEqual([`${refresher} dialog_lost`]);
    expect(Number(ends[0]?.split(' ').at(-1)) - diedAt).toBeLessThanOrEqual(900_000 + 107_000);
    clock.advance(70_000);
    expect(await alive.held()).toEqual(NOTHING);
  });

  it('ends at once at the refresh when the other one was started anew meanwhile', async () => {
    const long = await longCall(refresher, by);
    const { clock, network, caller, callee, ends } = long;
    clock.advance(7 * HOUR_MS + 100_000 - clock.now());
    const [dead, place] = refresher === 'caller' ? ([callee, CALLEE] as const) : ([caller, CALLER] as const);
    await dead.engine.stop();
    await engineOn(clock, network, place);
    clock.advance(901_000);
    expect(ends.map((end) => end.split(' at ')[0])).toEqual([`${refresher} dialog_lost`]);
  });
});

it('a refresher that refreshes no more, though it is there, is hung up on 32 s before the end', async () => {
  const long = await longCall('caller', 'UPDATE');
  const { clock, network, ends } = long;
  clock.advance(2 * HOUR_MS);
  // Only its refreshes are lost; it hears a BYE, and its own gets through.
  network.lose = (text) => text.startsWith('UPDATE ');
  clock.advance(HOUR_MS);
  expect(ends.map((end) => end.split(' at ')[0]).sort()).toEqual(['callee bye', 'caller dialog_lost']);
  await expectNothingLeft(long);
});

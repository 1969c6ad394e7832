import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Call, InboundCall, OutboundCall } from '../../src/sip/engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { BadNetwork, type BadNetworkOptions, CALLEE, CALLER, type Datagram, engineOn, finals, requests } from '../unit/sip/engine-pair.ts';
import { ANSWER, OFFER } from '../unit/sip/engine-under-test.ts';

/* Two engines call each other over a bad network, and both applications do what they may at any moment. */

const OPERATIONS = [
  'caller cancel',
  'caller hangup',
  'caller reinvite',
  'caller update',
  'caller info',
  'callee ring',
  'callee progress',
  'callee answer',
  'callee reject',
  'callee hangup',
  'callee reinvite',
  'callee update',
] as const;

interface Step {
  readonly at: number;
  readonly operation: (typeof OPERATIONS)[number];
}

interface Course {
  readonly steps: readonly Step[];
  readonly network: BadNetworkOptions;
  /** Seconds; refreshes come at half of it. 0 for none. */
  readonly sessionS: number;
}

/** All is done by now, but for what the two do to end their call. */
const PLAYED_MS = 6000;

interface Outcome {
  /** What each application was told, and in which order. */
  readonly caller: string[];
  readonly callee: string[];
  readonly unsettled: number;
  readonly faults: readonly string[];
  readonly datagrams: readonly Datagram[];
  readonly left: unknown;
}

/** @param quietMs how long after the last word nothing may be left */
async function play({ steps, network: options, sessionS }: Course, quietMs: number): Promise<Outcome> {
  const clock = new FakeClock();
  const network = new BadNetwork(clock, options);
  const session = { sessionIntervalS: sessionS, minSessionS: 2 };
  const caller = await engineOn(clock, network, CALLER, { trunkPeer: CALLEE, ...session });
  const callee = await engineOn(clock, network, CALLEE, session);
  const told = { caller: [] as string[], callee: [] as string[] };
  const calls: { caller?: Call; callee?: Call } = {};
  let invite: InboundCall | undefined;
  let unsettled = 0;
  const hold = (who: 'caller' | 'callee', call: Call): void => {
    calls[who] = call;
    told[who].push('answered');
    call.onOffer = () => ANSWER;
    call.onEnd = () => void told[who].push('ended');
  };
  callee.engine.onInvite = (arrived) => {
    invite = arrived;
    arrived.onOffer = () => ANSWER;
    arrived.onCancel = () => void told.callee.push('cancelled');
  };
  const outbound: OutboundCall = caller.engine.dial({ trunk: 'carrier', destination: '+15550001', offer: () => OFFER });
  outbound.onAnswered = (call) => hold('caller', call);
  outbound.onFailed = () => void told.caller.push('failed');
  const settle = (promise: Promise<string> | undefined): void => {
    if (!promise) return;
    unsettled += 1;
    const done = (): void => {
      unsettled -= 1;
    };
    promise.then(done, done);
  };
  const act = (operation: Step['operation']): void => {
    const [who, what] = operation.split(' ') as ['caller' | 'callee', string];
    const call = calls[who];
    switch (what) {
      case 'cancel':
        outbound.cancel();
        return;
      case 'hangup':
        call?.hangup();
        return;
      case 'reinvite':
        settle(call?.reinvite?.(OFFER));
        return;
      case 'update':
        settle(call?.update?.(OFFER));
        return;
      case 'info':
        call?.info?.({ contentType: 'application/dtmf-relay', body: 'Signal=1\r\n' });
        return;
      case 'ring':
        invite?.ring();
        return;
      case 'progress':
        invite?.progress?.(ANSWER);
        return;
      case 'reject':
        if (!invite || told.callee.length > 0) return;
        told.callee.push('rejected');
        invite.reject({ status: 486 });
        return;
      default:
        if (!invite || told.callee.length > 0) return;
        hold('callee', invite.answer(ANSWER));
    }
  };
  for (const { at, operation } of steps) clock.setTimer(at, () => act(operation));
  for (let now = 0; now < PLAYED_MS; now += 50) {
    clock.advance(50);
    await Promise.resolve(); // what awaits an answer goes on
  }
  outbound.cancel();
  calls.caller?.hangup();
  // The answer may still be on its way to a caller that does not want it any more.
  clock.advance(quietMs);
  await new Promise((resolve) => setImmediate(resolve));
  return {
    ...told,
    unsettled,
    faults: [...caller.faults, ...callee.faults],
    datagrams: network.datagrams,
    left: [await caller.held(), await callee.held(), clock.timers],
  };
}

const step = fc.record({ at: fc.integer({ min: 0, max: 3000 }), operation: fc.constantFrom(...OPERATIONS) });

/** Most calls that are never answered are the same call. */
const steps = fc
  .tuple(fc.array(step, { maxLength: 12 }), fc.option(fc.integer({ min: 0, max: 1500 })))
  .map(([some, answered]) => (answered === null ? some : [...some, { at: answered, operation: 'callee answer' as const }]));

function courses(network: fc.Arbitrary<BadNetworkOptions>): fc.Arbitrary<Course> {
  return fc.record({ steps, network, sessionS: fc.constantFrom(0, 2, 4, 1800) });
}

function expectOneEnd(outcome: Outcome): void {
  const { caller, callee, datagrams, unsettled, faults, left } = outcome;
  expect(faults).toEqual([]);
  expect(unsettled).toBe(0);
  expect([['failed'], ['answered', 'ended']]).toContainEqual(caller);
  expect([[], ['cancelled'], ['rejected'], ['answered', 'ended']]).toContainEqual(callee);
  if (caller.length === 2) expect(callee).toEqual(['answered', 'ended']);
  for (const [request, texts] of finals(datagrams)) expect([request, texts.size]).toEqual([request, 1]);
  expect(left).toEqual([{ transactions: 0, dialogs: 0 }, { transactions: 0, dialogs: 0 }, 0]);
}

describe('CANCEL, answer, BYE, re-INVITE, UPDATE, PRACK and refreshes in any order', () => {
  it('on a network that reorders and doubles get one final response each, end at both ends, and leave nothing after 40 s', async () => {
    const network = fc.record({
      seed: fc.nat(),
      twice: fc.constantFrom(0, 0.3),
      delayMs: fc.constantFrom([1, 1], [5, 50], [1, 400]).map(([least = 0, most = 0]) => [least, most] as const),
    });
    await fc.assert(
      fc.asyncProperty(courses(network), async (course) => {
        const outcome = await play(course, 40_000);
        expectOneEnd(outcome);
        expect(new Set(finals(outcome.datagrams).keys())).toEqual(requests(outcome.datagrams));
      }),
      { numRuns: 500 },
    );
  });

  it('on a network that loses as well end at both ends, and leave nothing', async () => {
    const network = fc.record({
      seed: fc.nat(),
      loss: fc.constantFrom(0.1, 0.3),
      twice: fc.constant(0.2),
      delayMs: fc.constant([1, 400] as const),
    });
    // A callee whose every ringing was lost is not cancelled: it rings for five minutes, and its refusal is never acknowledged.
    await fc.assert(
      fc.asyncProperty(courses(network), async (course) => expectOneEnd(await play(course, 400_000))),
      { numRuns: 500 },
    );
  });
});

import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import type { DialRequest, Leg, LegEvent, Successor } from '../../../src/leg/leg.ts';
import { HandOvers } from '../../../src/transceiver/hand-overs.ts';
import type { MediaSession } from '../../../src/transceiver/media.ts';
import type { PeerMedia } from '../../../src/transceiver/peer-media.ts';
import type { Seat } from '../../../src/transceiver/seat.ts';
import { Wires } from '../../../src/transceiver/wires.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const CAROL: Successor = { type: 'dial', to: { trunk: 'users', destination: 'user:carol', from: 'alice' } };
const PCM = new Int16Array(480);

function setting({ isPrivate = true, stays = true }: { readonly isPrivate?: boolean; readonly stays?: boolean } = {}) {
  const clock = new FakeClock();
  const happened: string[] = [];
  const dialled: DialRequest[] = [];
  let refusal: GatewayError | undefined;
  let ticks = 0;
  const legOf = (name: string): Leg => ({
    answer: () => void happened.push(`${name}: answer`),
    reject: () => undefined,
    hangup: (cause) => void happened.push(`${name}: hangup ${cause}`),
    referred: (status) => void happened.push(`${name}: ${status}`),
    report: () => void happened.push(`${name}: report`),
  });
  const seatOf = (sessionId: string, party: string, leg: Leg): Seat & { isUp: boolean } => {
    const seat = {
      ...{ sessionId, party, leg, isUp: true },
      line: {
        handleUplink: () => void happened.push(`${party} says`),
        pullDownlink: () => false,
        handleLegEvent: (event: LegEvent) => void happened.push(`${party} ${event.type}`),
      },
      tell: (event: LegEvent) => void happened.push(`${party} tells ${event.type}`),
      lost: (reason: string) => void happened.push(`${party} lost: ${reason}`),
      take: (next: { leg: Leg }) => {
        happened.push(`${party} taken`);
        seat.leg = next.leg;
      },
    };
    return seat;
  };
  const seats = new Map([
    ['caller', seatOf('rtc_1', 'caller', legOf('alice'))],
    ['leg_bob', seatOf('rtc_1', 'leg_bob', legOf('bob'))],
  ]);
  const elsewhere = seatOf('rtc_2', 'caller', legOf('alice2'));
  const wires = new Wires();
  const hands = new HandOvers(
    {
      ...{ clock, log: createLog('silent', { write: () => undefined }) },
      ticker: {
        add: () => {
          ticks += 1;
          return () => {
            ticks -= 1;
          };
        },
        takeWorstLatenessMs: () => 0,
        stop: async () => undefined,
      },
      dialler: {
        dial: async (request) => {
          dialled.push(request);
          if (refusal) throw refusal;
        },
      },
      seatOf: (party) => seats.get(party),
      seatElsewhere: (sessionId, leg) => (sessionId === 'rtc_2' && leg === 'caller' ? elsewhere : undefined),
      wires,
      persons: {
        handOver: (party) => void happened.push(`handing ${party}`),
        handToAgent: (party) => {
          happened.push(`agent for ${party}`);
          return stays;
        },
        isPrivate,
      },
    },
    'rtc_1',
  );
  let line: MediaSession | undefined;
  return {
    clock,
    happened,
    dialled,
    hands,
    seats,
    wires,
    ticks: () => ticks,
    refuse: (error: GatewayError) => {
      refusal = error;
    },
    line: () => line,
    refer: (party = 'caller', to = CAROL) => hands.takes(party, { type: 'refer', to }),
    /** What is not a call comes to its end on the next turn: whoever asks is told first that it is tried. */
    async join(party: string, to: Successor): Promise<void> {
      hands.takes(party, { type: 'refer', to });
      await new Promise((resolve) => setImmediate(resolve));
    },
    /** The leg of whoever was called is there. */
    async open(name = dialled.at(-1)?.joins?.leg ?? ''): Promise<(event: LegEvent) => void> {
      const media = { answered: () => undefined, close: () => void happened.push('carol: media closed') } as unknown as PeerMedia;
      const { tell } = await hands.open(name, { leg: legOf('carol'), sipCallId: 'carol@sip' }, async (session) => {
        line = session;
        return media;
      });
      await new Promise((resolve) => setImmediate(resolve));
      return tell;
    },
    /** What has happened since it was asked last. */
    news: () => happened.splice(0),
  };
}

const code = (thrown: unknown): string => GatewayError.from(thrown).code;

describe('a transfer to somebody who is called', () => {
  test('rings, and when it is answered takes the place; whoever asked is told, and let go', async () => {
    const room = setting();
    expect(room.refer()).toBe(true);
    const name = room.dialled[0]?.joins?.leg ?? '';
    expect(room.dialled).toEqual([{ ...(CAROL.type === 'dial' && CAROL.to), joins: { sessionId: 'rtc_1', leg: name } }]);
    expect([room.hands.awaits(name), room.hands.isPending('caller'), room.hands.isPending('leg_bob')]).toEqual([true, true, false]);
    const tell = await room.open();
    tell({ type: 'ringing' });
    expect(room.news()).toEqual(['handing caller', 'carol: answer', 'alice: 180']);
    tell({ type: 'answered' });
    expect(room.news()).toEqual(['caller taken', 'handing undefined', 'alice: 200', 'alice: hangup agent_hangup']);
    expect([room.hands.partyOf(name), room.hands.awaits(name)]).toEqual(['caller', false]);
    expect(room.clock.nextTimer()).toBeUndefined();
  });

  test('is not heard before it sits there, and has the last word afterwards', async () => {
    const room = setting();
    room.refer('leg_bob');
    const tell = await room.open();
    const say = (): void => {
      room.line()?.handleUplink(PCM, { concealed: false }, 0);
      room.line()?.handleLegEvent({ type: 'dtmf', digit: '1', durationMs: 100 });
    };
    room.news();
    say();
    expect(room.news()).toEqual([]);
    tell({ type: 'answered' });
    room.news();
    say();
    tell({ type: 'ended', cause: 'remote_hangup' });
    room.hands.lost(room.dialled[0]?.joins?.leg ?? '', 'media_timeout');
    expect(room.news()).toEqual(['leg_bob says', 'leg_bob dtmf', 'leg_bob tells ended', 'leg_bob lost: media_timeout']);
  });

  test('goes on to the next one, whose place it is then', async () => {
    const room = setting();
    room.refer();
    const first = await room.open();
    first({ type: 'answered' });
    const name = room.dialled[0]?.joins?.leg ?? '';
    room.news();
    first({ type: 'refer', to: CAROL });
    const second = await room.open();
    second({ type: 'answered' });
    expect(room.news()).toEqual([
      ...['handing caller', 'carol: answer', 'caller taken', 'handing undefined', 'carol: 200', 'carol: hangup agent_hangup'],
    ]);
    first({ type: 'ended', cause: 'remote_hangup' });
    expect(room.news()).toEqual([]);
    expect([room.hands.partyOf(name), room.hands.partyOf(room.dialled[1]?.joins?.leg ?? '')]).toEqual([name, 'caller']);
  });

  test.each([
    ['with its status', { type: 'ended', cause: 'rejected', status: 486 } as const, 486],
    ['without one', { type: 'ended', cause: 'remote_hangup' } as const, 480],
  ])('that comes to nothing, %s, leaves all as it was', async (_, event, status) => {
    const room = setting();
    room.refer();
    const tell = await room.open();
    room.news();
    tell(event);
    tell({ type: 'answered' });
    expect(room.news()).toEqual([
      ...['carol: media closed', 'carol: report', 'carol: hangup cancelled', 'handing undefined', `alice: ${status}`],
    ]);
    expect(room.hands.isPending('caller')).toBe(false);
  });

  test.each([
    ['ERR_NOT_FOUND', 404],
    ['ERR_FORBIDDEN', 403],
    ['ERR_OVERLOADED', 503],
    ['ERR_NODE_UNREACHABLE', 480],
    ['ERR_INTERNAL', 500],
  ] as const)('that cannot be called (%s) is told as %i', async (error, status) => {
    const room = setting();
    room.refuse(new GatewayError(error, 'no'));
    room.refer();
    await new Promise((resolve) => setImmediate(resolve));
    expect(room.news()).toEqual(['handing caller', 'handing undefined', `alice: ${status}`]);
  });

  test('whose leg does not come in seven seconds is given up, and comes too late then', async () => {
    const room = setting();
    room.refer();
    room.clock.advance(7000);
    expect(room.news()).toEqual(['handing caller', 'handing undefined', 'alice: 408']);
    expect(await room.open().catch(code)).toBe('ERR_NOT_FOUND');
  });

  test('whose media cannot be made, or are lost, is told as that', async () => {
    const room = setting();
    room.refer();
    const name = room.dialled[0]?.joins?.leg ?? '';
    const leg = { answer: () => undefined, reject: () => undefined, hangup: () => undefined, report: () => undefined };
    const broken = room.hands.open(name, { leg }, () => Promise.reject(new GatewayError('ERR_INTERNAL', 'no codec')));
    expect(await broken.catch(code)).toBe('ERR_INTERNAL');
    expect(room.news()).toEqual(['handing caller', 'handing undefined', 'alice: 500']);
    room.refer();
    await room.open();
    room.news();
    room.hands.lost(room.dialled[1]?.joins?.leg ?? '', 'media_failed');
    expect(room.news().at(-1)).toBe('alice: 480');
  });

  test('is one at a time, of a party that is there', async () => {
    const room = setting();
    room.refer();
    await room.join('leg_bob', CAROL);
    room.refer('leg_nobody');
    expect(room.news()).toEqual(['handing caller', 'bob: 491']);
    room.hands.end();
    expect(room.news()).toEqual(['handing undefined']);
    Object.assign(room.seats.get('leg_bob') ?? {}, { isUp: false });
    await room.join('leg_bob', CAROL);
    expect(room.news()).toEqual(['bob: 491']);
  });

  test('is not put where nobody is any more', async () => {
    const room = setting();
    room.refer('leg_bob');
    const tell = await room.open();
    Object.assign(room.seats.get('leg_bob') ?? {}, { isUp: false });
    room.news();
    tell({ type: 'answered' });
    expect(room.news()).toContain('carol: hangup cancelled');
    expect(room.happened).not.toContain('leg_bob taken');
  });
});

describe('who asked for a transfer and hangs up', () => {
  const gone: LegEvent = { type: 'ended', cause: 'remote_hangup' };

  test('is not needed for it: those who stay wait on', async () => {
    const room = setting();
    room.refer();
    const tell = await room.open();
    room.news();
    expect(room.hands.takes('caller', gone)).toBe(true);
    tell({ type: 'ringing' });
    tell({ type: 'answered' });
    expect(room.news()).toEqual(['caller taken', 'caller taken', 'handing undefined']);
  });

  test('leaves nobody to those who stay when it comes to nothing', async () => {
    const room = setting();
    room.refer();
    const tell = await room.open();
    room.hands.takes('caller', gone);
    room.news();
    tell({ type: 'ended', cause: 'rejected', status: 603 });
    expect(room.news().slice(-2)).toEqual(['handing undefined', 'caller tells ended']);
  });

  test('ends it where the agent is all there is', async () => {
    const room = setting({ isPrivate: false });
    room.refer();
    await room.open();
    room.news();
    expect(room.hands.takes('caller', gone)).toBe(false);
    expect(room.news()).toEqual(['carol: media closed', 'carol: report', 'carol: hangup cancelled', 'handing undefined']);
    expect(room.hands.takes('leg_bob', gone)).toBe(false);
  });
});

describe('a transfer to the agent', () => {
  test('lets go of whoever asked; time passes for the agent without a caller', async () => {
    const room = setting();
    await room.join('caller', { type: 'agent' });
    expect(room.news()).toEqual(['agent for caller', 'caller taken', 'alice: 200', 'alice: hangup agent_hangup']);
    expect(room.ticks()).toBe(1);
    await room.join('leg_bob', { type: 'agent' });
    expect(room.news()).toEqual(['agent for leg_bob', 'bob: 200', 'bob: hangup agent_hangup']);
  });

  test('is too late when whoever asked has gone', async () => {
    const room = setting();
    const asked = room.join('caller', { type: 'agent' });
    Object.assign(room.seats.get('caller') ?? {}, { isUp: false });
    await asked;
    expect(room.news()).toEqual(['alice: 491']);
  });

  test('is refused where nobody stays', async () => {
    const room = setting({ stays: false });
    await room.join('caller', { type: 'agent' });
    expect(room.news()).toEqual(['agent for caller', 'alice: 403']);
  });
});

describe('a transfer to whoever talks to another leg of the same side', () => {
  test('makes one wire of the two places, and lets go of both legs', async () => {
    const room = setting();
    await room.join('caller', { type: 'leg', sessionId: 'rtc_2', leg: 'caller' });
    expect(room.news()).toEqual([
      ...['caller taken', 'caller taken', 'alice: 200', 'alice: hangup agent_hangup', 'alice2: hangup agent_hangup'],
    ]);
    expect(room.ticks()).toBe(1);
  });

  test('is refused where they are one already, by whatever way: the ring would never end', async () => {
    const room = setting();
    room.wires.add('rtc_1', 'rtc_9');
    room.wires.add('rtc_9', 'rtc_2');
    await room.join('caller', { type: 'leg', sessionId: 'rtc_2', leg: 'caller' });
    expect(room.news()).toEqual(['alice: 481']);
    room.wires.forget('rtc_9');
    await room.join('caller', { type: 'leg', sessionId: 'rtc_2', leg: 'caller' });
    expect(room.news()).toContain('alice: 200');
    expect(room.wires.reaches('rtc_2', 'rtc_1')).toBe(true);
  });

  test.each([
    ['rtc_2', 'leg_nobody'],
    ['rtc_3', 'caller'],
    ['rtc_1', 'leg_bob'],
  ])('is refused where there is none: %s, %s', async (sessionId, leg) => {
    const room = setting();
    await room.join('caller', { type: 'leg', sessionId, leg });
    expect(room.news()).toEqual(['alice: 481']);
  });
});

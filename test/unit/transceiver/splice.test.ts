import { expect, test } from 'vitest';
import type { LegEvent } from '../../../src/leg/leg.ts';
import type { Occupant, Seat } from '../../../src/transceiver/seat.ts';
import { splice } from '../../../src/transceiver/splice.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class Place {
  readonly heard: number[] = [];
  readonly events: LegEvent[] = [];
  occupant: Occupant | undefined;
  readonly seat: Seat;

  /** @param level of what is heard there */
  constructor(level: number) {
    this.seat = {
      ...{ sessionId: `rtc_${level}`, party: 'caller', isUp: true, leg: {} as Seat['leg'] },
      line: {
        pullDownlink: (out) => {
          out.fill(level);
          return true;
        },
        handleUplink: (pcm) => void this.heard.push(pcm[479] ?? 0),
        handleLegEvent: (event) => void this.events.push(event),
      },
      tell: (event) => void this.events.push(event),
      lost: () => undefined,
      take: (next) => {
        this.occupant = next;
      },
    };
  }
}

test('two places are one wire: sound, keys and the end go from each to the other, and it stops with either', () => {
  const [a, b] = [new Place(1), new Place(2)];
  const ticks = new Set<(dueAt: number) => void>();
  const ticker = {
    add: (tick: (dueAt: number) => void) => {
      ticks.add(tick);
      return () => void ticks.delete(tick);
    },
    takeWorstLatenessMs: () => 0,
    stop: async () => undefined,
  };
  splice({ clock: new FakeClock(), ticker }, a.seat, b.seat);
  for (const tick of ticks) tick(0);
  expect([a.heard, b.heard]).toEqual([[2], [1]]);
  a.occupant?.leg.sendDtmf?.('1#');
  expect(b.events).toEqual([
    { type: 'dtmf', digit: '1', durationMs: 160 },
    { type: 'dtmf', digit: '#', durationMs: 160 },
  ]);
  b.occupant?.leg.hangup('remote_hangup');
  expect(a.events).toEqual([{ type: 'ended', cause: 'remote_hangup' }]);
  expect(a.occupant?.media.close()).toBeUndefined();
  b.occupant?.media.close();
  expect(ticks.size).toBe(0);
});

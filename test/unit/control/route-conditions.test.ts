import { describe, expect, it } from 'vitest';
import type { RuleTried } from '../../../src/base/rule-tried.ts';
import { isWithin, type Route, RouteTable } from '../../../src/control/route-table.ts';

const ANSWER = { type: 'answer', session: {} } as const;
const at = (text: string): number => Date.parse(`${text}Z`);

describe('the hours of a route', () => {
  const night = { days: [5], from: 22 * 60, until: 6 * 60, offset: 0 } as const;

  it.each([
    ['2026-01-02T21:59', false],
    ['2026-01-02T22:00', true],
    ['2026-01-03T05:59', true], // Saturday morning belongs to the window that began on Friday
    ['2026-01-03T06:00', false],
    ['2026-01-02T05:00', false],
  ])('go over midnight from Friday on: %s is %s', (time, within) => {
    expect(isWithin(night, at(time))).toBe(within);
  });

  it('are of an offset, and all day where nothing is said', () => {
    const morning = { days: [1], from: 540, until: 600, offset: 60 } as const;
    expect([isWithin(morning, at('2026-01-05T08:30')), isWithin(morning, at('2026-01-05T09:30'))]).toEqual([true, false]);
    expect(isWithin({ from: 0, until: 1440, offset: 0 }, at('2026-01-05T23:59'))).toBe(true);
  });
});

it('every route that was looked at is told, with the first thing that does not fit', () => {
  const routes: Route[] = [
    { trunk: 'carrier', source: 'ringdown.yaml:3', action: ANSWER },
    { user: 'sales-*', action: ANSWER },
    { header: { name: 'X-Tenant', value: 'shop*' }, caller: '+49*', action: ANSWER },
    { number: '4?', project: 'shop', action: ANSWER },
  ];
  const tried: RuleTried[] = [];
  const call = { to: 'sip:42@x', caller: '+4930', user: 'alice', header: () => 'bank' };
  expect(new RouteTable(routes, 'default').routeFor(call, tried).policy.project).toBe('shop');
  expect(tried).toEqual([
    { rule: 'routes[0]', at: 'ringdown.yaml:3', matched: false, why: 'trunk: not by carrier but by none' },
    { rule: 'routes[1]', matched: false, why: 'user: alice is not sales-*' },
    { rule: 'routes[2]', matched: false, why: 'header: X-Tenant does not fit' },
    { rule: 'routes[3]', matched: true, why: 'it fits' },
  ]);
});

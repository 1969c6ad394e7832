import { describe, expect, test } from 'vitest';
import { dialledNumber, matches, type Route, RouteTable } from '../../../src/control/route-table.ts';
import { cpuMs } from '../../support/cpu-time.ts';

describe('a pattern', () => {
  test.each([
    ['+1555*', '+15550100', true],
    ['+1555*', '+15540100', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['?', '', false],
    ['1???', '1234', true],
    ['1???', '12345', false],
    ['*99', '199', true],
    ['*99', '1999', true],
    ['a*b*c', 'aXXbYYc', true],
    ['a*b*c', 'aXXcYYb', false],
    ['agent', 'agent', true],
    ['agent', 'agents', false],
    ['**', 'x', true],
  ])('%s and %s: %s', (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  test('of many stars takes no time', () => {
    const startedAt = cpuMs();
    expect(matches(`${'a*'.repeat(30)}b`, 'a'.repeat(5000))).toBe(false);
    expect(cpuMs() - startedAt).toBeLessThan(1000);
  });
});

test.each([
  ['sip:agent@192.0.2.1:5060', 'agent'],
  ['sips:+15550100@192.0.2.1;transport=tcp', '+15550100'],
  ['sip:+15550100;phone-context=x@192.0.2.1', '+15550100'],
  ['sip:alice:secret@192.0.2.1', 'alice'],
  ['sip:%2B15550100@192.0.2.1', '+15550100'],
  ['sip:%zz@192.0.2.1', '%zz'],
  ['tel:+1-555-0100;phone-context=x', '+1-555-0100'],
  ['sip:192.0.2.1', '192.0.2.1'],
  ['nonsense', 'nonsense'],
])('what is dialled by %s is %s', (uri, number) => {
  expect(dialledNumber(uri)).toBe(number);
});

describe('routes', () => {
  const webhook = { url: 'https://x', secrets: ['s'], withinMs: 5000 };
  const routes: readonly Route[] = [
    { number: '+1555*', trunk: 'carrier', project: 'shop', action: { type: 'answer', session: { instructions: 'hi' } } },
    { number: 'Agent', action: { type: 'answer', session: {} } },
    { number: '9', action: { type: 'webhook', webhook: { ...webhook, otherwise: { type: 'answer', session: { instructions: 'late' } } } } },
    { trunk: 'carrier', project: 'bank', action: { type: 'webhook', webhook: { ...webhook, otherwise: { type: 'reject', status: 480 } } } },
  ];
  const table = new RouteTable(routes, 'first');
  const policy = (to: string, trunk?: string) => table.routeFor({ to, trunk }).policy;

  test('are tried in their order', () => {
    expect(policy('sip:+15550100@x', 'carrier')).toEqual({
      project: 'shop',
      decide: { by: 'answer' },
      session: { type: 'realtime', instructions: 'hi' },
    });
    expect(policy('sip:+15550100@x')).toEqual({ project: 'first', decide: { by: 'answer' } });
    expect(policy('sip:AGENT@x', 'carrier')).toEqual({ project: 'first', decide: { by: 'answer' } });
    expect(policy('sip:9@x')).toEqual({
      project: 'first',
      decide: { by: 'api', withinMs: 5000, otherwise: { type: 'answer' } },
      session: { type: 'realtime', instructions: 'late' },
    });
    expect(policy('sip:10@x', 'carrier')).toEqual({
      project: 'bank',
      decide: { by: 'api', withinMs: 5000, otherwise: { type: 'reject', status: 480 } },
    });
    expect(table.routeFor({ to: 'sip:10@x', trunk: 'carrier' }).webhook).toMatchObject(webhook);
    expect(table.routeFor({ to: 'sip:10@x' }).webhook).toBeUndefined();
  });
});

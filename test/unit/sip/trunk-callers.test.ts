import { expect, test } from 'vitest';
import type { Callers } from '../../../src/sip/identify-caller.ts';
import type { Trunk } from '../../../src/sip/trunk.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const STRANGER = '198.51.100.7';

function trunk(destinations: readonly string[]): Trunk {
  return {
    name: 'carrier',
    peer: { address: '192.0.2.9', port: 5060 },
    transport: 'udp',
    addresses: [],
    caps: { concurrent: 10, perSecond: 10, perDay: 10, durationS: 10 },
    destinations,
    redirects: 'refuse',
    refer: 'refuse',
  };
}

test.each([
  ['by-trunks', [], 'in'],
  ['by-trunks', ['+1555*'], 'refused'],
  ['trunks', [], 'refused'],
  ['trunks', ['+1555*'], 'refused'],
  ['anyone', [], 'in'],
  ['anyone', ['+1555*'], 'in'],
] as const)('where callers are %s and %j may be dialled, a stranger is %s', (callers: Callers, destinations, outcome) => {
  const book = new TrunkBook(new FakeClock(), [trunk(destinations)], undefined, callers);
  const admitted = book.admitInbound(STRANGER);
  expect(admitted === undefined ? 'in' : 'refused').toBe(outcome);
  expect(book.admitInbound('192.0.2.9')).toMatchObject({ trunk: { name: 'carrier' } });
});

import { describe, expect, it } from 'vitest';
import { type Trunk, trunkRefusalStatus } from '../../../src/sip/trunk.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import { isAllowed, readDestination } from '../../../src/sip/trunk-destination.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const PEER = { address: '192.0.2.9', port: 5060 };
const CAPS = { concurrent: 10, perSecond: 1000, perDay: 1000, durationS: 3600 };
const trunk = (more: Partial<Trunk> = {}): Trunk => ({
  name: 'carrier',
  peer: PEER,
  transport: 'udp',
  addresses: ['198.51.100.0/24'],
  caps: CAPS,
  destinations: ['+1555*'],
  redirects: 'refuse',
  refer: 'refuse',
  ...more,
});

const key = (text: string): string => {
  const read = readDestination(text, { peer: PEER });
  return 'fault' in read ? `fault: ${read.fault}` : read.key;
};

describe('a destination', () => {
  it.each([
    ['+1 (555) 123-4567', '+15551234567'],
    ['tel:+1-555-123', '+1555123'],
    ['*97#', '*97#'],
    ['alice', 'alice'],
    ['sip:+15551234@192.0.2.9', '+15551234'],
    ['sip:+15551234@192.0.2.9:5060;user=phone', '+15551234'],
    ['SIP:bob@192.0.2.7', 'sip:bob@192.0.2.7:5060'],
    ['sip:bob@[2001:db8::1]:5070', 'sip:bob@[2001:db8::1]:5070'],
  ])('%s is %s', (text, expected) => {
    expect(key(text)).toBe(expected);
  });

  it.each([
    '',
    'sip:bob@example.com',
    'sips:bob@192.0.2.9',
    'sip:%2B882@192.0.2.9',
    'sip:+1555@192.0.2.9?Route=%3Csip:evil%3E',
    'sip:+1555@192.0.2.9;maddr=203.0.113.1',
    'sip:a@b@192.0.2.9',
    'http://192.0.2.9',
    'tel:+1555;phone-context=evil',
    '+1555\r\nRoute: <sip:203.0.113.1>',
    'sip:+1555 @192.0.2.9',
    'x'.repeat(300),
  ])('%j cannot be dialled', (text) => {
    expect(key(text)).toMatch(/^fault: /);
  });

  it('has its # escaped in the Request-URI', () => {
    expect(readDestination('*97#', { peer: PEER })).toMatchObject({ uri: 'sip:*97%23@192.0.2.9:5060' });
  });
});

describe('the allow-list', () => {
  const allowed = (text: string, patterns: string[]): boolean => {
    const read = readDestination(text, { peer: PEER });
    return !('fault' in read) && isAllowed(read, patterns);
  };

  it('allows nothing when empty', () => {
    expect(allowed('+15551234', [])).toBe(false);
  });

  it('compares whole, or by the beginning', () => {
    expect(allowed('+15551234', ['+15551234'])).toBe(true);
    expect(allowed('+155512345', ['+15551234'])).toBe(false);
    expect(allowed('+155512345', ['+1555*'])).toBe(true);
    expect(allowed('+8825551234', ['+1*'])).toBe(false);
    expect(allowed('15551234', ['+1555*'])).toBe(false);
  });

  it('takes no number for a URI and no URI for a number', () => {
    expect(allowed('sip:+1555@203.0.113.1', ['+1555*', '*'])).toBe(false);
    expect(allowed('sip:bob@203.0.113.1', ['sip:bob@203.0.113.1'])).toBe(true);
    expect(allowed('sip:bob@203.0.113.1:5061', ['sip:bob@203.0.113.1'])).toBe(false);
    expect(allowed('sip:bob@203.0.113.1', ['sip:bob@*'])).toBe(true);
    expect(allowed('sip:+15551234@192.0.2.9', ['+1555*'])).toBe(true);
  });
});

describe('the book of trunks', () => {
  const bookOf = (...trunks: Trunk[]) => {
    const clock = new FakeClock();
    return { clock, book: new TrunkBook(clock, trunks) };
  };
  const outcome = (book: TrunkBook, destination = '+15551234', name = 'carrier') => {
    const admitted = book.admitOutbound(name, destination);
    return 'refusal' in admitted ? admitted.refusal : admitted.destination.uri;
  };

  it('places nothing without a trunk, and nothing that its list does not hold', () => {
    expect(outcome(bookOf().book)).toBe('no_such_trunk');
    expect(outcome(bookOf(trunk({ destinations: [] })).book)).toBe('destination_refused');
    expect(outcome(bookOf(trunk()).book, '+88212345')).toBe('destination_refused');
    expect(outcome(bookOf(trunk()).book, 'sip:x@example.com')).toBe('bad_destination');
    expect(outcome(bookOf(trunk()).book)).toBe('sip:+15551234@192.0.2.9:5060');
  });

  it('refuses the eleventh call at a cap of ten, until one ends', () => {
    const { book } = bookOf(trunk());
    const leases = Array.from({ length: 10 }, () => book.admitOutbound('carrier', '+15551234'));
    expect(outcome(book)).toBe('cap_concurrent');
    const [first] = leases;
    if (!first || 'refusal' in first) throw new Error('not admitted');
    first.lease.release();
    first.lease.release();
    expect(outcome(book)).toBe('sip:+15551234@192.0.2.9:5060');
    expect(outcome(book)).toBe('cap_concurrent');
  });

  it('lets a second’s worth through at once and then one call at a time', () => {
    const { book, clock } = bookOf(trunk({ caps: { ...CAPS, perSecond: 2 } }));
    const outcomes = () => [outcome(book), outcome(book)].map((each) => each.startsWith('sip:'));
    expect(outcomes()).toEqual([true, true]);
    expect(outcome(book)).toBe('cap_per_second');
    clock.advance(499);
    expect(outcome(book)).toBe('cap_per_second');
    clock.advance(1);
    expect(outcomes()).toEqual([true, false]);
  });

  it('begins a new day at midnight UTC', () => {
    const { book, clock } = bookOf(trunk({ caps: { ...CAPS, perDay: 2, concurrent: 100 } }));
    expect([outcome(book), outcome(book), outcome(book)].at(2)).toBe('cap_per_day');
    const midnight = 86_400_000 - (clock.wallclock() % 86_400_000);
    clock.advance(midnight - 1);
    expect(outcome(book)).toBe('cap_per_day');
    clock.advance(1);
    expect(outcome(book)).toMatch(/^sip:/);
  });

  it('knows a trunk by its peer and its networks, and shuts strangers out once calls can be placed', () => {
    const { book } = bookOf(trunk());
    expect(book.ofSource('198.51.100.77')?.name).toBe('carrier');
    expect(book.ofSource('::ffff:192.0.2.9')?.name).toBe('carrier');
    expect(book.ofSource('203.0.113.1')).toBeUndefined();
    expect(book.admitInbound('203.0.113.1')).toMatchObject({ refusal: 'not_a_trunk' });
    expect(bookOf(trunk({ destinations: [] })).book.admitInbound('203.0.113.1')).toBeUndefined();
  });

  it('counts the calls of a trunk each way by itself', () => {
    const { book } = bookOf(trunk({ caps: { ...CAPS, concurrent: 1 } }));
    expect(outcome(book)).toMatch(/^sip:/);
    expect(book.admitInbound('192.0.2.9')).toHaveProperty('lease');
    expect(book.admitInbound('192.0.2.9')).toMatchObject({ refusal: 'cap_concurrent' });
    expect(book.snapshot()).toEqual([{ name: 'carrier', outbound: { calls: 1, today: 1 }, inbound: { calls: 1, today: 1 } }]);
  });

  it('tells the caller by 503 to come again and by 403 not to', () => {
    expect(trunkRefusalStatus('cap_concurrent')).toBe(503);
    expect(trunkRefusalStatus('cap_per_day')).toBe(403);
    expect(trunkRefusalStatus('destination_refused')).toBe(403);
    expect(trunkRefusalStatus('bad_destination')).toBe(404);
  });
});

import { describe, expect, it } from 'vitest';
import { SourceGuard } from '../../../src/sip/embedded/guard.ts';

const admitted = (guard: SourceGuard, address: string, count: number, now: number): number =>
  Array.from({ length: count }, () => guard.admit(address, now)).filter(Boolean).length;

describe('the guard of a source', () => {
  it('lets two seconds of its rate in at once and its rate from then on', () => {
    const guard = new SourceGuard({ requestsPerSecond: 100 });
    expect(admitted(guard, '192.0.2.1', 500, 0)).toBe(200);
    expect(admitted(guard, '192.0.2.1', 500, 100)).toBe(10);
    expect(admitted(guard, '192.0.2.1', 500, 10_000)).toBe(200);
    expect(admitted(guard, '192.0.2.2', 1, 10_000)).toBe(1);
  });

  it('counts the addresses of one IPv6 network as one source', () => {
    const guard = new SourceGuard({ requestsPerSecond: 1 });
    expect(admitted(guard, '2001:db8:1:2::1', 2, 0)).toBe(2);
    expect(guard.admit('2001:db8:1:2:ffff:1:2:3', 0)).toBe(false);
    expect(guard.admit('2001:db8:1:3::1', 0)).toBe(true);
    expect(guard.admit('::1', 0)).toBe(true);
    expect(guard.admit('1::', 0)).toBe(true);
    expect(guard.sources).toBe(4);
  });

  it('remembers a bounded number of sources, those heard of last', () => {
    const guard = new SourceGuard({ requestsPerSecond: 1 });
    expect(admitted(guard, '192.0.2.1', 3, 0)).toBe(2);
    for (let i = 0; i < 20_000; i += 1) {
      guard.admit(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 0);
      if (i % 1000 === 0) expect(guard.admit('192.0.2.1', 0)).toBe(false);
    }
    expect(guard.sources).toBe(10_000);
  });

  it('lets everything in at rate 0 and remembers nobody', () => {
    const guard = new SourceGuard({ requestsPerSecond: 0 });
    expect(admitted(guard, '192.0.2.1', 1000, 0)).toBe(1000);
    expect(guard.sources).toBe(0);
  });
});

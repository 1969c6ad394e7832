import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ScanSign, SourceBans } from '../../src/sip/embedded/source-bans.ts';

const TRUNK = '203.0.113.1';

const address = fc.oneof(
  { arbitrary: fc.constant(TRUNK), weight: 1 },
  { arbitrary: fc.nat({ max: 20 }).map((n) => `198.51.100.${n}`), weight: 4 },
  { arbitrary: fc.nat({ max: 5 }).map((n) => `2001:db8:${n}::${n}`), weight: 1 },
);
const sign = fc.constantFrom<ScanSign>('password', 'name', 'malformed', 'scanner');
const step = fc.record({
  address,
  sign,
  name: fc.nat({ max: 50 }).map(String),
  afterMs: fc.nat({ max: 30_000 }),
  what: fc.nat({ max: 9 }),
});

describe('the bans of sources', () => {
  it('never meet a trunk, whatever is said in its name, and end in time', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const bans = new SourceBans(
          { isTrusted: (at) => at === TRUNK, isKnown: (at) => at === '198.51.100.3' },
          { seconds: 300, after: 5 },
        );
        let now = 0;
        for (const { address, sign, name, afterMs, what } of steps) {
          now += afterMs;
          if (what === 0) bans.sawSound(address);
          else if (what === 1) bans.sawWelcome(address);
          else if (what === 2) bans.lift(address, now);
          else if (!bans.isBanned(address, now)) bans.saw(address, now, sign, name);
          expect(bans.isBanned(TRUNK, now)).toBe(false);
          for (const { source, since, until } of bans.list(now)) {
            expect([TRUNK, '198.51.100.3']).not.toContain(source);
            expect(until - since).toBeGreaterThanOrEqual(300_000);
            expect(until - since).toBeLessThanOrEqual(86_400_000);
          }
        }
        expect(bans.count(now + 86_400_001)).toBe(0);
      }),
    );
  });

  it('are bounded, however many sources there are', () => {
    const bans = new SourceBans({ isTrusted: () => false, isKnown: () => false }, { seconds: 300, after: 5 });
    const at = (n: number): string => `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
    for (let n = 0; n < 30_000; n += 1) bans.saw(at(n), 0, 'name', 'a');
    expect(bans.suspects).toBe(10_000);
    for (let n = 0; n < 30_000; n += 1) for (let name = 0; name < 5; name += 1) bans.saw(at(n), 0, 'name', `${name}`);
    expect(bans.count(0)).toBe(10_000);
    expect(bans.isBanned(at(29_999), 0)).toBe(true);
    expect(bans.isBanned(at(0), 0)).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { type SourceBan, SourceBans } from '../../../src/sip/embedded/source-bans.ts';

const OPTIONS = { seconds: 300, after: 20 };
const SCANNER = '198.51.100.7';

function bansOf(trusted: readonly string[] = [], known: Set<string> = new Set(), options = OPTIONS) {
  const told: SourceBan[] = [];
  const deps = { isTrusted: (address: string) => trusted.includes(address), isKnown: (address: string) => known.has(address) };
  const bans = new SourceBans(deps, options);
  bans.onBanned = (ban) => void told.push(ban);
  return { bans, told };
}

function tryNames(bans: SourceBans, address: string, count: number, now: number, from = 0): void {
  for (let n = 0; n < count; n += 1) bans.saw(address, now, 'name', `${from + n}`);
}

describe('a source that behaves as scanners do', () => {
  it('is banned at the twentieth name, and listened to again when its time is over', () => {
    const { bans, told } = bansOf();
    tryNames(bans, SCANNER, 19, 1000);
    expect(bans.isBanned(SCANNER, 1000)).toBe(false);
    tryNames(bans, SCANNER, 1, 1000, 19);
    expect(told).toEqual([{ source: SCANNER, sign: 'name', since: 1000, until: 301_000, times: 1 }]);
    expect([1000, 300_999, 301_000].map((now) => bans.isBanned(SCANNER, now))).toEqual([true, true, false]);
    expect(bans.isBanned('198.51.100.8', 1000)).toBe(false);
    expect([bans.count(1000), bans.count(301_000)]).toEqual([1, 0]);
  });

  it('is banned for twice as long each time it comes back within a day, a day at the most', () => {
    const { bans, told } = bansOf();
    let now = 0;
    for (let n = 0; n < 12; n += 1) {
      tryNames(bans, SCANNER, 20, now);
      now = told.at(-1)?.until ?? Number.NaN;
    }
    expect(told.map(({ since, until }) => (until - since) / 1000)).toEqual([
      ...[300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 86_400, 86_400, 86_400],
    ]);
    tryNames(bans, SCANNER, 20, now + 86_400_000);
    expect(told.at(-1)).toMatchObject({ times: 1 });
  });

  it('is known by ten wrong passwords in a row, by what cannot be read, and the sooner when it says what it is', () => {
    const { bans, told } = bansOf();
    for (let n = 0; n < 10; n += 1) bans.saw('192.0.2.1', 0, 'password');
    for (let n = 0; n < 20; n += 1) bans.saw('192.0.2.2', 0, 'malformed');
    for (let n = 0; n < 10; n += 1) {
      bans.saw('192.0.2.3', 0, 'name', `${n}`);
      bans.saw('192.0.2.3', 0, 'scanner');
    }
    expect(told.map(({ source, sign }) => [source, sign])).toEqual([
      ['192.0.2.1', 'password'],
      ['192.0.2.2', 'malformed'],
      ['192.0.2.3', 'name'],
    ]);
  });

  it('is its whole IPv6 network, but for a trunk that has an address in it', () => {
    const { bans } = bansOf(['2001:db8:1:2::5']);
    tryNames(bans, '2001:db8:1:2::1', 10, 0);
    tryNames(bans, '2001:db8:1:2:ffff::9', 10, 0, 10);
    expect(bans.list(0)).toMatchObject([{ source: '2001:db8:1:2::/64' }]);
    expect(['2001:db8:1:2::77', '2001:db8:1:2::5', '2001:db8:1:3::1'].map((each) => bans.isBanned(each, 0))).toEqual([true, false, false]);
    expect(bans.lift('2001:db8:1:2::', 0)).toBe(true);
    expect(bans.isBanned('2001:db8:1:2::77', 0)).toBe(false);
    expect(bans.lift('2001:db8:1:2::', 0)).toBe(false);
  });
});

describe('a source that does not', () => {
  it('may ask for one name as often as it likes, and be wrong now and then', () => {
    const { bans, told } = bansOf();
    for (let n = 0; n < 1000; n += 1) bans.saw('192.0.2.1', n * 10, 'name', 'agent');
    for (let n = 0; n < 100; n += 1) bans.saw('192.0.2.2', n * 10_000, 'password');
    for (let n = 0; n < 100; n += 1) {
      bans.saw('192.0.2.3', n, 'malformed');
      bans.sawSound('192.0.2.3');
    }
    expect(told).toEqual([]);
  });

  it('starts anew with the first right password: an office whose phones start together', () => {
    const { bans, told } = bansOf();
    for (let n = 0; n < 10; n += 1) {
      tryNames(bans, '192.0.2.1', 15, 0, 15 * n);
      bans.sawWelcome('192.0.2.1');
    }
    expect(told).toEqual([]);
  });

  it('is never banned while it has a call or is registered, and is let in again when we call it', () => {
    const known = new Set(['192.0.2.1']);
    const { bans, told } = bansOf([], known);
    tryNames(bans, '192.0.2.1', 100, 0);
    expect(told).toEqual([]);
    tryNames(bans, SCANNER, 20, 0);
    known.add(SCANNER);
    expect([4999, 5000, 5001].map((now) => bans.isBanned(SCANNER, now))).toEqual([true, false, false]);
  });

  it('is nobody at all where nobody is banned', () => {
    const { bans, told } = bansOf([], new Set(), { seconds: 0, after: 20 });
    tryNames(bans, SCANNER, 1000, 0);
    expect([told.length, bans.suspects]).toEqual([0, 0]);
  });
});

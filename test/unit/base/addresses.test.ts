import { describe, expect, it } from 'vitest';
import { canonicalAddress, sourceOf } from '../../../src/base/addresses.ts';

describe('an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ])('%s is %s to sockets', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  it.each(['', 'localhost', 'fe80::1%eth0', '[::1]', '192.0.2.1:5060', '1.2.3', ':::'])('%j is none', (text) => {
    expect(canonicalAddress(text)).toBeUndefined();
  });

  it('belongs to a source: itself, or the /64 of one IPv6 customer', () => {
    expect(sourceOf('192.0.2.1')).toBe('192.0.2.1');
    expect(sourceOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(sourceOf('2001:db8:1:2::6')).toBe('2001:db8:1:2::/64');
    expect(sourceOf('2001:db8::6')).toBe('2001:db8:0:0::/64');
    expect(sourceOf('::1')).toBe(sourceOf('::2'));
    expect(sourceOf('2001:db8:1:3::6')).not.toBe(sourceOf('2001:db8:1:2::6'));
  });
});

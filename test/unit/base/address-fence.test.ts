import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AddressFence, isPublicAddress, literalHost } from '../../../src/base/address-fence.ts';

describe('a public address', () => {
  test.each([
    '8.8.8.8',
    '1.1.1.1',
    '100.63.255.255',
    '172.15.0.1',
    '172.32.0.1',
    '192.0.1.1',
    '223.255.255.255',
    '2606:4700::1',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
  ])('is %s', (address) => expect(isPublicAddress(address)).toBe(true));

  test.each([
    ...[
      '0.0.0.0',
      '0.1.2.3',
      '10.0.0.1',
      '100.64.0.1',
      '100.127.255.255',
      '127.0.0.1',
      '127.255.255.254',
      '169.254.169.254',
      '172.16.0.1',
      '172.31.255.255',
    ],
    ...[
      '192.0.0.1',
      '192.0.2.1',
      '192.31.196.1',
      '192.52.193.1',
      '192.88.99.1',
      '192.168.1.1',
      '192.175.48.1',
      '198.18.0.1',
      '198.19.255.255',
      '198.51.100.1',
    ],
    ...['203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
    ...[
      '::',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:10.0.0.1',
      '::ffff:7f00:1',
      '::127.0.0.1',
      '64:ff9b::127.0.0.1',
      '64:ff9b::8.8.8.8',
      '64:ff9b:1::1',
      '100::1',
    ],
    ...[
      '2001::1',
      '2001:0:7f00:1::',
      '2001:2::1',
      '2001:10::1',
      '2001:20::1',
      '2001:db8::1',
      '2002:7f00:1::',
      '2620:4f:8000::1',
      '3fff::1',
      '5f00::1',
    ],
    ...['fc00::1', 'fd12:3456::1', 'fe80::1', 'fe80::1%eth0', 'fec0::1', 'ff02::1', '4000::1', 'e000::1'],
    ...['localhost', 'example.com', '', '1.2.3', '0x7f.1', '2130706433', '127.0.0.1 ', '8.8.8.8:80'],
  ])('is not %s', (address) => expect(isPublicAddress(address)).toBe(false));

  test('hides in no spelling of an IPv4 address: what a URL makes of it is what is asked about', () => {
    for (const host of [
      '0x7f.1',
      '2130706433',
      '017700000001',
      '127.1',
      '[::ffff:127.0.0.1]',
      '[0:0:0:0:0:ffff:7f00:1]',
      '127.0.0.1.',
      '①②⑦.0.0.1',
    ]) {
      const literal = literalHost(new URL(`https://${host}/`));
      expect(literal !== undefined && isPublicAddress(literal), host).toBe(false);
    }
  });

  test('is never one of an IPv4 address that is not, in a mapped one', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => isPublicAddress(`::ffff:${address}`) === isPublicAddress(address)),
      { numRuns: 500 },
    );
  });
});

describe('the fence', () => {
  const fence = new AddressFence([
    { address: '10.1.0.0', bits: 16 },
    { address: '127.0.0.1', bits: 32, port: 3001 },
    { address: 'fd00::', bits: 8 },
  ]);

  test('lets through what is public, when it is encrypted', () => {
    expect([fence.permits('8.8.8.8', 443, true), fence.permits('8.8.8.8', 80, false), fence.permits('2606:4700::1', 443, true)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test('lets through what it is told to, encrypted or not, and only on the port that was named', () => {
    expect(fence.permits('10.1.2.3', 80, false)).toBe(true);
    expect(fence.permits('::ffff:10.1.2.3', 80, false)).toBe(true);
    expect(fence.permits('10.2.0.1', 443, true)).toBe(false);
    expect([fence.permits('127.0.0.1', 3001, false), fence.permits('127.0.0.1', 3002, true)]).toEqual([true, false]);
    expect([fence.permits('fd12::1', 443, true), fence.permits('fe80::1', 443, true)]).toEqual([true, false]);
  });

  test('lets through no name, and nothing that is no address', () => {
    for (const text of ['localhost', '', 'fd00::1%lo', 'x']) expect(fence.permits(text, 3001, true)).toBe(false);
  });
});

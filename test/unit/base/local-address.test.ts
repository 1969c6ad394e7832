import { describe, expect, it } from 'vitest';
import { announcedAddress, type InterfaceAddress, localAddressTowards } from '../../../src/base/local-address.ts';

const interfaces: InterfaceAddress[] = [
  { address: '127.0.0.1', cidr: '127.0.0.1/8', internal: true },
  { address: '::1', cidr: '::1/128', internal: true },
  { address: 'fe80::1', cidr: 'fe80::1/64', internal: false },
  { address: '10.1.2.3', cidr: '10.1.2.3/8', internal: false },
  { address: '10.9.0.1', cidr: '10.9.0.1/16', internal: false },
  { address: '2001:db8:1::5', cidr: '2001:db8:1::5/64', internal: false },
];

describe('the local address towards a peer', () => {
  it('is the address the socket is bound to', () => {
    expect(localAddressTowards('192.0.2.7', '10.9.0.2', interfaces)).toBe('192.0.2.7');
    expect(localAddressTowards('::ffff:192.0.2.7', '10.9.0.2', interfaces)).toBe('192.0.2.7');
  });

  it('is loopback for a peer on loopback', () => {
    for (const bind of ['0.0.0.0', '::']) {
      expect(localAddressTowards(bind, '127.0.0.9', interfaces)).toBe('127.0.0.1');
      expect(localAddressTowards(bind, '::ffff:127.0.0.9', interfaces)).toBe('127.0.0.1');
      expect(localAddressTowards(bind, '::1', interfaces)).toBe('::1');
    }
  });

  it('is the one in the narrowest subnet the peer shares', () => {
    expect(localAddressTowards('0.0.0.0', '10.9.200.1', interfaces)).toBe('10.9.0.1');
    expect(localAddressTowards('0.0.0.0', '10.200.0.1', interfaces)).toBe('10.1.2.3');
    expect(localAddressTowards('::', '2001:db8:1::9', interfaces)).toBe('2001:db8:1::5');
    expect(localAddressTowards('::', 'fe80::9%eth0', interfaces)).toBe('fe80::1');
  });

  it('is the first one that leaves the machine for anybody else, loopback when there is none', () => {
    expect(localAddressTowards('0.0.0.0', '198.51.100.1', interfaces)).toBe('10.1.2.3');
    expect(localAddressTowards('::', '2001:db8:ffff::1', interfaces)).toBe('2001:db8:1::5');
    expect(localAddressTowards('0.0.0.0', '198.51.100.1', interfaces.slice(0, 2))).toBe('127.0.0.1');
  });

  it('asks the system when nobody says otherwise', () => {
    expect(localAddressTowards('0.0.0.0', '198.51.100.1')).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  });
});

describe('the address a peer is told', () => {
  it('is the public one for peers of its family, and our own for the others', () => {
    const place = { bind: '::', publicAddress: '203.0.113.1' };
    expect(announcedAddress(place, '198.51.100.1')).toBe('203.0.113.1');
    expect(announcedAddress(place, '::1')).toBe('::1');
    expect(announcedAddress({ bind: '::', publicAddress: '2001:db8::1' }, '127.0.0.1')).toBe('127.0.0.1');
  });

  it('is none for a peer our sockets cannot reach', () => {
    expect(announcedAddress({ bind: '0.0.0.0' }, '2001:db8::1')).toBeUndefined();
    expect(announcedAddress({ bind: '::1' }, '192.0.2.1')).toBeUndefined();
    expect(announcedAddress({ bind: '192.0.2.1' }, '198.51.100.1')).toBe('192.0.2.1');
    expect(announcedAddress({ bind: '2001:db8::1' }, '2001:db8::2')).toBe('2001:db8::1');
  });
});

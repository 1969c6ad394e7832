import { describe, expect, it } from 'vitest';
import { publicCandidates, publicEndpoints } from '../../../src/relay/public-endpoints.ts';

const nic = (address: string, internal = false, family: 'IPv4' | 'IPv6' = 'IPv4') => ({ address, internal, family });
const machine = {
  lo: [nic('127.0.0.1', true), nic('::1', true, 'IPv6')],
  eth0: [nic('192.0.2.1'), nic('fe80::1', false, 'IPv6')],
  eth1: [nic('198.51.100.1'), nic('2001:db8::1', false, 'IPv6'), nic('2001:db8::2', false, 'IPv6'), nic('2001:db8::3', false, 'IPv6')],
};
const addresses = (bound: string, publicAddress?: string, interfaces: Parameters<typeof publicEndpoints>[2] = machine) =>
  publicEndpoints({ address: bound, port: 3478 }, publicAddress, interfaces).map(({ address }) => address);

describe('a relay says that it is reached', () => {
  it('at every IPv4 address of the machine, loopback last, when it is bound to all', () => {
    expect(addresses('0.0.0.0')).toEqual(['192.0.2.1', '198.51.100.1', '127.0.0.1']);
  });

  it('at addresses of both families in turn when it is bound to all of IPv6, but for link-local ones', () => {
    expect(addresses('::')).toEqual(['192.0.2.1', '2001:db8::1', '198.51.100.1', '2001:db8::2', '2001:db8::3', '127.0.0.1']);
    expect(addresses('::', '203.0.113.1')).toEqual(['203.0.113.1', '2001:db8::1', '2001:db8::2', '2001:db8::3', '127.0.0.1']);
    expect(addresses('::', '2001:db8::9')).toEqual(['2001:db8::9', '192.0.2.1', '198.51.100.1', '127.0.0.1']);
  });

  it('at the one address it is bound to', () => {
    expect(addresses('2001:db8::2')).toEqual(['2001:db8::2']);
    expect(addresses('198.51.100.1')).toEqual(['198.51.100.1']);
  });

  it('at its public address first, and where the machine itself can reach it', () => {
    expect(addresses('0.0.0.0', '203.0.113.1')).toEqual(['203.0.113.1', '127.0.0.1']);
    expect(addresses('192.0.2.1', '203.0.113.1')).toEqual(['203.0.113.1', '192.0.2.1']);
    expect(addresses('203.0.113.1', '203.0.113.1')).toEqual(['203.0.113.1']);
  });

  it('at loopback when the machine has nothing else', () => {
    expect(addresses('0.0.0.0', undefined, { lo: machine.lo })).toEqual(['127.0.0.1']);
  });

  it('at eight addresses at the most, loopback among them', () => {
    const many = { eth0: Array.from({ length: 30 }, (_, i) => nic(`192.0.2.${i}`)) };
    expect(addresses('0.0.0.0', undefined, many)).toHaveLength(8);
    expect(addresses('0.0.0.0', undefined, many).at(-1)).toBe('127.0.0.1');
  });

  it('on the port it is bound to', () => {
    expect(publicEndpoints({ address: '127.0.0.1', port: 40_001 })).toEqual([{ address: '127.0.0.1', port: 40_001 }]);
  });
});

describe('an answer names', () => {
  const at = (address: string) => ({ address, port: 3478 });
  const udp = (address: string) => ({ ...at(address), transport: 'udp' });
  const tcp = (address: string) => ({ ...at(address), transport: 'tcp' });

  it('every address over UDP, and after them the two best over TCP', () => {
    const endpoints = ['203.0.113.1', '192.0.2.1', '198.51.100.1', '127.0.0.1'].map(at);
    expect(publicCandidates(endpoints)).toEqual([
      ...['203.0.113.1', '192.0.2.1', '198.51.100.1', '127.0.0.1'].map(udp),
      ...['203.0.113.1', '192.0.2.1'].map(tcp),
    ]);
  });

  it('loopback over TCP only when there is nothing else', () => {
    expect(publicCandidates([at('192.0.2.1'), at('127.0.0.1')])).toEqual([udp('192.0.2.1'), udp('127.0.0.1'), tcp('192.0.2.1')]);
    expect(publicCandidates([at('::1')])).toEqual([udp('::1'), tcp('::1')]);
  });
});

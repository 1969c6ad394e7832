import { describe, expect, it } from 'vitest';
import { ClientAddress, clientKey, isTcpKey, readClientKey } from '../../../src/ownership/client-address.ts';

describe('a client address', () => {
  it.each([
    ['192.0.2.1', 4000],
    ['0.0.0.0', 0],
    ['255.255.255.255', 65535],
    ['2001:db8::1', 4000],
    ['::1', 1],
    ['::', 9],
    ['2001:db8:0:1:1:1:1:1', 2],
    ['1:0:0:2::3', 2],
    ['64:ff9b::102:304', 3],
  ])('%s:%d survives the frame with the same key', (address, port) => {
    const client = ClientAddress.of(address, port);
    expect(client).toBeDefined();
    const frame = Buffer.concat([Buffer.alloc(3), client?.bytes ?? Buffer.alloc(0)]);
    const read = ClientAddress.read(frame, 3);
    expect(read).toEqual(client);
    expect(readClientKey(frame, 3)).toBe(clientKey(address, port));
  });

  it.each([
    ['192.0.2.1', 4000, 0, 'tcp:192.0.2.1:4000#0'],
    ['2001:db8::1', 1, 0xffff_ffff, 'tcp:[2001:db8::1]:1#4294967295'],
  ])('%s:%d over TCP has the number of its connection for a key', (address, port, flowId, text) => {
    const client = ClientAddress.overTcp(address, port, flowId) as ClientAddress;
    expect([client.address, client.port, client.text]).toEqual([address, port, text]);
    expect(isTcpKey(client.key)).toBe(true);
    const frame = Buffer.concat([Buffer.alloc(3), client.bytes]);
    expect(ClientAddress.read(frame, 3, true)).toEqual(client);
    expect(readClientKey(frame, 3, true)).toBe(client.key);
    expect(isTcpKey(readClientKey(frame, 3))).toBe(false);
  });

  it('writes IPv4 in its mapped form', () => {
    expect(Buffer.from(ClientAddress.of('192.0.2.1', 0x1234)?.bytes ?? []).toString('hex')).toBe('00000000000000000000ffffc00002011234');
  });

  it('knows an IPv6 address in any of its spellings', () => {
    expect(clientKey('2001:DB8:0:0:0:0:0:1', 5)).toBe(clientKey('2001:db8::1', 5));
    expect(clientKey('64:ff9b::1.2.3.4', 5)).toBe(clientKey('64:ff9b::102:304', 5));
  });

  it.each(['', 'localhost', '1.2.3', '1.2.3.4.5', '256.1.1.1', 'fe80::1%eth0', '::ffff:1.2.3.4', '1.2.3.4 '])('%j is none', (address) => {
    expect(ClientAddress.of(address, 1)).toBeUndefined();
    expect(ClientAddress.overTcp(address, 1, 1)).toBeUndefined();
  });
});

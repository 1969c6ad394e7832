import { describe, expect, it } from 'vitest';
import { ClientAddress } from '../../../src/ownership/client-address.ts';
import { deriveRelayKeys, parseClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { readHello, writeHello } from '../../../src/ownership/hello-frame.ts';
import { COALESCED_BYTES, DatagramReader, DatagramWriter, MAX_PAYLOAD_BYTES, makeBootId } from '../../../src/ownership/inner-frame.ts';

const secret = (fill: number) => Buffer.alloc(32, fill).toString('base64');
const keysOf = (...lines: string[]) => deriveRelayKeys(parseClusterKeys(lines.join('\n')));
const keys = keysOf(`1:${secret(1)}`);
const header = { direction: 'up', sender: 0x010001, receiver: 7, bootId: 1.7e12 * 1024, counter: 42 } as const;
const client = ClientAddress.of('192.0.2.7', 40_000) as ClientAddress;

function frames(reader: DatagramReader): [string, string, number | string][] {
  const all: [string, string, number | string][] = [];
  while (reader.next()) all.push([reader.kind, reader.payload.toString(), reader.key]);
  return all;
}

describe('an inner datagram', () => {
  it('carries frames of several kinds and clients', () => {
    const writer = new DatagramWriter();
    writer.add('data', Buffer.from('one'), client.bytes);
    writer.add('gone', Buffer.alloc(0), client.bytes);
    writer.add('hello', Buffer.from('me'));
    const reader = new DatagramReader();
    expect(reader.open(writer.seal(header, keys), keys)).toEqual(header);
    expect(frames(reader)).toEqual([
      ['data', 'one', client.key],
      ['gone', '', client.key],
      ['hello', 'me', '\0'.repeat(18)],
    ]);
    expect(writer.empty).toBe(true);
  });

  it('is 54 bytes longer than one payload', () => {
    const writer = new DatagramWriter();
    writer.add('data', Buffer.alloc(180), client.bytes);
    expect(writer.seal(header, keys)).toHaveLength(180 + 54);
  });

  it('holds frames up to 1400 bytes, and a larger one alone', () => {
    const writer = new DatagramWriter();
    let count = 0;
    while (writer.fits(Buffer.alloc(180), client.bytes)) {
      writer.add('data', Buffer.alloc(180), client.bytes);
      count += 1;
    }
    expect(count).toBe(6);
    expect(writer.seal(header, keys).length).toBeLessThanOrEqual(COALESCED_BYTES);
    expect(writer.fits(Buffer.alloc(MAX_PAYLOAD_BYTES), client.bytes)).toBe(true);
    writer.add('data', Buffer.alloc(MAX_PAYLOAD_BYTES), client.bytes);
    expect(writer.fits(Buffer.alloc(0), client.bytes)).toBe(false);
    expect(new DatagramWriter().fits(Buffer.alloc(MAX_PAYLOAD_BYTES + 1), client.bytes)).toBe(false);
    const reader = new DatagramReader();
    expect(reader.open(writer.seal(header, keys), keys)).toBeDefined();
    expect(reader.next() && reader.payload.length).toBe(MAX_PAYLOAD_BYTES);
  });

  it('tells the clients of two TCP connections apart, and from one over UDP, that share an address and port', () => {
    const clients = [client, ...[0, 0xffff_ffff].map((flowId) => ClientAddress.overTcp('192.0.2.7', 40_000, flowId) as ClientAddress)];
    const writer = new DatagramWriter();
    for (const [i, each] of clients.entries()) writer.add('data', Buffer.from(`to ${i}`), each.bytes);
    const reader = new DatagramReader();
    reader.open(writer.seal(header, keys), keys);
    const read: unknown[] = [];
    while (reader.next()) read.push([reader.payload.toString(), reader.key, reader.resolve()]);
    expect(read).toEqual(clients.map((each, i) => [`to ${i}`, each.key, each]));
    expect(new Set(clients.map(({ key }) => key)).size).toBe(3);
  });

  it('carries the largest frame of a TCP client', () => {
    const overTcp = ClientAddress.overTcp('2001:db8::1', 9, 7) as ClientAddress;
    const writer = new DatagramWriter();
    writer.add('data', Buffer.alloc(MAX_PAYLOAD_BYTES, 5), overTcp.bytes);
    const reader = new DatagramReader();
    expect(reader.open(writer.seal(header, keys), keys)).toBeDefined();
    expect(reader.next() && reader.payload).toEqual(Buffer.alloc(MAX_PAYLOAD_BYTES, 5));
  });

  it('is refused when any bit of it is another', () => {
    const writer = new DatagramWriter();
    writer.add('data', Buffer.from('x'), client.bytes);
    const sealed = writer.seal(header, keys);
    const reader = new DatagramReader();
    for (let bit = 0; bit < sealed.length * 8; bit += 1) {
      const tampered = Buffer.from(sealed);
      tampered[bit >> 3] = (tampered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(reader.open(tampered, keys)).toBeUndefined();
      expect(reader.next()).toBe(false);
    }
  });

  it('is refused when it is cut or longer', () => {
    const writer = new DatagramWriter();
    writer.add('data', Buffer.from('x'), client.bytes);
    const sealed = writer.seal(header, keys);
    const reader = new DatagramReader();
    for (let length = 0; length < sealed.length; length += 1) expect(reader.open(sealed.subarray(0, length), keys)).toBeUndefined();
    expect(reader.open(Buffer.concat([sealed, Buffer.alloc(1)]), keys)).toBeUndefined();
  });

  it('is read with the accepted key while keys are changed, and not afterwards', () => {
    const writer = new DatagramWriter();
    writer.add('data', Buffer.from('x'), client.bytes);
    const sealed = writer.seal(header, keys);
    const reader = new DatagramReader();
    expect(reader.open(sealed, keysOf(`2:${secret(2)}`, `1:${secret(1)}`))).toEqual(header);
    expect(reader.open(sealed, keysOf(`2:${secret(2)}`))).toBeUndefined();
    expect(reader.open(sealed, keysOf(`1:${secret(2)}`))).toBeUndefined();
  });

  it('comes from a boot that counts up', () => {
    const first = makeBootId(1_700_000_000_000, 1023);
    expect(makeBootId(1_700_000_000_001, 0)).toBeGreaterThan(first);
    expect(Number.isSafeInteger(makeBootId(8_000_000_000_000, 1023))).toBe(true);
  });
});

describe('a hello', () => {
  it('says where clients reach the relay', () => {
    const hello = {
      heardBootId: makeBootId(1_700_000_000_000, 5),
      endpoints: [
        { address: '192.0.2.1', port: 3478, transport: 'udp' },
        { address: '2001:db8::2', port: 9, transport: 'udp' },
        { address: '192.0.2.1', port: 443, transport: 'tcp' },
      ],
    } as const;
    expect(readHello(writeHello(hello))).toEqual(hello);
  });

  it('holds at most 16 addresses, and none that is no address', () => {
    const endpoints = Array.from({ length: 40 }, (_, i) => ({ address: `192.0.2.${i}`, port: 1 }));
    expect(readHello(writeHello({ heardBootId: 0, endpoints }))?.endpoints).toHaveLength(16);
    expect(readHello(writeHello({ heardBootId: 0, endpoints: [{ address: 'relay.example', port: 1 }] }))?.endpoints).toEqual([]);
  });

  it('is not read when it is cut or longer', () => {
    const payload = writeHello({ heardBootId: 1, endpoints: [{ address: '192.0.2.1', port: 3478 }] });
    for (let length = 0; length < payload.length; length += 1) expect(readHello(payload.subarray(0, length))).toBeUndefined();
    expect(readHello(Buffer.concat([payload, Buffer.alloc(1)]))).toBeUndefined();
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { verifyIntegrity } from '../../../../src/webrtc/stun/integrity.ts';
import { parseStun } from '../../../../src/webrtc/stun/parse-stun.ts';
import { readUsername } from '../../../../src/webrtc/stun/read-username.ts';
import { writeStun } from '../../../../src/webrtc/stun/write-stun.ts';

const hex = (text: string) => Buffer.from(text.replace(/\s+/g, ''), 'hex');
const transactionId = hex('b7e7a701bc34d686fa87dfae');

// RFC 5769 §2.1–2.3
const PASSWORD = 'VOkJxbRl1RmTxUk/WvJxBt';
const REQUEST = hex(`000100582112a442b7e7a701bc34d686fa87dfae 802200105354554e207465737420636c69656e74 002400046e0001ff
  80290008932ff9b151263b36 0006000965 76746a3a68367659202020 000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf`);
const RESPONSE_V4 = hex(`0101003c2112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220 002000080001a147e112a643
  000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96`);
const RESPONSE_V6 = hex(`010100482112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220
  002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014a382954e4be67bf11784c97c8292c275bfe3ed41 80280004c8fb0b4c`);

/** The message with attributes of our choice and no integrity or fingerprint. */
function raw(type: number, ...attributes: [number, Buffer][]): Buffer {
  const body = Buffer.concat(
    attributes.map(([attribute, value]) => {
      const head = Buffer.alloc(4);
      head.writeUInt16BE(attribute, 0);
      head.writeUInt16BE(value.length, 2);
      return Buffer.concat([head, value, Buffer.alloc(-value.length & 3)]);
    }),
  );
  const header = Buffer.alloc(20);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(body.length, 2);
  header.writeUInt32BE(0x2112a442, 4);
  transactionId.copy(header, 8);
  return Buffer.concat([header, body]);
}

describe('RFC 5769 vectors', () => {
  it('reads and verifies the sample request', () => {
    const message = parseStun(REQUEST);
    expect(message).toMatchObject({ class: 'request', method: 1, priority: 0x6e0001ff, iceControlled: 0x932ff9b151263b36n });
    expect(message?.username?.toString()).toBe('evtj:h6vY');
    expect(message?.hasFingerprint).toBe(true);
    expect(message && verifyIntegrity(REQUEST, message, PASSWORD)).toBe(true);
    expect(message && verifyIntegrity(REQUEST, message, `${PASSWORD}x`)).toBe(false);
    expect(readUsername(REQUEST)).toBe('evtj:h6vY');
  });

  it.each([
    ['IPv4', RESPONSE_V4, '192.0.2.1'],
    ['IPv6', RESPONSE_V6, '2001:db8:1234:5678:11:2233:4455:6677'],
  ])('reads and verifies the sample %s response', (_family, datagram, address) => {
    const message = parseStun(datagram);
    expect(message).toMatchObject({ class: 'success', xorMappedAddress: { address, port: 32853 } });
    expect(message && verifyIntegrity(datagram, message, PASSWORD)).toBe(true);
    expect(readUsername(datagram)).toBeUndefined();
  });
});

describe('writeStun', () => {
  it.each(['192.0.2.1', '255.255.255.255', '2001:db8::1', '::1', '::', 'fe80::1%eth0', '64:ff9b::192.0.2.33'])(
    'carries the address %s through',
    (address) => {
      const message = parseStun(writeStun({ class: 'success', transactionId, xorMappedAddress: { address, port: 65535 } }));
      const [host = ''] = address.split('%');
      const expanded = host.includes('.') && host.includes(':') ? '64:ff9b:0:0:0:0:c000:221' : host;
      expect(normal(message?.xorMappedAddress?.address ?? '')).toBe(normal(expanded));
      expect(message?.xorMappedAddress?.port).toBe(65535);
    },
  );

  it('writes an error with its code, reason and unknown attributes', () => {
    const error = { code: 420, reason: 'Unknown Attribute' };
    const datagram = writeStun({ class: 'error', transactionId, error, unknownAttributes: [0x7001, 0x7002] }, 'pwd');
    const message = parseStun(datagram);
    expect(message).toMatchObject({ class: 'error', errorCode: 420 });
    expect(message && verifyIntegrity(datagram, message, 'pwd')).toBe(true);
    expect(datagram.includes(hex('000a0004 70017002'))).toBe(true);
  });

  it('covers extra attributes with integrity', () => {
    const extra = [{ type: 0xc070, value: Buffer.from([1, 2, 3]) }];
    const datagram = writeStun({ class: 'request', transactionId, username: 'a:b', extra }, 'pwd');
    const at = datagram.indexOf(hex('c0700003010203'));
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThan(parseStun(datagram)?.integrityOffset ?? 0);
  });
});

describe('parseStun is strict', () => {
  it('refuses every truncation and every extension of a good message', () => {
    for (let length = 0; length < REQUEST.length; length += 1) expect(parseStun(REQUEST.subarray(0, length))).toBeUndefined();
    expect(parseStun(Buffer.concat([REQUEST, Buffer.alloc(4)]))).toBeUndefined();
  });

  it('refuses a wrong cookie, channel data, odd lengths and lengths that point outside', () => {
    const broken = (change: (datagram: Buffer) => void) => {
      const copy = Buffer.from(raw(1, [6, Buffer.from('a:b')]));
      change(copy);
      return parseStun(copy);
    };
    expect(broken(() => undefined)).toBeDefined();
    expect(broken((d) => d.writeUInt32BE(0x2112a443, 4))).toBeUndefined();
    expect(broken((d) => d.writeUInt8(0x40, 0))).toBeUndefined();
    expect(broken((d) => d.writeUInt16BE(7, 2))).toBeUndefined();
    expect(broken((d) => d.writeUInt16BE(0xffff, 22))).toBeUndefined();
    expect(broken((d) => d.writeUInt16BE(5, 22))).toBeUndefined();
  });

  it('refuses a message whose single bit was flipped under a fingerprint', () => {
    for (let bit = 0; bit < REQUEST.length * 8; bit += 1) {
      const copy = Buffer.from(REQUEST);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const message = parseStun(copy);
      // A flip that makes FINGERPRINT another attribute leaves integrity as the judge.
      if (message) expect(message.hasFingerprint).toBe(false);
    }
  });

  it('takes the first of repeated attributes', () => {
    const message = parseStun(
      raw(1, [6, Buffer.from('first:x')], [6, Buffer.from('second:x')], [0x24, hex('00000001')], [0x24, hex('00000002')]),
    );
    expect(message?.username?.toString()).toBe('first:x');
    expect(message?.priority).toBe(1);
  });

  it('ignores attributes after MESSAGE-INTEGRITY, so that nobody can append USE-CANDIDATE', () => {
    const message = parseStun(raw(1, [6, Buffer.from('a:b')], [8, Buffer.alloc(20)], [0x25, Buffer.alloc(0)], [0x7777, Buffer.alloc(0)]));
    expect(message?.useCandidate).toBe(false);
    expect(message?.unknownRequired).toEqual([]);
  });

  it('refuses anything after FINGERPRINT', () => {
    const datagram = writeStun({ class: 'request', transactionId, username: 'a:b' });
    const longer = Buffer.concat([datagram, hex('00250000')]);
    longer.writeUInt16BE(longer.length - 20, 2);
    // The fingerprint covers the header length: make it fit the longer message.
    const at = longer.length - 12;
    longer.writeUInt32BE((crc32(longer.subarray(0, at)) ^ 0x5354554e) >>> 0, at + 4);
    expect(parseStun(longer)).toBeUndefined();
  });

  it('names unknown comprehension-required attributes once each', () => {
    const message = parseStun(
      raw(1, [0x7001, Buffer.alloc(0)], [0x7001, Buffer.alloc(0)], [0x0002, Buffer.alloc(0)], [0xc001, Buffer.alloc(0)]),
    );
    expect(message?.unknownRequired).toEqual([0x7001, 0x0002]);
  });

  it('ends the walk at 32 attributes', () => {
    const attributes = (count: number) => Array.from({ length: count }, (): [number, Buffer] => [0xc001, Buffer.alloc(0)]);
    expect(parseStun(raw(1, ...attributes(32)))).toBeDefined();
    expect(parseStun(raw(1, ...attributes(33)))).toBeUndefined();
  });

  it('refuses known attributes of a wrong size', () => {
    for (const [type, size] of [
      [0x24, 3],
      [0x25, 1],
      [0x8029, 7],
      [0x802a, 9],
      [0x20, 7],
      [0x20, 20],
      [0x09, 3],
      [0x08, 19],
      [0x06, 509],
      [0x8028, 3],
    ] as const) {
      expect(parseStun(raw(1, [type, Buffer.alloc(size)]))).toBeUndefined();
    }
  });
});

describe('readUsername', () => {
  it('finds the name wherever browsers put it', () => {
    expect(readUsername(raw(1, [0x24, Buffer.alloc(4)], [0x802a, Buffer.alloc(8)], [6, Buffer.from('ours:theirs')]))).toBe('ours:theirs');
  });

  it('finds nothing in indications, other methods, responses and hidden names', () => {
    const name: [number, Buffer] = [6, Buffer.from('ours:theirs')];
    for (const type of [0x0011, 0x0101, 0x0111, 0x0003, 0x0004]) expect(readUsername(raw(type, name))).toBeUndefined();
    const filler = Array.from({ length: 16 }, (): [number, Buffer] => [0xc001, Buffer.alloc(0)]);
    expect(readUsername(raw(1, ...filler, name))).toBeUndefined();
    expect(readUsername(raw(1, [6, Buffer.from('a b:c')]))).toBeUndefined();
    expect(readUsername(raw(1, [6, Buffer.from('a\u00e9:c')]))).toBeUndefined();
    expect(readUsername(raw(1, [6, Buffer.alloc(514, 0x61)]))).toBeUndefined();
  });

  it('never reads past the datagram', () => {
    const datagram = raw(1, [6, Buffer.from('ours:theirs')]);
    datagram.writeUInt16BE(400, 22);
    expect(readUsername(datagram)).toBeUndefined();
  });
});

const { RINGDOWN_TEST_DATA: outside } = process.env;
// Fuzz samples of other projects are not part of this repository.
describe.skipIf(!outside)('other projects’ fuzz corpora (RINGDOWN_TEST_DATA)', () => {
  it('parses every file without throwing', () => {
    const folder = join(outside ?? '', 'corpora');
    let files = 0;
    for (const kind of readdirSync(folder, { withFileTypes: true })) {
      if (!kind.isDirectory()) continue;
      for (const name of readdirSync(join(folder, kind.name))) {
        const datagram = readFileSync(join(folder, kind.name, name));
        const message = parseStun(datagram);
        if (message) verifyIntegrity(datagram, message, 'password');
        readUsername(datagram);
        files += 1;
      }
    }
    expect(files).toBeGreaterThan(100);
  });
});

/** One spelling for equal IPv6 addresses. */
function normal(address: string): string {
  return address.includes(':') ? new URL(`http://[${address}]/`).hostname : address;
}

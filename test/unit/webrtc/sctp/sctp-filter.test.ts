import { describe, expect, it } from 'vitest';
import { sctpChecksum } from '../../../../src/webrtc/sctp/crc32c.ts';
import { filterSctp } from '../../../../src/webrtc/sctp/sctp-filter.ts';

const limits = { maxGapOffset: 100 };
const hex = (text: string) => Buffer.from(text.replace(/\s+/g, ''), 'hex');

function chunk(type: number, body: Buffer, length = body.length + 4): Buffer {
  const head = Buffer.from([type, 3, length >> 8, length & 255]);
  return Buffer.concat([head, body, Buffer.alloc(-body.length & 3)]);
}

function packet(...chunks: Buffer[]): Buffer {
  const initial = chunks[0]?.[0] === 1;
  return seal(Buffer.concat([hex(`13881388 ${initial ? '00000000' : '11223344'} 00000000`), ...chunks]));
}

function seal(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(sctpChecksum(bytes), 8);
  return bytes;
}

const passes = (...chunks: Buffer[]) => filterSctp(packet(...chunks), limits) !== undefined;

const DATA = chunk(0, Buffer.concat([hex('00000001 0000 0000 00000033'), Buffer.from('hello')]));
const INIT = hex('11223344 00100000 ffff ffff 00000001');

function sack(gaps: [number, number][], duplicates = 0, claimed = gaps.length): Buffer {
  const body = Buffer.alloc(12 + 4 * (gaps.length + duplicates));
  body.writeUInt16BE(claimed, 8);
  body.writeUInt16BE(duplicates, 10);
  gaps.forEach(([start, end], i) => {
    body.writeUInt16BE(start, 12 + 4 * i);
    body.writeUInt16BE(end, 14 + 4 * i);
  });
  return chunk(3, body);
}

describe('sctpChecksum', () => {
  it('is CRC-32C', () => {
    // RFC 3720 appendix B.4, laid around a checksum field of zeroes: 32 zero bytes.
    expect(sctpChecksum(Buffer.alloc(32))).toBe(0x8a9136aa);
  });
});

describe('filterSctp', () => {
  it('hands on well-formed packets as they are', () => {
    const good = packet(DATA, DATA, sack([[2, 3]]));
    expect(filterSctp(good, limits)).toBe(good);
    expect(passes(chunk(1, INIT))).toBe(true);
    expect(passes(chunk(2, Buffer.concat([INIT, hex('0007000801020304')])))).toBe(true);
    expect(passes(chunk(4, hex('0001000c0102030405060708')))).toBe(true);
    expect(passes(chunk(10, Buffer.alloc(24)), DATA)).toBe(true);
    expect(passes(chunk(130, hex('000d0012 00000001 00000000 00000000 0001')))).toBe(true);
    expect(passes(chunk(192, hex('00000009 00010002')))).toBe(true);
  });

  it('refuses a wrong checksum and every truncation', () => {
    const good = packet(DATA);
    for (let length = 0; length < good.length; length += 1) expect(filterSctp(good.subarray(0, length), limits)).toBeUndefined();
    for (let bit = 0; bit < good.length * 8; bit += 1) {
      const copy = Buffer.from(good);
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(filterSctp(copy, limits)).toBeUndefined();
    }
  });

  it('refuses chunk lengths that stand still or point outside', () => {
    for (const length of [0, 1, 3, 5000, 65535]) expect(passes(chunk(0, DATA.subarray(4), length))).toBe(false);
    expect(filterSctp(seal(Buffer.concat([packet(DATA), Buffer.alloc(3)])), limits)).toBeUndefined();
  });

  it('refuses parameters that stand still or point outside: one of length 0 is an endless loop in werift', () => {
    for (const parameter of ['00010000', '00010003', '00010009 01020304', '0001']) {
      expect(passes(chunk(4, hex(parameter)))).toBe(false);
      expect(passes(chunk(1, Buffer.concat([INIT, hex(parameter)])))).toBe(false);
      expect(passes(chunk(130, hex(parameter)))).toBe(false);
    }
  });

  it('refuses an INIT in company, without tag, window or streams, or under a verification tag', () => {
    expect(passes(chunk(1, INIT), DATA)).toBe(false);
    expect(passes(DATA, chunk(1, INIT))).toBe(false);
    for (const broken of [
      '00000000 00100000 ffff ffff 00000001',
      '11223344 00000000 ffff ffff 00000001',
      '11223344 00100000 0000 ffff 00000001',
    ]) {
      expect(passes(chunk(1, hex(broken)))).toBe(false);
    }
    expect(passes(chunk(1, INIT.subarray(0, 15)))).toBe(false);
    const tagged = packet(chunk(1, INIT));
    tagged.writeUInt32BE(7, 4);
    expect(filterSctp(seal(tagged), limits)).toBeUndefined();
    const untagged = packet(DATA);
    untagged.writeUInt32BE(0, 4);
    expect(filterSctp(seal(untagged), limits)).toBeUndefined();
    expect(passes(chunk(2, INIT))).toBe(false);
  });

  it('refuses SACKs whose blocks lie, overlap, or reach beyond what can be outstanding', () => {
    expect(passes(sack([[2, 100]], 2))).toBe(true);
    expect(passes(sack([[2, 101]]))).toBe(false);
    expect(passes(sack([[0, 1]]))).toBe(false);
    expect(passes(sack([[5, 4]]))).toBe(false);
    expect(
      passes(
        sack([
          [2, 50],
          [40, 60],
        ]),
      ),
    ).toBe(false);
    expect(passes(sack([[2, 3]], 0, 2))).toBe(false);
    expect(passes(sack([]), sack([]))).toBe(false);
  });

  it('refuses empty user data, odd re-configurations, giants and crowds', () => {
    expect(passes(chunk(0, hex('00000001 0000 0000 00000033')))).toBe(false);
    expect(passes(chunk(130, hex('000d0011 00000001 00000000 00000000 01')))).toBe(false);
    expect(passes(chunk(10, Buffer.alloc(1025)))).toBe(false);
    expect(passes(chunk(0, Buffer.alloc(4096)))).toBe(false);
    expect(passes(...Array.from({ length: 129 }, () => chunk(11, Buffer.alloc(0))))).toBe(false);
  });

  it('takes out unknown chunks as their upper bit says, and keeps the checksum right', () => {
    const padding = chunk(0x84, Buffer.alloc(40));
    const cleaned = filterSctp(packet(padding, DATA), limits);
    expect(cleaned).toEqual(packet(DATA));
    const stop = chunk(0x40, Buffer.alloc(4));
    expect(filterSctp(packet(DATA, stop, sack([])), limits)).toEqual(packet(DATA));
    expect(filterSctp(packet(stop, DATA), limits)).toBeUndefined();
    expect(filterSctp(packet(padding), limits)).toBeUndefined();
  });
});

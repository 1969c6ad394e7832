import { describe, expect, it } from 'vitest';
import { parseRtp, writeRtp } from '../../../src/rtp/packet.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';

const header = { payloadType: 8, marker: true, sequenceNumber: 65535, timestamp: 0xfffffff0, ssrc: 0xdeadbeef };

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

describe('RTP packet', () => {
  it('is read back as it was written', () => {
    const packet = writeRtp(header, Uint8Array.of(1, 2, 3));
    expect(packet.toString('hex')).toBe('8088fffffffffff0deadbeef010203');
    expect(parseRtp(packet)).toEqual({ ...header, payload: Buffer.of(1, 2, 3) });
  });

  it('is written into the given buffer', () => {
    const out = Buffer.alloc(100, 0xee);
    const packet = writeRtp(header, Uint8Array.of(1), out);
    expect(packet.buffer).toBe(out.buffer);
    expect(packet.length).toBe(13);
    expect(out[13]).toBe(0xee);
  });

  it('is a view, not a copy', () => {
    const datagram = writeRtp(header, Uint8Array.of(1, 2, 3));
    const packet = parseRtp(datagram)!;
    datagram[12] = 9;
    expect(packet.payload[0]).toBe(9);
  });

  it('loses its CSRCs, header extension and padding', () => {
    const packet = parseRtp(bytes('b2 00 0001 00000002 00000003 0000000a 0000000b bede0001 10ff0000 aabb 0002'))!;
    expect(packet.payload).toEqual(bytes('aabb'));
    expect(packet.ssrc).toBe(3);
  });

  it('may have no payload', () => {
    expect(parseRtp(bytes('80 00 0001 00000002 00000003'))?.payload.length).toBe(0);
  });

  it.each([
    ['nothing', ''],
    ['eleven bytes', '80 00 0001 00000002 000000'],
    ['version 1', '40 00 0001 00000002 00000003'],
    ['version 3', 'c0 00 0001 00000002 00000003'],
    ['more CSRCs than bytes', '8f 00 0001 00000002 00000003 0000000a'],
    ['a header extension beyond the end', '90 00 0001 00000002 00000003 bedeffff'],
    ['half a header extension', '90 00 0001 00000002 00000003 bede'],
    ['padding of zero', 'a0 00 0001 00000002 00000003 00'],
    ['padding beyond the start', 'a0 00 0001 00000002 00000003 aa 03'],
    ['padding into the extension', 'b0 00 0001 00000002 00000003 bede0001 00000005'],
  ])('is refused with %s', (_, hex) => {
    expect(parseRtp(bytes(hex))).toBeUndefined();
  });
});

describe('RTP sender', () => {
  it('wraps sequence and timestamp, and marks the start and the end of a silence', () => {
    const sender = new RtpSender({ payloadType: 0, ssrc: 7, sequenceNumber: 65534, timestamp: 0xffffff00 });
    const read = (packet: Buffer) => {
      const { sequenceNumber, timestamp, marker } = parseRtp(packet)!;
      return [sequenceNumber, timestamp, marker];
    };
    const payload = new Uint8Array(160);
    expect(read(sender.next(payload, 160))).toEqual([65534, 0xffffff00, true]);
    expect(read(sender.next(payload, 160))).toEqual([65535, 0xffffffa0, false]);
    expect(read(sender.next(payload, 160))).toEqual([0, 0x40, false]);
    sender.skip(800);
    expect(read(sender.next(payload, 160))).toEqual([1, 0x40 + 960, true]);
    sender.skip(160, 'lost');
    expect(read(sender.next(payload, 160))).toEqual([2, 0x40 + 960 + 320, false]);
    expect([sender.packets, sender.octets, sender.lastTimestamp]).toEqual([5, 800, 0x40 + 1280]);
  });

  it('puts an event beside the audio without moving its clock', () => {
    const sender = new RtpSender({ payloadType: 0, ssrc: 7, sequenceNumber: 1, timestamp: 1000 });
    sender.next(new Uint8Array(160), 160);
    const event = parseRtp(sender.beside(new Uint8Array(4), { payloadType: 101, timestamp: 1160, marker: true }))!;
    expect([event.payloadType, event.sequenceNumber, event.timestamp, event.marker]).toEqual([101, 2, 1160, true]);
    const after = parseRtp(sender.next(new Uint8Array(160), 160))!;
    expect([after.payloadType, after.sequenceNumber, after.timestamp]).toEqual([0, 3, 1160]);
  });

  it('starts anywhere when it is told nothing', () => {
    const starts = new Set(Array.from({ length: 20 }, () => parseRtp(new RtpSender({ payloadType: 0 }).next(new Uint8Array(1), 1))!.ssrc));
    expect(starts.size).toBe(20);
  });
});

import { describe, expect, it } from 'vitest';
import type { RtpPacket } from '../../../src/rtp/packet.ts';
import { ReorderBuffer } from '../../../src/rtp/reorder-buffer.ts';

const starts = [0, 1, 127, 32767, 32768, 65534, 65535];

/** A stream on a buffer; everything is relative to its first sequence number. */
class Line {
  readonly buffer = new ReorderBuffer();
  readonly log: [at: number, what: string][] = [];
  readonly #start: number;
  readonly #timestampOffset: number;

  constructor(start = 0, timestampOffset = 0xfffff000) {
    this.#start = start;
    this.#timestampOffset = timestampOffset;
  }

  send(at: number, index: number, change: Partial<RtpPacket> = {}): void {
    for (let due = this.buffer.nextTimeout(); due !== undefined && due <= at; due = this.buffer.nextTimeout()) this.drain(due);
    this.buffer.push(
      {
        payloadType: 0,
        marker: false,
        sequenceNumber: (this.#start + index) & 0xffff,
        timestamp: (this.#timestampOffset + index * 160) >>> 0,
        ssrc: 1,
        payload: Buffer.of(index & 0xff, (index >> 8) & 0xff),
        ...change,
      },
      at,
    );
    this.drain(at);
  }

  drain(at: number): void {
    for (let output = this.buffer.poll(at); output; output = this.buffer.poll(at)) {
      if (output.type === 'packet') this.log.push([at, `${(output.packet.payload[0] ?? 0) + 256 * (output.packet.payload[1] ?? 0)}`]);
      else this.log.push([at, output.type === 'lost' ? `lost ${output.count}` : `resync ${output.reason}`]);
    }
  }
}

describe.each(starts)('a stream that starts at %i', (start) => {
  it('passes at once what is in order', () => {
    const line = new Line(start);
    for (let i = 0; i < 300; i += 1) line.send(i * 20, i);
    expect(line.log).toEqual(Array.from({ length: 300 }, (_, i) => [i * 20, `${i}`]));
    expect(line.buffer.nextTimeout()).toBeUndefined();
  });

  it('puts two swapped packets right without losing time on the others', () => {
    const line = new Line(start);
    line.send(0, 0);
    line.send(40, 2);
    expect(line.buffer.nextTimeout()).toBe(70);
    line.send(45, 1);
    line.send(60, 3);
    expect(line.log).toEqual([
      [0, '0'],
      [45, '1'],
      [45, '2'],
      [60, '3'],
    ]);
    expect(line.buffer.nextTimeout()).toBeUndefined();
  });

  it('gives a gap up after 30 ms and drops what comes later still', () => {
    const line = new Line(start);
    line.send(0, 0);
    line.send(60, 3);
    line.send(80, 4);
    line.drain(89.9);
    expect(line.log).toEqual([[0, '0']]);
    line.drain(90);
    line.send(95, 2);
    line.send(100, 5);
    expect(line.log.slice(1)).toEqual([
      [90, 'lost 2'],
      [90, '3'],
      [90, '4'],
      [100, '5'],
    ]);
    expect(line.buffer.snapshot()).toMatchObject({ lost: 2, released: 4, discarded: { late: 1, duplicate: 0 } });
  });

  it('drops duplicates, those that wait behind a gap included', () => {
    const line = new Line(start);
    for (const i of [0, 0, 1, 1, 1, 3, 3, 2, 2, 3]) line.send(20, i);
    expect(line.log.map(([, what]) => what)).toEqual(['0', '1', '2', '3']);
    expect(line.buffer.snapshot().discarded).toEqual({ late: 0, duplicate: 6, stray: 0, overflow: 0 });
  });

  it('lives through every packet coming three times', () => {
    const line = new Line(start);
    for (let i = 0; i < 200; i += 1) for (const copy of [0, 1, 2]) line.send(i * 20 + copy, i);
    expect(line.log).toEqual(Array.from({ length: 200 }, (_, i) => [i * 20, `${i}`]));
  });

  it.each([100, 150, 500, 3000, 30_000, 40_000])('heals with the first packets after a hole of %i packets', (hole) => {
    const line = new Line(start);
    for (let i = 0; i < 10; i += 1) line.send(i * 20, i);
    const at = (9 + hole) * 20;
    for (let i = 0; i < 5; i += 1) line.send(at + i * 20, 9 + hole + i);
    line.drain(at + 500);
    const heard = line.log.slice(10);
    expect(heard.filter(([, what]) => /^\d+$/.test(what)).map(([, what]) => what)).toEqual(
      Array.from({ length: 5 }, (_, i) => `${(9 + hole + i) & 0xffff}`),
    );
    expect(heard.find(([, what]) => /^\d+$/.test(what))![0] - at).toBeLessThanOrEqual(30);
  });
});

describe('jumps', () => {
  function live(): Line {
    const line = new Line(1000, 5000);
    for (let i = 0; i < 50; i += 1) line.send(i * 20, i);
    line.log.length = 0;
    return line;
  }

  it('follows a new SSRC at once when its packet is marked', () => {
    const line = live();
    line.send(1000, 7000, { ssrc: 2, marker: true });
    line.send(1020, 7001, { ssrc: 2 });
    expect(line.log).toEqual([
      [1000, 'resync ssrc'],
      [1000, '7000'],
      [1020, '7001'],
    ]);
  });

  it('follows a new SSRC at once when the old one has gone', () => {
    const line = live();
    line.send(1045, 7000, { ssrc: 2 });
    expect(line.log).toEqual([
      [1045, 'resync ssrc'],
      [1045, '7000'],
    ]);
  });

  it('follows a new SSRC with its second packet when the old one was there just now, and loses neither', () => {
    const line = live();
    line.send(990, 7000, { ssrc: 2 });
    expect(line.log).toEqual([]);
    line.send(1010, 7001, { ssrc: 2 });
    expect(line.log).toEqual([
      [1010, 'resync ssrc'],
      [1010, '7000'],
      [1010, '7001'],
    ]);
  });

  it('stays with a stream that lives when another talks into it', () => {
    const line = live();
    for (let i = 0; i < 20; i += 1) {
      line.send(1000 + i * 20, 50 + i);
      line.send(1005 + i * 20, 7000 + i, { ssrc: 2 });
    }
    expect(line.log.map(([, what]) => what)).toEqual(Array.from({ length: 20 }, (_, i) => `${50 + i}`));
    expect(line.buffer.snapshot().discarded.stray).toBe(19);
  });

  it('ignores a single packet from far away', () => {
    const line = live();
    line.send(985, 9000);
    line.send(1000, 50);
    line.send(1020, 51);
    expect(line.log.map(([, what]) => what)).toEqual(['50', '51']);
    expect(line.buffer.snapshot().discarded.stray).toBe(1);
  });

  it.each([
    ['forward', 9000],
    ['back', 200_000 + 1000 - 3000],
    ['a little back, with time going on', 20],
  ])('follows a sequence that jumps %s in mid-stream with its second packet', (_, index) => {
    const line = live();
    const timestamp = (i: number) => 5000 + (50 + i) * 160;
    for (let i = 0; i < 4; i += 1) line.send(1000 + i * 20, index + i, { timestamp: timestamp(i) });
    expect(line.log.map(([, what]) => what)).toEqual(['resync sequence', ...[0, 1, 2, 3].map((i) => `${(index + i) & 0xffff}`)]);
    expect(line.log[1]![0]).toBe(1020);
  });

  it('follows a sequence that starts anew just below, with another clock', () => {
    const line = live();
    for (let i = 0; i < 4; i += 1) line.send(1000 + i * 20, 10 + i, { timestamp: 3_000_000_000 + i * 160 });
    expect(line.log[0]).toEqual([1020, 'resync sequence']);
    expect(line.log.length).toBe(5);
  });

  it('says so when the timestamp jumps while the sequence goes on', () => {
    const line = live();
    line.send(1000, 50, { timestamp: 2_000_000_000 });
    line.send(1020, 51, { timestamp: 2_000_000_160 });
    expect(line.log).toEqual([
      [1000, 'resync timestamp'],
      [1000, '50'],
      [1020, '51'],
    ]);
  });

  it('lets a telephone event with its older timestamp pass in order', () => {
    const line = live();
    line.send(1000, 50, { timestamp: 5000 + 45 * 160 });
    line.send(1020, 51);
    expect(line.log.map(([, what]) => what)).toEqual(['50', '51']);
  });

  it('hands out what waited behind a gap before it changes over', () => {
    const line = live();
    line.send(1020, 51);
    line.send(1030, 7000, { ssrc: 2, marker: true });
    expect(line.log.map(([, what]) => what)).toEqual(['lost 1', '51', 'resync ssrc', '7000']);
  });
});

describe('jitter', () => {
  it('is waited for as long as late packets need, and no longer once they come in time', () => {
    const line = new Line(0);
    const late: number[] = [];
    const gapAt = (index: number, delayMs: number) => {
      line.send(index * 20 + 20, index + 1);
      line.send(index * 20 + delayMs, index);
      late.push(line.buffer.snapshot().discarded.late);
    };
    line.send(0, 0);
    // 50 ms after the packet it held up: given up after 30, and remembered.
    gapAt(1, 70);
    for (let i = 3; i < 10; i += 1) line.send(i * 20, i);
    gapAt(10, 70);
    for (let i = 12; i < 1000; i += 1) line.send(i * 20, i);
    gapAt(1000, 70);
    expect(late).toEqual([1, 1, 2]);
  });

  it('makes a loss wait only as long as the network is late', () => {
    const line = new Line(0);
    line.send(0, 0);
    line.send(40, 2);
    line.send(65, 1);
    line.send(80, 4);
    expect(line.buffer.nextTimeout()).toBe(80 + 25 * 1.25 + 5);
  });
});

describe('bounds', () => {
  it('gives a gap up early when a burst comes behind it', () => {
    const line = new Line(0);
    line.send(0, 0);
    for (let i = 2; i < 70; i += 1) line.send(1, i);
    expect(line.log[1]).toEqual([1, 'lost 1']);
    expect(line.log.length).toBe(70);
  });

  it('keeps no more than 256 outputs for an owner who does not fetch them', () => {
    const buffer = new ReorderBuffer();
    for (let i = 0; i < 1000; i += 1) {
      buffer.push({ payloadType: 0, marker: false, sequenceNumber: i, timestamp: i * 160, ssrc: 1, payload: Buffer.alloc(1) }, i);
    }
    expect(buffer.snapshot()).toMatchObject({ received: 1000, released: 256, discarded: { overflow: 744 } });
  });
});

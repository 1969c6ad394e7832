import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_PAYLOAD_BYTES } from '../../src/ownership/inner-frame.ts';
import { FrameReader, writeFrame } from '../../src/relay/frame-reader.ts';

/** All frames there are in these segments, taken after each push. */
function read(reader: FrameReader, segments: readonly Uint8Array[]): Buffer[] {
  const frames: Buffer[] = [];
  for (const segment of segments) {
    reader.push(Buffer.from(segment));
    for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
  }
  return frames;
}

/** Cuts a stream at these places (modulo its length). */
function cut(stream: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((each) => each % (stream.length + 1)))].sort((a, b) => a - b);
  return [...at, stream.length].map((end, i) => stream.subarray(i === 0 ? 0 : at[i - 1], end));
}

const size = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 300 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 255, 256, MAX_PAYLOAD_BYTES) },
);
const packets = fc.array(
  fc.tuple(size, fc.nat({ max: 255 })).map(([length, fill]) => Buffer.alloc(length, fill)),
  { maxLength: 20 },
);

describe('packets in a byte stream', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(packets, fc.array(fc.nat({ max: 40_000 }), { maxLength: 30 }), (sent, places) => {
        const reader = new FrameReader();
        expect(read(reader, cut(Buffer.concat(sent.map(writeFrame)), places))).toEqual(sent);
        expect(reader.broken).toBe(false);
      }),
    );
  });

  it('come out when each byte comes alone', () => {
    const sent = [Buffer.alloc(0), Buffer.alloc(3, 1), Buffer.alloc(MAX_PAYLOAD_BYTES, 2), Buffer.alloc(1, 3)];
    const stream = Buffer.concat(sent.map(writeFrame));
    expect(
      read(
        new FrameReader(),
        [...stream].map((byte) => Uint8Array.of(byte)),
      ),
    ).toEqual(sent);
  });

  it('do not share memory with the segment when they were put together from two', () => {
    const reader = new FrameReader();
    const stream = writeFrame(Buffer.alloc(100, 7));
    const [first, second] = [Buffer.from(stream.subarray(0, 50)), Buffer.from(stream.subarray(50))];
    reader.push(first);
    expect(reader.next()).toBeUndefined();
    first.fill(0);
    reader.push(second);
    expect(reader.next()).toEqual(Buffer.alloc(100, 7));
  });

  it('end at the first length that is too large, and what came before counts', () => {
    fc.assert(
      fc.property(
        packets,
        fc.integer({ min: MAX_PAYLOAD_BYTES + 1, max: 65_535 }),
        fc.uint8Array({ maxLength: 100 }),
        (sent, length, more) => {
          const reader = new FrameReader();
          const bad = Buffer.from([length >>> 8, length & 0xff, ...more]);
          expect(read(reader, [Buffer.concat([...sent.map(writeFrame), bad]), Buffer.from(more)])).toEqual(sent);
          expect(reader.broken).toBe(true);
        },
      ),
    );
  });

  it('are never more than what was pushed, whatever garbage it is', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (segments) => {
        const frames = read(new FrameReader(), segments);
        const bytes = frames.reduce((sum, frame) => sum + 2 + frame.length, 0);
        expect(bytes).toBeLessThanOrEqual(segments.reduce((sum, segment) => sum + segment.length, 0));
        for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES);
      }),
    );
  });
});

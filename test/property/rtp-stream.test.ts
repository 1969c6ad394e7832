import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRtp, type RtpPacket, writeRtp } from '../../src/rtp/packet.ts';
import { ReorderBuffer } from '../../src/rtp/reorder-buffer.ts';
import { parseRtcp, type ReportBlock, writeRtcp } from '../../src/rtp/rtcp.ts';
import { RtcpReporter } from '../../src/rtp/rtcp-reporter.ts';
import { SourceLearning } from '../../src/rtp/source-learning.ts';
import { TelephoneEventReceiver } from '../../src/rtp/telephone-event.ts';

const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const header = fc.record({
  payloadType: fc.integer({ min: 0, max: 127 }),
  marker: fc.boolean(),
  sequenceNumber: uint16,
  timestamp: uint32,
  ssrc: uint32,
});

describe('parsers', () => {
  it('never throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom(0x80, 0x90, 0xa0, 0xb1, 0x8f, 0x81),
        fc.integer({ min: 198, max: 207 }),
        (bytes, first, second) => {
          for (const forced of [false, true]) {
            if (forced && bytes.length > 1) bytes.set([first, second]);
            const packet = parseRtp(bytes);
            if (packet) expect(packet.payload.byteOffset + packet.payload.length).toBeLessThanOrEqual(bytes.byteOffset + bytes.length);
            parseRtcp(bytes);
            new RtcpReporter({ ssrc: 1, clockRateHz: 8000 }).handleRtcp(bytes, 0);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('give back every RTP packet that was written', () => {
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 400 }), (fields, payload) => {
        expect(parseRtp(writeRtp(fields, payload))).toEqual({ ...fields, payload: Buffer.from(payload) });
      }),
    );
  });

  it('give back every report that was written', () => {
    const block: fc.Arbitrary<ReportBlock> = fc.record({
      ssrc: uint32,
      fractionLost: fc.integer({ min: 0, max: 255 }),
      cumulativeLost: fc.integer({ min: -0x800000, max: 0x7fffff }),
      highestSequence: uint32,
      jitter: uint32,
      lastSenderReport: uint32,
      delaySinceLastSenderReport: uint32,
    });
    fc.assert(
      fc.property(uint32, fc.array(block, { maxLength: 31 }), fc.string({ maxLength: 60 }), (ssrc, reports, cname) => {
        const packets = [
          { type: 'receiver_report' as const, ssrc, reports },
          { type: 'source_description' as const, chunks: [{ ssrc, cname }] },
        ];
        expect(parseRtcp(writeRtcp(packets))).toEqual(packets);
      }),
    );
  });
});

/** A stream as a network delivers it: each packet late by its jitter, some lost, some twice. */
const network = fc.record({
  start: fc.constantFrom(0, 1, 127, 32767, 32768, 65534, 65535),
  packets: fc.array(
    fc.record({
      lost: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      delayMs: fc.integer({ min: 0, max: 60 }),
      copies: fc.constantFrom(1, 1, 1, 2, 3),
    }),
    {
      minLength: 1,
      maxLength: 150,
    },
  ),
});

describe('reorder buffer', () => {
  it('gives each packet at most once, in order, within its wait, and accounts for every one', () => {
    fc.assert(
      fc.property(network, ({ start, packets }) => {
        const arrivals = packets
          .flatMap(({ lost, delayMs, copies }, i) =>
            lost ? [] : Array.from({ length: copies }, (_, copy) => ({ at: i * 20 + delayMs + copy * 7, i })),
          )
          .sort((a, b) => a.at - b.at);
        const buffer = new ReorderBuffer();
        const heard: number[] = [];
        let lost = 0;
        let resyncs = 0;
        const poll = (now: number) => {
          for (let output = buffer.poll(now); output; output = buffer.poll(now)) {
            if (output.type === 'packet') heard.push(output.packet.timestamp / 160);
            else if (output.type === 'lost') lost += output.count;
            else resyncs += 1;
          }
        };
        for (const { at, i } of arrivals) {
          for (let timeout = buffer.nextTimeout(); timeout !== undefined && timeout <= at; timeout = buffer.nextTimeout()) poll(timeout);
          buffer.push(
            { payloadType: 0, marker: false, sequenceNumber: (start + i) & 0xffff, timestamp: i * 160, ssrc: 1, payload: Buffer.alloc(0) },
            at,
          );
          poll(at);
          const timeout = buffer.nextTimeout();
          if (timeout !== undefined) expect(timeout).toBeLessThanOrEqual(at + 100);
        }
        for (let timeout = buffer.nextTimeout(); timeout !== undefined; timeout = buffer.nextTimeout()) poll(timeout);
        expect(resyncs).toBe(0);
        expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b));
        if (heard.length > 0) expect(heard.length + lost).toBe(heard.at(-1)! - heard[0]! + 1);
        const { received, released, discarded } = buffer.snapshot();
        expect(received).toBe(arrivals.length);
        expect(released).toBe(heard.length);
        expect(released + discarded.late + discarded.duplicate + discarded.stray + discarded.overflow).toBe(received);
        expect(discarded.stray).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it('hears a live stream again within 200 ms, whatever came before', () => {
    const wild: fc.Arbitrary<RtpPacket> = fc.record({
      payloadType: fc.constant(0),
      marker: fc.boolean(),
      sequenceNumber: uint16,
      timestamp: uint32,
      ssrc: fc.constantFrom(1, 2, 3),
      payload: fc.constant(Buffer.alloc(1)),
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(wild, fc.integer({ min: 0, max: 300 })), { maxLength: 60 }),
        uint16,
        uint32,
        (before, sequence, timestamp) => {
          const buffer = new ReorderBuffer();
          let now = 0;
          const poll = () => {
            const outputs = [];
            for (let output = buffer.poll(now); output; output = buffer.poll(now)) outputs.push(output);
            return outputs;
          };
          for (const [packet, pauseMs] of before) {
            now += pauseMs;
            buffer.push(packet, now);
            poll();
          }
          const heard: number[] = [];
          for (let i = 0; i < 30; i += 1) {
            now += 20;
            buffer.push(
              {
                payloadType: 0,
                marker: false,
                sequenceNumber: (sequence + i) & 0xffff,
                timestamp: (timestamp + i * 160) >>> 0,
                ssrc: 9,
                payload: Buffer.alloc(1),
              },
              now,
            );
            for (const output of poll()) if (output.type === 'packet' && output.packet.ssrc === 9) heard.push(i);
          }
          // The first packet of the new stream is heard by the third one, and none from there on is missed.
          expect(heard[0]).toBeLessThanOrEqual(3);
          expect(heard.length).toBe(30);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('source learning', () => {
  it('never passes a packet of anyone but the phone while the phone sends', () => {
    const phone = { address: '192.0.2.10', port: 20_000 };
    const event = fc.record({
      from: fc.constantFrom(
        phone,
        { address: '192.0.2.10', port: 20_002 },
        { address: '203.0.113.5', port: 20_000 },
        { address: '198.51.100.1', port: 9 },
      ),
      pauseMs: fc.integer({ min: 0, max: 40 }),
      ssrc: fc.constantFrom(1, 2),
      sequenceNumber: fc.integer({ min: 0, max: 50 }),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const source = new SourceLearning(phone);
        let now = 0;
        source.accept(phone, { ssrc: 1, sequenceNumber: 0, timestamp: 0 }, now);
        for (const { from, pauseMs, ssrc, sequenceNumber } of events) {
          now += pauseMs;
          const accepted = source.accept(from, { ssrc, sequenceNumber, timestamp: sequenceNumber * 160 }, now);
          expect(accepted).toBe(from === phone);
          if (now % 1000 < 40) source.accept(phone, { ssrc: 1, sequenceNumber: 0, timestamp: 0 }, now);
        }
        expect(source.target).toEqual(phone);
      }),
    );
  });
});

describe('telephone events', () => {
  it('of any bytes make only digits, bounded in number and length', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(header, fc.uint8Array({ maxLength: 8 }), fc.integer({ min: 0, max: 200 })), { maxLength: 100 }),
        (events) => {
          const receiver = new TelephoneEventReceiver();
          let now = 0;
          let count = 0;
          for (const [fields, payload, pauseMs] of events) {
            now += pauseMs;
            receiver.push({ ...fields, payload }, now);
            for (let digit = receiver.poll(now); digit; digit = receiver.poll(now)) {
              count += 1;
              expect(digit.digit).toMatch(/^[0-9*#A-D]$/);
              expect(digit.durationMs).toBeLessThanOrEqual(60_000);
            }
          }
          expect(count).toBeLessThanOrEqual(events.length);
        },
      ),
    );
  });
});

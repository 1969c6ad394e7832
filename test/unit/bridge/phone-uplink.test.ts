import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createOpusDecoder, createOpusEncoder, loadOpus, type OpusDecoder, type OpusEncoder } from '../../../src/audio/opus.ts';
import { PhoneUplink } from '../../../src/bridge/phone-uplink.ts';
import { parseRtp, type RtpPacket } from '../../../src/rtp/packet.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { writeTelephoneEvent } from '../../../src/rtp/telephone-event.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';
import { encodeG711 } from '../../support/g711.ts';
import { findTone, tone } from '../../support/tones.ts';
import { PHONE } from './call-bench.ts';

const AUDIO: NegotiatedAudio = {
  codec: 'PCMU',
  payloadType: 0,
  sampleRateHz: 8000,
  alternatives: [],
  telephoneEventPayloadType: 101,
  remote: PHONE,
  remoteRtcp: { ...PHONE, port: 4001 },
  direction: 'sendrecv',
  ptimeMs: 20,
};

let encoder: OpusEncoder;
let decoder: OpusDecoder;

beforeAll(loadOpus);
beforeEach(async () => {
  encoder = await createOpusEncoder({ sampleRateHz: 8000, profile: 'interior', narrowband: true });
  decoder = await createOpusDecoder({ sampleRateHz: 8000 });
});

/** The phone's stream as it comes, and what leaves for the inner leg: [time, sequence step, timestamp step in frames, marker]. */
class Bench {
  readonly packets: RtpPacket[] = [];
  readonly steps: [number, number, number, boolean][] = [];
  readonly digits: [number, string, number][] = [];
  readonly uplink: PhoneUplink;
  now = 1000;
  sequence = 100;
  timestamp = 16_000;
  ssrc = 1;
  #background = encodeG711('PCMU', tone(400, 20));

  constructor() {
    this.uplink = new PhoneUplink(encoder, new RtpSender({ payloadType: 111 }), AUDIO, {
      onPacket: (datagram) => this.#note(datagram),
      onDigit: (digit, durationMs) => this.digits.push([this.now, digit, durationMs]),
    });
  }

  /** Makes a packet, and time goes on by it; it is not delivered. */
  make(payload: Uint8Array = this.#background, options: { payloadType?: number; marker?: boolean; timestamp?: number } = {}): RtpPacket {
    const { payloadType = 0, marker = false, timestamp = this.timestamp } = options;
    const packet: RtpPacket = { payloadType, marker, sequenceNumber: this.sequence, timestamp, ssrc: this.ssrc, payload } as RtpPacket;
    this.sequence = (this.sequence + 1) & 0xffff;
    this.timestamp = (this.timestamp + 160) >>> 0;
    this.now += 20;
    return packet;
  }

  push(packet: RtpPacket): void {
    this.uplink.handlePacket(packet, this.now);
  }

  say(count: number): this {
    for (let n = 0; n < count; n++) this.push(this.make());
    return this;
  }

  key(code: number, frames: number, { ends = 3 } = {}): this {
    const { timestamp } = this;
    for (let n = 0; n < frames + ends; n++) {
      const end = n >= frames;
      const duration = Math.min(n + 1, frames) * 160;
      this.push(
        this.make(writeTelephoneEvent({ event: code, end, volume: 10, duration }), { payloadType: 101, marker: n === 0, timestamp }),
      );
    }
    return this;
  }

  /** Time goes by until nothing waits any more. */
  wait(): this {
    for (let at = this.uplink.nextTimeout(); at !== undefined; at = this.uplink.nextTimeout()) {
      this.now = Math.max(this.now, at);
      this.uplink.drain(this.now);
    }
    return this;
  }

  #note(datagram: Buffer): void {
    const packet = parseRtp(datagram) as RtpPacket;
    const before = this.packets.at(-1) ?? packet;
    const sequenceStep = (packet.sequenceNumber - before.sequenceNumber) & 0xffff;
    this.steps.push([this.now, sequenceStep, ((packet.timestamp - before.timestamp) | 0) / 960, packet.marker]);
    this.packets.push({ ...packet, payload: Buffer.from(packet.payload) });
  }
}

describe('the way of a phone to the transceiver', () => {
  test('sends one Opus packet for each of the phone at once, numbered without a break', () => {
    const bench = new Bench().say(4);
    expect(bench.steps).toEqual([
      [1020, 0, 0, true],
      [1040, 1, 1, false],
      [1060, 1, 1, false],
      [1080, 1, 1, false],
    ]);
    expect(bench.packets.map((each) => each.payloadType)).toEqual([111, 111, 111, 111]);
  });

  test('carries the tone', () => {
    const bench = new Bench().say(30);
    const heard = bench.packets.flatMap(({ payload }) => [...(decoder.decode(payload) ?? [])]);
    expect(findTone(Int16Array.from(heard), 400, { fromMs: 100 }).share).toBeGreaterThan(0.9);
  });

  test.each([1, 2, 4])('shows %i lost packets as a jump of the timestamp without a marker, after 30 ms', (lost) => {
    const bench = new Bench().say(3);
    for (let n = 0; n < lost; n++) bench.make();
    bench.say(1);
    const at = bench.now;
    expect(bench.steps).toHaveLength(3);
    bench.wait();
    expect(bench.steps.at(-1)).toEqual([at + 30, 1, 1 + lost, false]);
    expect(bench.uplink.snapshot().reorder.lost).toBe(lost);
  });

  test('puts reordered packets in order and drops doubled ones', () => {
    const bench = new Bench().say(2);
    const [first, second] = [bench.make(), bench.make()];
    bench.push(second);
    bench.push(first);
    bench.push(first);
    bench.push(second);
    bench.say(1);
    expect(bench.steps.map(([, sequence, timestamp, marker]) => [sequence, timestamp, marker])).toEqual([
      [0, 0, true],
      ...Array(4).fill([1, 1, false]),
    ]);
    expect(bench.uplink.snapshot().reorder.discarded.duplicate).toBe(2);
  });

  test('shows suppressed silence as a jump with a marker', () => {
    const bench = new Bench().say(2);
    bench.timestamp += 160 * 50;
    bench.now += 1000;
    bench.push(bench.make(undefined, { marker: true }));
    expect(bench.steps.at(-1)).toEqual([bench.now, 1, 51, true]);
  });

  test('lets the time go by that the clock says when a stream begins anew', () => {
    const bench = new Bench().say(2);
    bench.now += 400;
    bench.ssrc = 2;
    bench.sequence = 50_000;
    bench.timestamp = 7;
    bench.say(2);
    // 420 ms after the last packet, of which 20 ms are its own.
    expect(bench.steps.slice(2).map(([, sequence, frames]) => [sequence, frames])).toEqual([
      [1, 21],
      [1, 1],
    ]);
    expect(bench.uplink.snapshot().reorder.resyncs).toBe(1);
  });

  test('counts a long absence as 10 s at the most', () => {
    const bench = new Bench().say(1);
    bench.now += 3_600_000;
    bench.ssrc = 2;
    bench.say(1);
    expect(bench.steps.at(-1)?.[2]).toBe(500);
  });

  test('cuts packets of 30 ms and 40 ms into frames of 20 ms', () => {
    const bench = new Bench();
    const long = (ms: number): void => {
      const payload = encodeG711('PCMU', tone(400, ms));
      const packet = bench.make(payload);
      bench.timestamp = (packet.timestamp + payload.length) >>> 0;
      bench.push(packet);
    };
    for (const ms of [30, 30, 40]) long(ms);
    expect(bench.steps.map(([, sequence, frames]) => [sequence, frames])).toEqual([[0, 0], ...Array(4).fill([1, 1])]);
    expect(bench.uplink.snapshot().frames).toBe(5);
  });

  test('hears each key once, with its length, and takes the hole it leaves for silence', () => {
    const bench = new Bench().say(2).key(5, 5).say(1);
    expect(bench.digits.map(([, digit, ms]) => [digit, ms])).toEqual([['5', 100]]);
    expect(bench.steps.at(-1)).toEqual([bench.now, 1, 9, true]);
  });

  test('hears a key whose end is lost when it falls silent', () => {
    const bench = new Bench().say(1).key(11, 4, { ends: 0 });
    const pressedAt = bench.now;
    expect(bench.digits).toEqual([]);
    bench.wait();
    expect(bench.digits).toEqual([[pressedAt + 120, '#', 80]]);
  });

  test('hears a key whose first packets are lost', () => {
    const bench = new Bench().say(2);
    const { timestamp } = bench;
    bench.make();
    bench.make();
    bench.push(bench.make(writeTelephoneEvent({ event: 1, end: true, volume: 10, duration: 480 }), { payloadType: 101, timestamp }));
    bench.wait();
    expect(bench.digits.map(([, digit]) => digit)).toEqual(['1']);
  });

  test('counts what it does not understand', () => {
    const bench = new Bench();
    bench.push(bench.make(undefined, { payloadType: 13 }));
    bench.push(bench.make(Buffer.alloc(801)));
    bench.push(bench.make(Buffer.alloc(0)));
    expect(bench.steps).toEqual([]);
    expect(bench.uplink.snapshot()).toMatchObject({ account: { discarded: { unknown_payload: 1, bad_length: 1 } }, frames: 0 });
  });

  test('changes the codec when it is told to', () => {
    const bench = new Bench().say(1);
    bench.uplink.renegotiate({ ...AUDIO, codec: 'PCMA', payloadType: 8 });
    bench.push(bench.make(encodeG711('PCMA', tone(400, 20)), { payloadType: 8 }));
    bench.push(bench.make());
    expect(bench.steps).toHaveLength(2);
    expect(bench.uplink.snapshot().account.discarded.unknown_payload).toBe(1);
  });
});

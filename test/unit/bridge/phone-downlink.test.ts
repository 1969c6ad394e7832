import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createOpusDecoder, createOpusEncoder, loadOpus, type OpusDecoder, type OpusEncoder } from '../../../src/audio/opus.ts';
import { PhoneDownlink } from '../../../src/bridge/phone-downlink.ts';
import { parseRtp, type RtpPacket } from '../../../src/rtp/packet.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';
import { decodeG711 } from '../../support/g711.ts';
import { findTone, tone } from '../../support/tones.ts';
import { PHONE } from './call-bench.ts';

const AUDIO: NegotiatedAudio = {
  codec: 'PCMU',
  payloadType: 0,
  sampleRateHz: 8000,
  alternatives: [],
  remote: PHONE,
  remoteRtcp: { ...PHONE, port: 4001 },
  direction: 'sendrecv',
  ptimeMs: 20,
};

let encoder: OpusEncoder;
let decoder: OpusDecoder;

beforeAll(loadOpus);
beforeEach(async () => {
  encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior', narrowband: true });
  decoder = await createOpusDecoder({ sampleRateHz: 8000 });
});

/** The transceiver's stream as it comes, and what leaves for the phone: [time, sequence step, timestamp step in frames, marker]. */
class Bench {
  readonly packets: RtpPacket[] = [];
  readonly audible: boolean[] = [];
  readonly steps: [number, number, number, boolean][] = [];
  readonly downlink: PhoneDownlink;
  readonly sender = new RtpSender({ payloadType: 111, sequenceNumber: 65_530 });
  now = 1000;
  readonly #sound = tone(1000, 200, { rateHz: 24_000 });
  #frame = 0;

  constructor() {
    this.downlink = new PhoneDownlink(decoder, AUDIO, (packet, audible) => {
      this.audible.push(audible);
      this.#note(packet);
    });
  }

  make(silent = false): Buffer {
    this.now += 20;
    const at = (this.#frame++ % 10) * 480;
    const pcm = silent ? new Int16Array(480) : this.#sound.subarray(at, at + 480);
    return this.sender.next(encoder.encode(pcm), 960);
  }

  play(count: number, silent = false): this {
    for (let n = 0; n < count; n++) this.downlink.handlePacket(this.make(silent), this.now);
    return this;
  }

  lose(count: number): this {
    for (let n = 0; n < count; n++) this.make();
    return this;
  }

  wait(): this {
    for (let at = this.downlink.nextTimeout(); at !== undefined; at = this.downlink.nextTimeout()) {
      this.now = Math.max(this.now, at);
      this.downlink.drain(this.now);
    }
    return this;
  }

  #note(datagram: Buffer): void {
    const packet = parseRtp(datagram) as RtpPacket;
    const before = this.packets.at(-1) ?? packet;
    const step = (packet.sequenceNumber - before.sequenceNumber) & 0xffff;
    this.steps.push([this.now, step, ((packet.timestamp - before.timestamp) | 0) / 160, packet.marker]);
    this.packets.push({ ...packet, payload: Buffer.from(packet.payload) });
  }
}

describe('the way of the agent to a phone', () => {
  test('sends one G.711 packet for each of the transceiver, at once', () => {
    const bench = new Bench().play(3);
    expect(bench.steps).toEqual([
      [1020, 0, 0, true],
      [1040, 1, 1, false],
      [1060, 1, 1, false],
    ]);
    expect(bench.packets.map(({ payload, payloadType }) => [payload.length, payloadType])).toEqual(Array(3).fill([160, 0]));
  });

  test('carries the tone, and knows it from silence', () => {
    const bench = new Bench().play(2, true).play(30);
    const heard = bench.packets.flatMap(({ payload }) => [...decodeG711('PCMU', payload)]);
    expect(findTone(Int16Array.from(heard), 1000, { fromMs: 100 }).share).toBeGreaterThan(0.9);
    expect(bench.audible.slice(0, 2)).toEqual([false, false]);
    expect(bench.audible.slice(5)).not.toContain(false);
  });

  test.each([1, 2])('makes up %i lost frames, 10 ms after the next one', (lost) => {
    const bench = new Bench().play(3).lose(lost).play(1);
    const at = bench.now;
    expect(bench.steps).toHaveLength(3);
    bench.wait();
    expect(bench.steps.slice(3)).toEqual(Array(lost + 1).fill([at + 10, 1, 1, false]));
    expect(bench.downlink.snapshot()).toMatchObject({ concealedFrames: lost, missedFrames: 0 });
  });

  test.each([3, 50, 90])(
    'leaves a hole of %i frames to the phone: time goes on, a marker begins anew, and nothing comes in a burst',
    (lost) => {
      const bench = new Bench().play(3).lose(lost).play(1).wait();
      expect(bench.steps.slice(3)).toEqual([[bench.now, 1, lost + 1, true]]);
      expect(bench.downlink.snapshot()).toMatchObject({ concealedFrames: 0, missedFrames: lost });
    },
  );

  test('makes nothing up for time in which the transceiver stood still', () => {
    const bench = new Bench().play(3);
    bench.sender.skip(2 * 960, 'silence');
    bench.play(1).wait();
    expect(bench.steps.slice(3)).toEqual([[bench.now, 1, 3, true]]);
    expect(bench.downlink.snapshot()).toMatchObject({ concealedFrames: 0, missedFrames: 2 });
  });

  test('lets the time go by that the clock says after a hole of seconds', () => {
    const bench = new Bench().play(3).lose(200).play(2).wait();
    expect(bench.steps.slice(3).map(([, sequence, frames, marker]) => [sequence, frames, marker])).toEqual([
      [1, 201, true],
      [1, 1, false],
    ]);
    expect(bench.downlink.snapshot()).toMatchObject({ concealedFrames: 0, missedFrames: 200 });
  });

  test('puts what was overtaken in order', () => {
    const bench = new Bench().play(2);
    const [first, second] = [bench.make(), bench.make()];
    bench.downlink.handlePacket(second, bench.now);
    bench.downlink.handlePacket(first, bench.now + 5);
    expect(bench.steps.map(([, sequence, frames]) => [sequence, frames])).toEqual([[0, 0], ...Array(3).fill([1, 1])]);
    expect(bench.downlink.snapshot().concealedFrames).toBe(0);
  });

  test('drops what is no RTP and what is no Opus', () => {
    const bench = new Bench();
    bench.downlink.handlePacket(Buffer.from('no'), 0);
    bench.downlink.handlePacket(bench.sender.next(Buffer.from([0xff, 0xff, 0xff, 0xff]), 960), 0);
    expect(bench.steps).toEqual([]);
    expect(bench.downlink.snapshot().undecodable).toBe(1);
  });

  test('changes the codec when it is told to', () => {
    const bench = new Bench().play(1);
    bench.downlink.renegotiate({ ...AUDIO, codec: 'PCMA', payloadType: 8 });
    bench.play(1);
    expect(bench.packets.map((each) => each.payloadType)).toEqual([0, 8]);
  });
});

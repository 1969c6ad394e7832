import { beforeAll, describe, expect, it } from 'vitest';
import { createOpusDecoder, createOpusEncoder, liveOpusCodecs, loadOpus } from '../../../src/audio/opus.ts';
import { opusTicks } from '../../../src/audio/opus-packet.ts';
import { fitsPhone, voiceFor } from '../../../src/bridge/inner-voice.ts';
import { createPhoneLine, type PhoneLine } from '../../../src/bridge/phone-line.ts';
import { parseRtp, type RtpPacket } from '../../../src/rtp/packet.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { writeTelephoneEvent } from '../../../src/rtp/telephone-event.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';

const OPUS = { fec: true, cbr: false, dtx: false, stereo: false };
const remote = { address: '192.0.2.10', port: 20_000 };
const AUDIO: NegotiatedAudio = {
  codec: 'opus',
  payloadType: 96,
  opus: OPUS,
  sampleRateHz: 48_000,
  alternatives: [],
  telephoneEventPayloadType: 101,
  telephoneEventRateHz: 48_000,
  remote,
  remoteRtcp: remote,
  direction: 'sendrecv',
  ptimeMs: 20,
};

beforeAll(() => loadOpus());

class Bench {
  /** To the inner leg, and to the phone. */
  readonly up: RtpPacket[] = [];
  readonly down: RtpPacket[] = [];
  readonly keys: string[] = [];
  readonly phone = new RtpSender({ payloadType: 96, sequenceNumber: 65_530, timestamp: 4_294_960_000 });
  readonly agent = new RtpSender({ payloadType: 111 });
  line!: PhoneLine;
  now = 1000;

  static async open(audio = AUDIO, voice = voiceFor(audio)): Promise<Bench> {
    const bench = new Bench();
    bench.line = await createPhoneLine(
      {
        sender: new RtpSender({ payloadType: 111 }),
        voice,
        uplink: { onPacket: (packet) => bench.up.push(parseRtp(packet) as RtpPacket), onDigit: (digit) => bench.keys.push(digit) },
        onDownlinkPacket: (packet) => bench.down.push(parseRtp(packet) as RtpPacket),
      },
      audio,
    );
    return bench;
  }

  speaks(payload: Uint8Array, lost = false): void {
    const packet = this.phone.next(payload, opusTicks(payload) as number);
    this.now += 20;
    if (!lost) this.line.uplink.handlePacket(parseRtp(packet) as RtpPacket, this.now);
  }
}

/** SILK of 20 ms, whatever is in it. */
const frame = (n: number): Uint8Array => Uint8Array.of(1 << 3, n, n, n);

describe('a phone that speaks Opus', () => {
  it('is heard as it is, in contiguous numbers', async () => {
    const bench = await Bench.open();
    for (let n = 0; n < 20; n++) bench.speaks(frame(n));
    expect(bench.up.map(({ payload }) => [...payload])).toEqual(Array.from({ length: 20 }, (_, n) => [...frame(n)]));
    const steps = bench.up
      .slice(1)
      .map((packet, n) => [
        (packet.sequenceNumber - (bench.up[n] as RtpPacket).sequenceNumber) & 0xffff,
        (packet.timestamp - (bench.up[n] as RtpPacket).timestamp) >>> 0,
      ]);
    expect(new Set(steps.map(String))).toEqual(new Set(['1,960']));
    expect(bench.line.uplink.snapshot()).toMatchObject({ frames: 20, packetMs: 20, account: { framesOut: 20, unaccounted: 0 } });
    bench.line.close();
  });

  it('has its lost packets told by empty ones in their place', async () => {
    const bench = await Bench.open();
    bench.speaks(frame(1));
    bench.speaks(frame(2), true);
    bench.speaks(frame(3), true);
    bench.speaks(frame(4));
    bench.line.uplink.drain(bench.now + 100);
    expect(bench.up.map(({ payload }) => payload.length)).toEqual([4, 0, 0, 4]);
    const [first, ...rest] = bench.up as [RtpPacket, ...RtpPacket[]];
    expect(rest.map(({ sequenceNumber }) => (sequenceNumber - first.sequenceNumber) & 0xffff)).toEqual([1, 2, 3]);
    expect(((bench.up[3] as RtpPacket).timestamp - first.timestamp) >>> 0).toBe(3 * 960);
    bench.line.close();
  });

  it('is silent without loss when it says so, or presses a key', async () => {
    const bench = await Bench.open();
    bench.speaks(frame(1));
    for (let n = 1; n <= 5; n++) {
      const event = writeTelephoneEvent({ event: 5, end: n === 5, volume: 10, duration: n * 960 });
      const packet = bench.phone.beside(event, { payloadType: 101, timestamp: bench.phone.nextTimestamp, marker: n === 1 });
      bench.line.uplink.handlePacket(parseRtp(packet) as RtpPacket, bench.now);
    }
    bench.phone.skip(5 * 960);
    bench.speaks(frame(2));
    expect(bench.keys).toEqual(['5']);
    expect(bench.up.map(({ payload, marker }) => [payload.length, marker])).toEqual([
      [4, true],
      [4, true],
    ]);
    bench.line.close();
  });

  it('gets what the session sends as it is, under the numbers of its own stream', async () => {
    const bench = await Bench.open();
    for (let n = 0; n < 5; n++) bench.line.downlink.handlePacket(bench.agent.next(frame(n), 960), bench.now + 20 * n);
    expect(bench.down.map(({ payload, payloadType }) => [payloadType, ...payload])).toEqual(
      Array.from({ length: 5 }, (_, n) => [96, ...frame(n)]),
    );
    bench.line.close();
  });

  it('gets less where it takes less than the session was asked for', async () => {
    const before = liveOpusCodecs();
    const narrow = { ...AUDIO, opus: { ...OPUS, fec: false, maxAverageBitrate: 12_000, cbr: true } };
    const bench = await Bench.open(narrow, { maxPlaybackRateHz: 8000 });
    const coder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior' });
    const decoder = await createOpusDecoder({ sampleRateHz: 24_000 });
    const pcm = Int16Array.from({ length: 480 }, (_, n) => 8000 * Math.sin((2 * Math.PI * 440 * n) / 24_000));
    for (let n = 0; n < 20; n++) bench.line.downlink.handlePacket(bench.agent.next(coder.encode(pcm), 960), bench.now + 20 * n);
    expect(bench.down).toHaveLength(20);
    expect(new Set(bench.down.map(({ payload }) => payload.length))).toEqual(new Set([30]));
    expect(decoder.decode((bench.down[10] as RtpPacket).payload)).toHaveLength(480);
    bench.line.close();
    coder.free();
    decoder.free();
    expect(liveOpusCodecs()).toBe(before);
  });

  it('asks the session for what it can use', () => {
    expect(voiceFor(AUDIO)).toEqual({ maxPlaybackRateHz: 48_000, fec: true, cbr: false });
    expect(fitsPhone(voiceFor(AUDIO), AUDIO)).toBe(true);
    expect(fitsPhone({ maxPlaybackRateHz: 8000 }, AUDIO)).toBe(false);
    expect(fitsPhone({ maxPlaybackRateHz: 8000 }, { ...AUDIO, opus: { ...OPUS, fec: false } })).toBe(true);
  });
});

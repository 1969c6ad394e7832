import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createOpusDecoder, createOpusEncoder, liveOpusCodecs, loadOpus, type OpusEncoder } from '../../../src/audio/opus.ts';
import { createPhoneCodec, type PhoneCodecName } from '../../../src/audio/phone-codec.ts';
import { PhoneDownlink } from '../../../src/bridge/phone-downlink.ts';
import { parseRtp, type RtpPacket } from '../../../src/rtp/packet.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';
import { staticFormat } from '../../../src/sdp/phone-format.ts';
import { concat, tone, toneShare } from '../../support/tones.ts';

/** Codecs that tests of other files left open. */
const elsewhere = liveOpusCodecs();

const remote = { address: '192.0.2.10', port: 20_000 };
const FRAME = 480;

function audio(codec: PhoneCodecName, ptimeMs = 20): NegotiatedAudio {
  const { sampleRateHz } = createPhoneCodec(codec);
  const { payloadType } = staticFormat(codec);
  return {
    codec,
    payloadType,
    sampleRateHz,
    alternatives: [],
    remote,
    remoteRtcp: { ...remote, port: 20_001 },
    direction: 'sendrecv',
    ptimeMs,
  };
}

/** The session's voice at 24 kHz, through a downlink, to the phone. */
class Line {
  readonly out: { readonly packet: RtpPacket; readonly audible: boolean }[] = [];
  readonly downlink: PhoneDownlink;
  readonly sender = new RtpSender({ payloadType: 111 });
  readonly #encoder: OpusEncoder;
  now = 1000;

  static async open(agreed: NegotiatedAudio): Promise<Line> {
    const encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior' });
    return new Line(encoder, new PhoneDownlink(await decoderFor(agreed), agreed, (packet, audible) => line.take(packet, audible)));
  }

  constructor(encoder: OpusEncoder, downlink: PhoneDownlink) {
    this.#encoder = encoder;
    this.downlink = downlink;
    line = this;
    opened.push(this);
  }

  take(packet: Buffer, audible: boolean): void {
    const parsed = parseRtp(packet)!;
    this.out.push({ packet: { ...parsed, payload: parsed.payload.slice() }, audible });
  }

  play(pcm: Int16Array): void {
    for (let at = 0; at + FRAME <= pcm.length; at += FRAME) {
      this.downlink.handlePacket(this.sender.next(this.#encoder.encode(pcm.subarray(at, at + FRAME)), 960), this.now);
      this.now += 20;
    }
  }

  /** So many frames get lost on the inner leg. */
  lose(frames: number): void {
    for (let n = 0; n < frames; n++) this.sender.next(new Uint8Array(1), 960);
    this.now += 20 * frames;
  }

  heard(codec: PhoneCodecName, from = 0): Int16Array {
    const coder = createPhoneCodec(codec);
    return concat(
      ...this.out.slice(from).map(({ packet: { payload } }) => {
        const pcm = new Int16Array((payload.length * coder.sampleRateHz) / 8000);
        coder.decode(payload, pcm);
        return pcm;
      }),
    );
  }

  close(): void {
    this.#encoder.free();
    this.downlink.close();
  }
}

let line: Line;
const opened: Line[] = [];

function decoderFor({ sampleRateHz }: NegotiatedAudio) {
  return createOpusDecoder({ sampleRateHz });
}

/** Payload lengths in milliseconds. */
function lengths({ out }: Line): number[] {
  return out.map(({ packet }) => packet.payload.length / 8);
}

function expectContiguous({ out }: Line): void {
  for (let n = 1; n < out.length; n++) {
    const before = out[n - 1]!.packet;
    expect((out[n]!.packet.timestamp - before.timestamp) >>> 0).toBe(before.payload.length);
    expect((out[n]!.packet.sequenceNumber - before.sequenceNumber) & 0xffff).toBe(1);
  }
}

beforeAll(loadOpus);

afterEach(() => {
  for (const each of opened.splice(0)) each.close();
  expect(liveOpusCodecs() - elsewhere).toBe(0);
});

describe('the downlink of a phone', () => {
  it.each([
    ['PCMU', 1000],
    ['PCMA', 1000],
    ['G722', 5500],
  ] as const)('carries %s: %i Hz arrive', async (codec, hz) => {
    const test = await Line.open(audio(codec));
    test.play(tone(hz, 600, { rateHz: 24_000 }));
    const { sampleRateHz: rateHz } = audio(codec);
    expect(lengths(test)).toEqual(Array.from({ length: 30 }, () => 20));
    expect(toneShare(test.heard(codec), hz, { rateHz, fromMs: 60 })).toBeGreaterThan(0.9);
    expect(test.out[20]).toMatchObject({ audible: true, packet: { payloadType: staticFormat(codec).payloadType } });
  });

  it.each([10, 20, 30, 40, 50, 60])('packs %i ms into a packet when the phone would have it so', async (ptimeMs) => {
    for (const codec of ['PCMU', 'G722'] as const) {
      const test = await Line.open(audio(codec, ptimeMs));
      test.play(tone(700, 1200, { rateHz: 24_000 }));
      expect(lengths(test)).toEqual(Array.from({ length: 1200 / ptimeMs }, () => ptimeMs));
      expectContiguous(test);
      const { sampleRateHz: rateHz } = audio(codec);
      expect(toneShare(test.heard(codec), 700, { rateHz, fromMs: 60 })).toBeGreaterThan(0.95);
    }
  });

  it('sends what waits as a short packet before a hole and before another agreement', async () => {
    const test = await Line.open(audio('PCMU', 60));
    test.play(tone(700, 100, { rateHz: 24_000 }));
    test.lose(5);
    test.play(tone(700, 80, { rateHz: 24_000 }));
    test.now += 10;
    test.downlink.drain(test.now);
    test.downlink.renegotiate(audio('PCMA', 20));
    test.play(tone(700, 40, { rateHz: 24_000 }));
    expect(lengths(test)).toEqual([60, 40, 60, 20, 20, 20]);
    expect(test.out.map(({ packet }) => packet.payloadType)).toEqual([0, 0, 0, 0, 8, 8]);
    const [, beforeHole, afterHole] = test.out.map(({ packet }) => packet);
    expect((afterHole!.timestamp - beforeHole!.timestamp) >>> 0).toBe(320 + 800);
    expect(afterHole!.marker).toBe(true);
    expect(test.downlink.snapshot()).toMatchObject({ missedFrames: 5, concealedFrames: 0, packets: 6 });
  });

  it('goes on in another codec at another rate', async () => {
    const test = await Line.open(audio('PCMU'));
    test.play(tone(700, 300, { rateHz: 24_000 }));
    const wide = audio('G722');
    test.downlink.renegotiate(wide, await decoderFor(wide));
    test.play(tone(5000, 300, { rateHz: 24_000 }));
    expectContiguous(test);
    expect(toneShare(test.heard('G722', 15), 5000, { rateHz: 16_000, fromMs: 60 })).toBeGreaterThan(0.9);
  });
});

import { beforeAll, describe, expect, test } from 'vitest';
import { createOpusEncoder, liveOpusCodecs, loadOpus, type OpusEncoder } from '../../../src/audio/opus.ts';
import { PhoneMedia } from '../../../src/bridge/phone-media.ts';
import { parseRtp } from '../../../src/rtp/packet.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { tone } from '../../support/tones.ts';
import { FakeInner, FakePorts, IDENTITY, PHONE } from './call-bench.ts';

/** Codecs that tests of other files left open. */
const elsewhere = liveOpusCodecs();

beforeAll(loadOpus);

const NARROW: NegotiatedAudio = {
  codec: 'PCMU',
  payloadType: 0,
  sampleRateHz: 8000,
  alternatives: [],
  telephoneEventPayloadType: 101,
  remote: PHONE,
  remoteRtcp: { ...PHONE, port: PHONE.port + 1 },
  direction: 'sendrecv',
  ptimeMs: 20,
};
const WIDE: NegotiatedAudio = { ...NARROW, codec: 'G722', payloadType: 9, sampleRateHz: 16_000 };

class Bench {
  readonly clock = new FakeClock();
  readonly ports = new FakePorts();
  readonly inner = new FakeInner();
  readonly phone = new RtpSender({ payloadType: 0 });
  readonly agent = new RtpSender({ payloadType: 111 });
  media!: PhoneMedia;
  #encoder!: OpusEncoder;

  static async open(audio: NegotiatedAudio): Promise<Bench> {
    const bench = new Bench();
    const { clock, ports, inner } = bench;
    bench.#encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior' });
    const told = {
      onDigit: () => undefined,
      onTimeout: () => undefined,
      onFirstAudio: () => undefined,
      onRoundTrip: () => undefined,
      onReady: () => undefined,
      onFailed: () => undefined,
      identity: IDENTITY,
    };
    bench.media = await PhoneMedia.create({ clock, ports, inner, ...told }, audio, {
      mediaTimeoutMs: 10_000,
      signallingAddress: PHONE.address,
    });
    bench.media.start();
    return bench;
  }

  talk(payloadType: number, count = 10): this {
    this.phone.payloadType = payloadType;
    for (let n = 0; n < count; n++) {
      this.clock.advance(20);
      this.ports.rtp.onDatagram?.(this.phone.next(Buffer.alloc(160, 0x7f), 160), PHONE);
      this.inner.onRtp?.(this.agent.next(this.#encoder.encode(tone(1000, 20, { rateHz: 24_000 })), 960), this.clock.now());
    }
    return this;
  }

  /** What was sent to the phone since the last look: [payload type, milliseconds]. */
  takeSent(): [number, number][] {
    return this.ports.rtp.sent.splice(0).map(({ datagram }) => {
      const packet = parseRtp(datagram);
      return [packet?.payloadType ?? -1, (packet?.payload.length ?? 0) / 8];
    });
  }

  close(): void {
    this.media.stop();
    this.#encoder.free();
  }
}

/** Coders are made without any real wait. */
async function settled(): Promise<void> {
  for (let n = 0; n < 20; n++) await Promise.resolve();
}

describe('a phone that changes its codec', () => {
  test('to another rate and back is heard and hears in each, and nothing stays behind', async () => {
    const bench = await Bench.open(NARROW);
    bench.talk(0);
    bench.takeSent();
    bench.media.renegotiate(WIDE);
    await settled();
    bench.talk(9);
    expect(bench.takeSent()).toEqual(Array.from({ length: 10 }, () => [9, 20]));
    bench.media.renegotiate({ ...NARROW, ptimeMs: 40 });
    await settled();
    bench.talk(0);
    expect(bench.takeSent()).toEqual(Array.from({ length: 5 }, () => [0, 40]));
    const { uplink, codec } = bench.media.snapshot();
    expect([codec, uplink.frames, uplink.account.framesOut, uplink.account.discarded.unknown_payload]).toEqual(['PCMU', 30, 30, 0]);
    bench.close();
    expect(liveOpusCodecs() - elsewhere).toBe(0);
  });

  test('and its mind before the coders are there gets what it said last', async () => {
    const bench = await Bench.open(NARROW);
    bench.media.renegotiate(WIDE);
    bench.media.renegotiate(NARROW);
    bench.media.renegotiate({ ...WIDE, ptimeMs: 10 });
    bench.media.renegotiate({ ...WIDE, ptimeMs: 60 });
    await settled();
    bench.talk(9, 6);
    expect(bench.takeSent()).toEqual([
      [9, 60],
      [9, 60],
    ]);
    bench.media.renegotiate(NARROW);
    bench.close();
    await settled();
    expect(liveOpusCodecs() - elsewhere).toBe(0);
  });
});

test('the rating of a phone falls with what is lost', async () => {
  const bench = await Bench.open(NARROW);
  bench.talk(0, 100);
  const clean = bench.media.snapshot().rating;
  expect(clean.in.mos).toBeGreaterThan(4.35);
  expect(clean.out).toBeUndefined();
  for (let n = 0; n < 10; n++) {
    bench.phone.next(Buffer.alloc(160), 160);
    bench.talk(0, 9);
  }
  const { rating, uplink } = bench.media.snapshot();
  expect(uplink.account.lossPercent).toBeCloseTo(5, 0);
  expect(rating.in.mos).toBeLessThan(4);
  expect(rating.in.mos).toBeGreaterThan(3);
  bench.close();
});

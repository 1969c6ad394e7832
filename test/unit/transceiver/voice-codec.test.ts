import { beforeAll, describe, expect, test, vi } from 'vitest';
import { createOpusEncoder, loadOpus, OpusEncoder } from '../../../src/audio/opus.ts';
import type { Tick } from '../../../src/base/ticker.ts';
import { parseRtp } from '../../../src/rtp/packet.ts';
import { writeRtcp } from '../../../src/rtp/rtcp.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { Media } from '../../../src/transceiver/media.ts';
import { createVoiceCodec } from '../../../src/transceiver/voice-codec.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { findTone, tone } from '../../support/tones.ts';

beforeAll(loadOpus);

const SOUND = tone(440, 2000, { rateHz: 24_000 });

/** Media of one peer whose session says a tone and keeps what it hears. */
async function open(payloadTypes: { opus?: number; pcmu?: number; pcma?: number }, profile: 'edge' | 'interior' = 'edge') {
  const clock = new FakeClock();
  const ticks = new Set<Tick>();
  const sent: Buffer[] = [];
  const heard: { pcm: Int16Array; concealed: boolean }[] = [];
  let frame = 0;
  const session = {
    handleUplink: (pcm: Int16Array, { concealed }: { concealed: boolean }) => void heard.push({ pcm: pcm.slice(), concealed }),
    pullDownlink: (out: Int16Array) => {
      out.set(SOUND.subarray(frame * 480, (frame + 1) * 480));
      frame += 1;
      return true;
    },
    handleLegEvent: () => undefined,
  };
  const media = await Media.create(
    {
      clock,
      session,
      ticker: {
        add: (tick) => {
          ticks.add(tick);
          return () => void ticks.delete(tick);
        },
        takeWorstLatenessMs: () => 0,
        stop: async () => undefined,
      },
      peer: { sendRtp: (packet) => sent.push(Buffer.from(packet)) > 0, sendRtcp: () => true },
    },
    { audio: { mid: '0', payloadTypes, direction: 'sendrecv' }, ssrc: 7, profile, narrowband: false },
  );
  const beat = (count: number): void => {
    for (let n = 0; n < count; n++) {
      clock.advance(20);
      for (const tick of ticks) tick(clock.now());
    }
  };
  return { clock, media, sent, heard, beat };
}

/** Of one frequency in 20 ms. */
function amplitudeAt(pcm: Int16Array, hz: number): number {
  let [sine, cosine] = [0, 0];
  for (let n = 0; n < pcm.length; n++) {
    sine += (pcm[n] ?? 0) * Math.sin((2 * Math.PI * hz * n) / 24_000);
    cosine += (pcm[n] ?? 0) * Math.cos((2 * Math.PI * hz * n) / 24_000);
  }
  return Math.hypot(sine, cosine);
}

const joined = (frames: readonly Int16Array[]): Int16Array => Int16Array.from(frames.flatMap((each) => [...each]));

describe.each([
  ['PCMU', 0, { pcmu: 0, pcma: 8 }],
  ['PCMA', 8, { pcma: 8 }],
] as const)('a browser that speaks %s alone', (name, payloadType, payloadTypes) => {
  test('is sent its 160 bytes every 20 ms, and heard, whole', async () => {
    const bench = await open(payloadTypes);
    bench.media.start();
    bench.beat(50);
    const packets = bench.sent.map((each) => parseRtp(each));
    expect(packets.map((each) => [each?.payloadType, each?.payload.length])).toEqual(packets.map(() => [payloadType, 160]));
    for (let n = 1; n < packets.length; n++) expect(((packets[n]?.timestamp ?? 0) - (packets[n - 1]?.timestamp ?? 0)) | 0).toBe(160);

    const codec = await createVoiceCodec({ name, payloadType, clockRateHz: 8000 }, { profile: 'edge', narrowband: false });
    const back = packets.map((each) => codec.decoder.decode(each?.payload ?? Buffer.alloc(0)) ?? new Int16Array());
    expect(new Set(back.map(({ length }) => length))).toEqual(new Set([480]));
    const tones = findTone(joined(back), 440, { rateHz: 24_000, fromMs: 100 });
    expect(tones.share).toBeGreaterThan(0.98);

    bench.heard.length = 0;
    const sender = new RtpSender({ payloadType });
    for (let n = 0; n < 50; n++) {
      bench.clock.advance(20);
      bench.media.handleRtp(sender.next(codec.encoder.encode(SOUND.subarray(n * 480, (n + 1) * 480)), 160), bench.clock.now());
    }
    // Of the second before them 20 ms had not been let pass.
    expect(bench.heard).toHaveLength(51);
    expect(findTone(joined(bench.heard.map(({ pcm }) => pcm)), 440, { rateHz: 24_000, fromMs: 100 }).share).toBeGreaterThan(0.98);
    bench.media.close();
  });

  test('has its lost packets made up, and counted once', async () => {
    const bench = await open(payloadTypes);
    const codec = await createVoiceCodec({ name, payloadType, clockRateHz: 8000 }, { profile: 'edge', narrowband: false });
    const sender = new RtpSender({ payloadType });
    for (let n = 0; n < 30; n++) {
      bench.clock.advance(20);
      const packet = sender.next(codec.encoder.encode(SOUND.subarray(n * 480, (n + 1) * 480)), 160);
      if (n !== 20 && n !== 21) bench.media.handleRtp(packet, bench.clock.now());
    }
    bench.clock.advance(100);
    expect(bench.heard.map(({ concealed }) => concealed).filter(Boolean)).toHaveLength(2);
    expect(bench.heard).toHaveLength(30);
    expect(bench.media.snapshot().uplink.account).toMatchObject({ concealed: 2 });
    bench.media.close();
  });

  test('is not heard in what is no packet of it', async () => {
    const { decoder } = await createVoiceCodec({ name, payloadType, clockRateHz: 8000 }, { profile: 'edge', narrowband: false });
    expect(decoder.decode(Buffer.alloc(0))).toBeUndefined();
    expect(decoder.decode(Buffer.alloc(1601))).toBeUndefined();
    expect(decoder.decode(Buffer.alloc(1600))).toHaveLength(4800);
  });
});

describe('what the network to a browser loses', () => {
  const report = (ssrc: number, percent: number): Buffer =>
    writeRtcp([
      {
        type: 'receiver_report',
        ssrc: 9,
        reports: [
          {
            ssrc,
            fractionLost: Math.round((percent * 256) / 100),
            cumulativeLost: 0,
            highestSequence: 0,
            jitter: 0,
            lastSenderReport: 0,
            delaySinceLastSenderReport: 0,
          },
        ],
      },
    ]);

  test('tunes the redundancy of what is sent there: up at once, down bit by bit, never off', async () => {
    const told = vi.spyOn(OpusEncoder.prototype, 'setPacketLossPercent');
    const bench = await open({ opus: 111 });
    for (const percent of [20, 0, 0, 0, 0, 0]) bench.media.handleRtcp(report(7, percent), bench.clock.now());
    expect(told.mock.calls.map(([percent]) => Math.round(percent))).toEqual([20, 10, 5, 2, 2, 2]);
    bench.media.handleRtcp(report(8, 50), bench.clock.now());
    bench.media.handleRtcp(Buffer.from('garbage'), bench.clock.now());
    expect(told).toHaveBeenCalledTimes(6);
    bench.media.close();
    bench.media.handleRtcp(report(7, 30), bench.clock.now());
    const interior = await open({ opus: 111 }, 'interior');
    interior.media.handleRtcp(report(7, 30), interior.clock.now());
    interior.media.close();
    expect(told).toHaveBeenCalledTimes(6);
    told.mockRestore();
  });

  test('is heard from the packet after it, where that says what was lost', async () => {
    const encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'edge' });
    encoder.setPacketLossPercent(30);
    const other = tone(1200, 2000, { rateHz: 24_000 });
    const hear = async (lose: number): Promise<Int16Array> => {
      const bench = await open({ opus: 111 });
      const sender = new RtpSender({ payloadType: 111 });
      const packets = Array.from({ length: 40 }, (_, n) =>
        encoder.encode((n >= 25 ? other : SOUND).subarray(n * 480, (n + 1) * 480)).slice(),
      );
      for (const [n, payload] of packets.entries()) {
        bench.clock.advance(20);
        const packet = sender.next(payload, 960);
        if (n !== lose) bench.media.handleRtp(packet, bench.clock.now());
      }
      bench.clock.advance(100);
      expect(bench.heard).toHaveLength(40);
      expect(bench.heard.filter(({ concealed }) => concealed)).toHaveLength(lose < 0 ? 0 : 1);
      bench.media.close();
      return bench.heard[25]?.pcm ?? new Int16Array();
    };
    // What was lost is another tone than what came before: no concealment could guess it.
    const shareOfLost = (pcm: Int16Array) => amplitudeAt(pcm, 1200) / (amplitudeAt(pcm, 1200) + amplitudeAt(pcm, 440));
    expect(shareOfLost(await hear(-1))).toBeGreaterThan(0.6);
    expect(shareOfLost(await hear(25))).toBeGreaterThan(0.5);
    encoder.free();
  });
});

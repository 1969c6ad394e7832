import { beforeAll, describe, expect, test } from 'vitest';
import { createOpusDecoder, createOpusEncoder, liveOpusCodecs, loadOpus } from '../../../src/audio/opus.ts';
import type { Tick, Ticker } from '../../../src/base/ticker.ts';
import { parseRtp } from '../../../src/rtp/packet.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { Media, type MediaSession } from '../../../src/transceiver/media.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { findTone, tone } from '../../support/tones.ts';

beforeAll(loadOpus);

/** A beat that the test gives. */
class FakeTicker implements Ticker {
  readonly ticks = new Set<Tick>();

  add(tick: Tick): () => void {
    this.ticks.add(tick);
    return () => void this.ticks.delete(tick);
  }

  takeWorstLatenessMs(): number {
    return 0;
  }

  async stop(): Promise<void> {}
}

/** A session that says a tone and notes what it hears. */
class FakeSession implements MediaSession {
  readonly heard: { readonly at: number; readonly concealed: boolean }[] = [];
  readonly events: unknown[] = [];
  readonly #sound = tone(1000, 200, { rateHz: 24_000 });
  #frame = 0;
  onPull: (() => void) | undefined;

  handleUplink(_pcm: Int16Array, { concealed }: { readonly concealed: boolean }, now: number): void {
    this.heard.push({ at: now, concealed });
  }

  pullDownlink(out: Int16Array): boolean {
    this.onPull?.();
    const at = (this.#frame++ % 10) * 480;
    out.set(this.#sound.subarray(at, at + 480));
    return true;
  }

  handleLegEvent(event: unknown): void {
    this.events.push(event);
  }
}

class Bench {
  readonly clock = new FakeClock();
  readonly ticker = new FakeTicker();
  readonly session = new FakeSession();
  readonly rtp: Buffer[] = [];
  readonly rtcp: Buffer[] = [];
  connected = true;
  media!: Media;

  static async open(narrowband = true): Promise<Bench> {
    const bench = new Bench();
    const peer = {
      sendRtp: (packet: Uint8Array) => bench.connected && bench.rtp.push(Buffer.from(packet)) > 0,
      sendRtcp: (packet: Uint8Array) => bench.connected && bench.rtcp.push(Buffer.from(packet)) > 0,
    };
    const audio = { payloadTypes: { opus: 111 } } as Parameters<typeof Media.create>[1]['audio'];
    const { clock, ticker, session } = bench;
    bench.media = await Media.create({ clock, ticker, session, peer }, { audio, ssrc: 7, profile: 'interior', narrowband });
    return bench;
  }

  beat(count = 1): void {
    for (let n = 0; n < count; n++) {
      this.clock.advance(20);
      for (const tick of this.ticker.ticks) tick(this.clock.now());
    }
  }
}

describe('the audio of a session', () => {
  test('leaves 20 ms every 20 ms from the start on, numbered without a break', async () => {
    const bench = await Bench.open();
    bench.beat(3);
    expect(bench.rtp).toEqual([]);
    bench.media.start();
    bench.media.start();
    bench.beat(30);
    const packets = bench.rtp.map((each) => parseRtp(each));
    expect(packets).toHaveLength(30);
    expect(new Set(packets.map((each) => each?.ssrc))).toEqual(new Set([7]));
    for (let n = 1; n < packets.length; n++) {
      const [before, packet] = [packets[n - 1], packets[n]];
      expect(((packet?.sequenceNumber ?? 0) - (before?.sequenceNumber ?? 0)) & 0xffff).toBe(1);
      expect(((packet?.timestamp ?? 0) - (before?.timestamp ?? 0)) | 0).toBe(960);
      expect(packet?.marker).toBe(false);
    }
    const decoder = await createOpusDecoder({ sampleRateHz: 8000 });
    const heard = packets.flatMap((each) => [...(decoder.decode(each?.payload ?? Buffer.alloc(0)) ?? [])]);
    expect(findTone(Int16Array.from(heard), 1000, { fromMs: 100 }).share).toBeGreaterThan(0.9);
    decoder.free();
    bench.media.close();
  });

  test('arrives at the session with the time it came, and a gap is given up without the next packet', async () => {
    const bench = await Bench.open();
    const encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior' });
    const sender = new RtpSender({ payloadType: 111 });
    const packet = (): Buffer => sender.next(encoder.encode(tone(500, 20, { rateHz: 24_000 })), 960);
    bench.media.handleRtp(packet(), bench.clock.now());
    packet();
    bench.clock.advance(40);
    bench.media.handleRtp(packet(), bench.clock.now());
    expect(bench.session.heard).toHaveLength(1);
    bench.clock.advance(29);
    expect(bench.session.heard).toHaveLength(1);
    bench.clock.advance(1);
    expect(bench.session.heard).toEqual([
      { at: 0, concealed: false },
      { at: 70, concealed: true },
      { at: 70, concealed: false },
    ]);
    encoder.free();
    bench.media.close();
  });

  test('passes as silence when nothing comes', async () => {
    const bench = await Bench.open();
    bench.media.start();
    bench.beat(60);
    expect(bench.session.heard.length).toBeGreaterThan(50);
    expect(bench.session.heard.every((each) => each.concealed)).toBe(true);
    bench.media.close();
  });

  test('tells the far end of the time that went by while the process stood still, and catches nothing up', async () => {
    const bench = await Bench.open();
    bench.media.start();
    bench.beat(3);
    bench.clock.advance(500);
    bench.beat(2);
    const packets = bench.rtp.map((each) => parseRtp(each));
    const steps = packets.slice(1).map((each, n) => ((each?.timestamp ?? 0) - (packets[n]?.timestamp ?? 0)) / 960);
    expect(steps).toEqual([1, 1, 26, 1]);
    expect(packets.map((each) => each?.marker)).toEqual([true, false, false, true, false]);
    bench.media.close();
  });

  test('sends reports, and none while there is no way', async () => {
    const bench = await Bench.open();
    bench.media.start();
    bench.connected = false;
    bench.beat(400);
    expect([...bench.rtp, ...bench.rtcp]).toEqual([]);
    bench.connected = true;
    bench.beat(400);
    expect(bench.rtcp.length).toBeGreaterThan(0);
    bench.media.close();
  });

  test('stops for good and frees its codecs, even from within the beat', async () => {
    const before = liveOpusCodecs();
    const bench = await Bench.open(false);
    expect(liveOpusCodecs()).toBe(before + 2);
    bench.media.start();
    bench.beat(1);
    bench.session.onPull = () => bench.media.close();
    bench.beat(1);
    bench.media.start();
    bench.media.handleRtp(new RtpSender({ payloadType: 111 }).next(Buffer.alloc(3), 960), 0);
    expect(bench.rtp).toHaveLength(1);
    expect(bench.ticker.ticks.size).toBe(0);
    expect(bench.clock.nextTimer()).toBeUndefined();
    expect(liveOpusCodecs()).toBe(before);
  });
});

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createOpusDecoder, createOpusEncoder, loadOpus, type OpusDecoder, type OpusEncoder } from '../../../src/audio/opus.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { writeTelephoneEvent } from '../../../src/rtp/telephone-event.ts';
import { Uplink } from '../../../src/transceiver/uplink.ts';
import { rms, tone } from '../../support/tones.ts';

const OPUS = 111;
const KEYS = 110;

let encoder: OpusEncoder;
let decoder: OpusDecoder;

beforeAll(loadOpus);
beforeEach(async () => {
  encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior' });
  decoder = await createOpusDecoder({ sampleRateHz: 24_000 });
});

/** A frame as the session gets it: `heard` has sound, `made up` was lost, `silence` stands for time without packets. */
type Frame = 'heard' | 'made up' | 'silence';

/** A person's stream on its way to the session, 20 ms at a time. */
class Bench {
  readonly frames: Frame[] = [];
  readonly digits: string[] = [];
  readonly uplink: Uplink;
  sender = new RtpSender({ payloadType: OPUS, sequenceNumber: 65_533, timestamp: 0xffff_ff00 });
  now = 1000;
  readonly #sound = tone(1000, 200, { rateHz: 24_000 });
  #frame = 0;

  constructor() {
    this.uplink = new Uplink(
      decoder,
      { payloadType: OPUS, telephoneEventPayloadType: KEYS, telephoneEventRateHz: 48_000, frameSamples: 480 },
      {
        onFrame: (pcm, concealed) => this.frames.push(rms(pcm) === 0 && concealed ? 'silence' : concealed ? 'made up' : 'heard'),
        onDigit: ({ digit }) => this.digits.push(digit),
      },
    );
  }

  /** Makes a packet, and time goes on by it; it is not delivered. */
  make(): Buffer {
    this.now += 20;
    const at = (this.#frame++ % 10) * 480;
    return this.sender.next(encoder.encode(this.#sound.subarray(at, at + 480)), 960);
  }

  /** The same without time going on. */
  makeAt(now: number): Buffer {
    const datagram = this.make();
    this.now = now;
    return datagram;
  }

  renumbered(datagram: Buffer): Buffer {
    return this.sender.next(datagram.subarray(12), 960);
  }

  say(count: number): this {
    for (let n = 0; n < count; n++) {
      this.push(this.make());
      this.uplink.tick(this.now);
    }
    return this;
  }

  lose(count: number): this {
    for (let n = 0; n < count; n++) {
      this.make();
      this.#wait();
    }
    return this;
  }

  /** Nothing is sent; the sender's clock goes on and the next packet says that it was silent. */
  pause(frames: number): this {
    for (let n = 0; n < frames; n++) {
      this.now += 20;
      this.#wait();
    }
    this.sender.skip(frames * 960);
    return this;
  }

  push(datagram: Buffer): void {
    this.uplink.handlePacket(datagram, this.now);
  }

  /** What came since the last look. */
  take(): Frame[] {
    return this.frames.splice(0);
  }

  #wait(): void {
    const at = this.uplink.nextTimeout();
    if (at !== undefined && at <= this.now) this.uplink.drain(this.now);
    this.uplink.tick(this.now);
  }
}

function times(count: number, frame: Frame): Frame[] {
  return Array<Frame>(count).fill(frame);
}

describe('the way of a person to the session', () => {
  test('hands on each packet at once, over the wrap of its numbers', () => {
    expect(new Bench().say(10).take()).toEqual(times(10, 'heard'));
  });

  test.each([1, 3, 5])('makes up %i lost frames, once the next packet has waited its 30 ms', (lost) => {
    const bench = new Bench().say(3).lose(lost);
    bench.take();
    bench.push(bench.make());
    expect(bench.take()).toEqual([]);
    bench.now += 30;
    bench.uplink.drain(bench.now);
    expect(bench.take()).toEqual([...times(lost, 'made up'), 'heard']);
    expect(bench.uplink.snapshot()).toMatchObject({ concealedFrames: lost, silenceFrames: 0 });
  });

  test('makes up the loss that the bridge has found already: a jump of the timestamp alone', () => {
    const bench = new Bench().say(3);
    bench.take();
    bench.sender.skip(2 * 960, 'lost');
    bench.now += 40;
    bench.say(1);
    expect(bench.take()).toEqual(['made up', 'made up', 'heard']);
  });

  test('a jump with a marker is silence', () => {
    const bench = new Bench().say(3);
    bench.take();
    bench.sender.skip(2 * 960, 'silence');
    bench.now += 40;
    bench.say(1);
    expect(bench.take()).toEqual(['silence', 'silence', 'heard']);
  });

  test('makes up 200 ms at the most', () => {
    const bench = new Bench().say(3);
    bench.take();
    bench.sender.skip(40 * 960, 'lost');
    bench.say(1);
    expect(bench.take()).toEqual([...times(10, 'made up'), 'silence', 'silence', 'heard']);
  });

  test('lets what was said fade out and time pass as silence when nothing comes for 240 ms, and loses none of it', () => {
    const bench = new Bench().say(3);
    bench.take();
    bench.pause(11);
    expect(bench.take()).toEqual([]);
    bench.pause(1);
    expect(bench.take()).toEqual([...times(10, 'made up'), 'silence']);
    bench.pause(10);
    expect(bench.take()).toEqual(times(10, 'silence'));
    bench.say(2);
    // 22 frames were silent, and 22 frames have passed: the last of them now.
    expect(bench.take()).toEqual(['silence', 'heard', 'heard']);
    expect(bench.uplink.snapshot()).toMatchObject({ concealedFrames: 0, silenceFrames: 22 });
  });

  test('a pause that ends before it counts as one is silence all the same', () => {
    const bench = new Bench().say(3);
    bench.take();
    bench.pause(4).say(1);
    expect(bench.take()).toEqual([...times(4, 'silence'), 'heard']);
  });

  test('a burst of loss that looks like silence at first is not heard twice', () => {
    const bench = new Bench().say(3);
    bench.take();
    bench.lose(13);
    expect(bench.take()).toEqual([...times(10, 'made up'), ...times(2, 'silence')]);
    bench.push(bench.make());
    bench.now += 30;
    bench.uplink.drain(bench.now);
    expect(bench.take()).toEqual(['made up', 'heard']);
  });

  test('takes nothing for silence while the whole process stands still', () => {
    const bench = new Bench().say(3);
    bench.take();
    bench.now += 2000;
    bench.uplink.tick(bench.now);
    expect(bench.take()).toEqual([]);
    // What waited in the socket.
    for (let n = 0; n < 100; n++) bench.push(bench.makeAt(bench.now));
    expect(bench.take()).toEqual(times(100, 'heard'));
  });

  test('lets as much silence pass as there was, whatever ticks were left out', () => {
    const bench = new Bench().say(10);
    bench.take();
    for (const ms of [20, 20, 200, 20, 500, 20, 20]) {
      bench.now += ms;
      bench.uplink.tick(bench.now);
    }
    expect(bench.take()).toHaveLength(800 / 20 - 1);
  });

  test('takes back the silence that it took a held-up network for', () => {
    const bench = new Bench().say(150);
    const held = Array.from({ length: 20 }, () => {
      const datagram = bench.make();
      bench.uplink.tick(bench.now);
      return datagram;
    });
    expect(bench.uplink.snapshot().silenceFrames).toBe(19);
    for (const datagram of held) bench.push(datagram);
    bench.take();
    bench.say(2000);
    // All that was said is heard, and it takes no longer than it took.
    expect(bench.uplink.snapshot()).toMatchObject({ addedFrames: 0, droppedFrames: 19, concealedFrames: 0 });
    expect(bench.take()).toHaveLength(2000 - 19);
  });

  test('does not take what it lets pass in a pause for a sender that falls behind', () => {
    const bench = new Bench().say(300);
    bench.now += 15;
    for (let n = 0; n < 400; n++) {
      bench.now += 20;
      bench.uplink.tick(bench.now);
    }
    bench.now -= 15;
    bench.sender.skip(400 * 960);
    bench.say(500);
    expect(bench.uplink.snapshot()).toMatchObject({ addedFrames: 0, droppedFrames: 0 });
    expect(bench.take()).toHaveLength(1200);
  });

  test('takes nothing back after a pause of a phone whose clock stood still meanwhile', () => {
    const bench = new Bench().say(150);
    for (let n = 0; n < 200; n++) {
      bench.now += 20;
      bench.uplink.tick(bench.now);
    }
    bench.say(2000);
    expect(bench.uplink.snapshot().droppedFrames).toBe(0);
  });

  test.each([1000, 200, -200, -1000])('keeps step with the clock on the wall for ten minutes when the sender is off by %i ppm', (ppm) => {
    const bench = new Bench();
    let handed = 0;
    let worst = 0;
    const startedAt = bench.now;
    const packet = bench.make();
    for (let n = 0; n < 30_000; n++) {
      bench.now = startedAt + n * 20 * (1 - ppm * 1e-6);
      // Numbers of its own: only the beat matters here.
      bench.push(bench.renumbered(packet));
      bench.uplink.tick(bench.now);
      handed += bench.take().length;
      worst = Math.max(worst, Math.abs(handed * 20 - (bench.now - startedAt) - 20));
    }
    expect(worst).toBeLessThan(40);
    const { addedFrames, droppedFrames } = bench.uplink.snapshot();
    // 600 s of so many millionths, 20 ms at a time: once a minute at most for 200 ppm.
    expect(addedFrames + droppedFrames).toBeLessThanOrEqual(Math.ceil((Math.abs(ppm) * 600) / 20_000));
    expect(ppm > 0 ? addedFrames : droppedFrames).toBe(0);
  });

  test('goes on after a stream that began anew, without making anything up', () => {
    const bench = new Bench().say(3);
    bench.take();
    bench.now += 1000;
    bench.sender = new RtpSender({ payloadType: OPUS });
    bench.say(3);
    expect(bench.take().filter((frame) => frame === 'heard')).toHaveLength(3);
    expect(bench.uplink.snapshot().concealedFrames).toBe(0);
  });

  test('knows keys of browsers, and takes the hole a key leaves for silence', () => {
    const bench = new Bench().say(2);
    const timestamp = 0xffff_ff00 + 2 * 960;
    for (let n = 1; n <= 7; n++) {
      bench.now += 20;
      const payload = writeTelephoneEvent({ event: 7, end: n >= 5, volume: 10, duration: Math.min(n, 5) * 960 });
      bench.push(bench.sender.beside(payload, { payloadType: KEYS, timestamp: timestamp >>> 0, marker: n === 1 }));
      bench.uplink.tick(bench.now);
    }
    expect(bench.digits).toEqual(['7']);
    bench.sender.skip(7 * 960, 'lost');
    bench.say(1);
    expect(bench.take()).toEqual(['heard', 'heard', ...times(7, 'silence'), 'heard']);
  });

  test('counts what it does not understand, and lives', () => {
    const bench = new Bench();
    bench.push(Buffer.from('no'));
    bench.push(new RtpSender({ payloadType: 0 }).next(Buffer.alloc(160), 160));
    bench.push(bench.sender.next(Buffer.from([0xff, 0xff, 0xff]), 960));
    expect(bench.uplink.snapshot()).toMatchObject({ frames: 0, unknownPayload: 1, undecodable: 1 });
    expect(bench.say(1).take().at(-1)).toBe('heard');
  });
});

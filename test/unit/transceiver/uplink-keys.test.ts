import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createOpusDecoder, createOpusEncoder, loadOpus } from '../../../src/audio/opus.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { Uplink } from '../../../src/transceiver/uplink.ts';

const OPUS = 111;
const EVENTS = 110;
const closers: (() => void)[] = [];

beforeAll(loadOpus);
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An uplink with what it handed on, and a browser's sender: 20 ms of Opus a packet. */
async function uplink() {
  const frames: boolean[] = [];
  const keys: string[] = [];
  const decoder = await createOpusDecoder({ sampleRateHz: 24_000 });
  const encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'edge' });
  const payload = Buffer.from(encoder.encode(new Int16Array(480).fill(500)));
  const made = new Uplink(
    decoder,
    { payloadType: OPUS, telephoneEventPayloadType: EVENTS, telephoneEventRateHz: 48_000, frameSamples: 480 },
    { onFrame: (_pcm, concealed) => frames.push(concealed), onDigit: ({ digit }) => keys.push(digit) },
  );
  closers.push(
    () => made.close(),
    () => encoder.free(),
  );
  const sender = new RtpSender({ payloadType: OPUS, sequenceNumber: 65_530, timestamp: 0xffff_f000 });
  let now = 1000;
  let timestamp = 0xffff_f000;
  const handle = (packet: Buffer) => made.handlePacket(packet, now);
  const beat = () => {
    timestamp = (timestamp + 960) >>> 0;
    now += 10;
    made.tick(now);
    now += 10;
  };
  return {
    made,
    frames,
    keys,
    speak(packets: number) {
      for (let n = 0; n < packets; n++) {
        handle(sender.next(payload, 960));
        beat();
      }
    },
    /** Chromium's way: no audio while the key is held, the clock goes on, and no marker afterwards. */
    press(event: number, packets: number) {
      const start = timestamp;
      for (let n = 1; n <= packets; n++) {
        const key = Buffer.from([event, n === packets ? 0x8a : 0x0a, (n * 960) >> 8, (n * 960) & 0xff]);
        handle(sender.beside(key, { payloadType: EVENTS, timestamp: start, marker: n === 1 }));
        beat();
        sender.skip(960, 'lost');
      }
    },
    lose(packets: number) {
      for (let n = 0; n < packets; n++) {
        sender.next(payload, 960);
        beat();
      }
    },
  };
}

describe('a key pressed on the audio stream', () => {
  test.each([2, 5, 25])('of %i packets leaves silence of its length, and nothing is concealed', async (packets) => {
    const { made, frames, keys, speak, press } = await uplink();
    speak(10);
    press(3, packets);
    speak(10);
    expect(keys).toEqual(['3']);
    expect(made.snapshot()).toMatchObject({ concealedFrames: 0, silenceFrames: packets });
    expect(frames).toHaveLength(20 + packets);
  });

  test('does not hide a loss that comes after it', async () => {
    const { made, speak, press, lose } = await uplink();
    speak(10);
    press(3, 5);
    speak(5);
    lose(1);
    speak(5);
    expect(made.snapshot()).toMatchObject({ concealedFrames: 1, silenceFrames: 5 });
  });
});

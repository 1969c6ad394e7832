import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createOpusDecoder, createOpusEncoder, liveOpusCodecs, loadOpus } from '../../../src/audio/opus.ts';
import { createPhoneCodec, type PhoneCodecName } from '../../../src/audio/phone-codec.ts';
import { PhoneUplink } from '../../../src/bridge/phone-uplink.ts';
import { parseRtp, type RtpPacket } from '../../../src/rtp/packet.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';
import { staticFormat } from '../../../src/sdp/phone-format.ts';
import { seededRandom } from '../../support/random.ts';
import { speech } from '../../support/speech.ts';
import { concat, dtmfTone, silence, tone, toneShare } from '../../support/tones.ts';

/** Codecs that tests of other files left open. */
const elsewhere = liveOpusCodecs();

const remote = { address: '192.0.2.10', port: 20_000 };

function audio(codec: PhoneCodecName, more: Partial<NegotiatedAudio> = {}): NegotiatedAudio {
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
    ptimeMs: 20,
    ...more,
  };
}

function encoderFor({ sampleRateHz }: NegotiatedAudio) {
  return createOpusEncoder({ sampleRateHz, profile: 'interior', narrowband: sampleRateHz === 8000 });
}

/** A phone's stream into an uplink, and what comes out at the other end. */
class Line {
  readonly inner: { readonly packet: RtpPacket; readonly at: number }[] = [];
  readonly digits: string[] = [];
  readonly uplink: PhoneUplink;
  now = 1000;
  timestamp = 0xffff_ff00;
  sequenceNumber = 65_530;
  ssrc = 7;

  static async open(agreed: NegotiatedAudio): Promise<Line> {
    return new Line(await encoderFor(agreed), agreed);
  }

  private constructor(encoder: Awaited<ReturnType<typeof encoderFor>>, agreed: NegotiatedAudio) {
    this.uplink = new PhoneUplink(encoder, new RtpSender({ payloadType: 111, timestamp: 0, sequenceNumber: 0 }), agreed, {
      onPacket: (packet) => this.inner.push({ packet: parseRtp(packet)!, at: this.now }),
      onDigit: (digit) => this.digits.push(digit),
    });
    opened.push(this);
  }

  /** One packet; time and the phone's clock go on by what it lasts, or by what is said. */
  send(payload: Uint8Array, { payloadType = 0, marker = false, ticks = payload.length, lost = false } = {}): void {
    const { timestamp, sequenceNumber, ssrc } = this;
    this.sequenceNumber = (sequenceNumber + 1) & 0xffff;
    this.timestamp = (timestamp + ticks) >>> 0;
    if (!lost) this.uplink.handlePacket({ payloadType, marker, sequenceNumber, timestamp, ssrc, payload }, this.now);
    this.pass(ticks / 8);
  }

  /** Sound of any length, packed. */
  speak(pcm: Int16Array, codec: PhoneCodecName, ptimeMs = 20, options: { payloadType?: number; isLost?: () => boolean } = {}): void {
    const coder = createPhoneCodec(codec);
    const bytes = new Uint8Array((pcm.length * 8000) / coder.sampleRateHz);
    coder.encode(pcm, bytes);
    for (let at = 0; at + 8 * ptimeMs <= bytes.length; at += 8 * ptimeMs) {
      const { payloadType = staticFormat(codec).payloadType, isLost } = options;
      this.send(bytes.subarray(at, at + 8 * ptimeMs), { payloadType, lost: isLost?.() ?? false });
    }
  }

  pass(ms: number): void {
    this.now += ms;
    const at = this.uplink.nextTimeout();
    if (at !== undefined && at <= this.now) this.uplink.drain(this.now);
  }

  /** Milliseconds of the inner leg from its first frame to the end of its last. */
  get innerMs(): number {
    const last = this.inner[this.inner.length - 1]?.packet;
    return last === undefined ? 0 : last.timestamp / 48 + 20;
  }

  /** What the far end of the inner leg decodes. */
  async heard(): Promise<Int16Array> {
    const decoder = await createOpusDecoder({ sampleRateHz: 24_000 });
    const frames = this.inner.map(({ packet }) => decoder.decode(packet.payload)!);
    decoder.free();
    return concat(...frames);
  }

  expectBalance(): void {
    const { account } = this.uplink.snapshot();
    const { framesIn, framesOut, concealed, beside, waiting, discarded, unaccounted } = account;
    expect(unaccounted).toBe(0);
    expect(Object.values(discarded).reduce((sum, count) => sum + count, framesOut + concealed + beside + waiting)).toBe(framesIn);
  }
}

const opened: Line[] = [];

beforeAll(loadOpus);

afterEach(() => {
  for (const { uplink } of opened.splice(0)) uplink.close();
  expect(liveOpusCodecs() - elsewhere).toBe(0);
});

describe('the uplink of a phone', () => {
  it.each([
    ['PCMU', 1000],
    ['PCMA', 1000],
    ['G722', 1000],
    ['G722', 5500],
  ] as const)('carries %s: %i Hz arrive', async (codec, hz) => {
    const agreed = audio(codec);
    const line = await Line.open(agreed);
    line.speak(tone(hz, 600, { rateHz: agreed.sampleRateHz }), codec);
    expect(line.inner.length).toBe(30);
    expect(toneShare(await line.heard(), hz, { rateHz: 24_000, fromMs: 100 })).toBeGreaterThan(0.9);
  });

  it.each([10, 20, 30, 40, 50, 60])('takes packets of %i ms, whatever was agreed', async (ptimeMs) => {
    const line = await Line.open(audio('PCMU'));
    line.speak(tone(700, 1200), 'PCMU', ptimeMs);
    expect(line.inner.map(({ packet }) => packet.timestamp)).toEqual(Array.from({ length: 60 }, (_, n) => 960 * n));
    expect(toneShare(await line.heard(), 700, { rateHz: 24_000, fromMs: 60 })).toBeGreaterThan(0.9);
    line.expectBalance();
  });

  it.each([10, 20, 30, 50, 60])('keeps the time of packets of %i ms when every tenth is lost', async (ptimeMs) => {
    const line = await Line.open(audio('PCMU'));
    const random = seededRandom(ptimeMs);
    line.speak(speech(60_000), 'PCMU', ptimeMs, { isLost: () => random() < 0.1 });
    expect(Math.abs(line.innerMs - 60_000)).toBeLessThanOrEqual(20 + 2 * ptimeMs);
    expect(line.inner.filter(({ packet }) => packet.marker).length).toBe(1);
    line.expectBalance();
  });

  it('marks what follows comfort noise, however long it was, and sends nothing meanwhile', async () => {
    for (const silentS of [1, 30]) {
      const line = await Line.open(audio('PCMU', { comfortNoisePayloadType: 13 }));
      line.speak(tone(700, 200), 'PCMU');
      for (let s = 0; s < silentS; s++) line.send(Uint8Array.of(60, 1), { payloadType: 13, ticks: 8000 });
      expect(line.inner.length).toBe(10);
      line.speak(tone(700, 200), 'PCMU');
      expect(line.inner.length).toBe(20);
      expect(line.inner[10]?.packet.marker).toBe(true);
      expect(line.inner[10]?.at).toBe(line.now - 200);
      const gapMs = (line.inner[10]!.packet.timestamp - line.inner[9]!.packet.timestamp) / 48 - 20;
      expect(Math.abs(gapMs - silentS * 1000)).toBeLessThanOrEqual(20);
      expect(line.uplink.snapshot().account).toMatchObject({ beside: silentS, concealed: 0, framesOut: 20 });
      line.expectBalance();
    }
  });

  it('takes a pause whose marked packet was lost for a pause', async () => {
    const line = await Line.open(audio('PCMU'));
    line.speak(tone(700, 200), 'PCMU');
    line.timestamp += 8000;
    line.pass(1000);
    line.send(new Uint8Array(160), { marker: true, lost: true });
    line.speak(tone(700, 200), 'PCMU');
    expect(line.inner[10]?.packet.marker).toBe(true);
    line.send(new Uint8Array(160), { lost: true });
    line.speak(tone(700, 200), 'PCMU');
    expect(line.inner.filter(({ packet }) => packet.marker).length).toBe(2);
    expect(line.uplink.snapshot().account.concealed).toBe(2);
    line.expectBalance();
  });

  it('lets the phone change between codecs that both sides named, and drops the rest', async () => {
    const line = await Line.open(
      audio('PCMU', {
        alternatives: [
          { codec: 'PCMA', payloadType: 8 },
          { codec: 'G722', payloadType: 9 },
        ],
      }),
    );
    line.speak(tone(700, 300), 'PCMU');
    line.speak(tone(700, 300), 'PCMA');
    line.speak(tone(700, 300), 'PCMU');
    expect(toneShare(await line.heard(), 700, { rateHz: 24_000, fromMs: 40 })).toBeGreaterThan(0.9);
    line.speak(tone(700, 100), 'PCMU', 20, { payloadType: 18 });
    line.speak(tone(700, 100, { rateHz: 16_000 }), 'G722');
    expect(line.uplink.snapshot().account.discarded.unknown_payload).toBe(10);
    expect(line.inner.length).toBe(45);
    line.expectBalance();
  });

  it('goes on in another codec at another rate', async () => {
    const line = await Line.open(audio('PCMU'));
    line.speak(tone(700, 300), 'PCMU');
    const wide = audio('G722');
    line.uplink.renegotiate(wide, await encoderFor(wide));
    line.speak(tone(5000, 300, { rateHz: 16_000 }), 'G722');
    const narrow = audio('PCMA');
    line.uplink.renegotiate(narrow, await encoderFor(narrow));
    line.speak(tone(700, 300), 'PCMA');
    const heard = await line.heard();
    expect(toneShare(heard, 700, { rateHz: 24_000, fromMs: 40, toMs: 280 })).toBeGreaterThan(0.9);
    expect(toneShare(heard, 5000, { rateHz: 24_000, fromMs: 340, toMs: 580 })).toBeGreaterThan(0.9);
    expect(toneShare(heard, 700, { rateHz: 24_000, fromMs: 640, toMs: 880 })).toBeGreaterThan(0.9);
    expect(line.inner.map(({ packet }) => packet.timestamp)).toEqual(Array.from({ length: 45 }, (_, n) => 960 * n));
  });

  it('hears keys in the sound where there are no telephone events, and only there', async () => {
    for (const codec of ['PCMU', 'G722'] as const) {
      for (const telephoneEventPayloadType of [undefined, 101]) {
        const agreed = audio(codec, telephoneEventPayloadType === undefined ? {} : { telephoneEventPayloadType });
        const { sampleRateHz: rateHz } = agreed;
        const line = await Line.open(agreed);
        for (const key of '159#') line.speak(concat(dtmfTone(key, 80, { rateHz }), silence(80, rateHz)), codec);
        expect(line.digits.join('')).toBe(telephoneEventPayloadType === undefined ? '159#' : '');
      }
    }
  });

  it('tells a key once when packets within it are lost', async () => {
    const line = await Line.open(audio('PCMU'));
    let n = 0;
    line.speak(concat(dtmfTone('5', 240), silence(100)), 'PCMU', 20, { isLost: () => [4, 7].includes(n++) });
    expect(line.digits).toEqual(['5']);
  });

  it('counts what it cannot use', async () => {
    const line = await Line.open(audio('PCMU'));
    line.send(new Uint8Array(801));
    line.send(new Uint8Array(0), { ticks: 160 });
    line.speak(tone(700, 100), 'PCMU');
    expect(line.uplink.snapshot().account).toMatchObject({ beside: 1, framesOut: 5, discarded: { bad_length: 1 } });
    line.expectBalance();
  });

  it('follows another sender at once, in G.722 too', async () => {
    const line = await Line.open(audio('G722'));
    line.speak(tone(1000, 400, { rateHz: 16_000 }), 'G722');
    line.ssrc = 8;
    line.timestamp = 55;
    line.sequenceNumber = 9;
    line.speak(tone(2000, 400, { rateHz: 16_000 }), 'G722');
    expect(line.inner.length).toBe(40);
    expect(toneShare(await line.heard(), 2000, { rateHz: 24_000, fromMs: 440 })).toBeGreaterThan(0.9);
    line.expectBalance();
  });
});

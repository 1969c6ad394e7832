import { beforeAll, describe, expect, test } from 'vitest';
import { createOpusEncoder, liveOpusCodecs, loadOpus, type OpusEncoder } from '../../../src/audio/opus.ts';
import { PhoneMedia } from '../../../src/bridge/phone-media.ts';
import { parseRtcp, type SenderReport, writeRtcp } from '../../../src/rtp/rtcp.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import { writeTelephoneEvent } from '../../../src/rtp/telephone-event.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { tone } from '../../support/tones.ts';
import { FakeInner, FakePorts, IDENTITY, PHONE } from './call-bench.ts';

beforeAll(loadOpus);

const RTCP = { ...PHONE, port: PHONE.port + 1 };

const AUDIO: NegotiatedAudio = {
  codec: 'PCMU',
  payloadType: 0,
  sampleRateHz: 8000,
  alternatives: [],
  telephoneEventPayloadType: 101,
  remote: PHONE,
  remoteRtcp: RTCP,
  direction: 'sendrecv',
  ptimeMs: 20,
};

/** The media of one phone between a phone and an inner leg that are lists. */
class Bench {
  readonly clock = new FakeClock();
  readonly ports = new FakePorts();
  readonly inner = new FakeInner();
  readonly events: unknown[] = [];
  readonly phone = new RtpSender({ payloadType: 0 });
  readonly agent = new RtpSender({ payloadType: 111 });
  media!: PhoneMedia;
  #encoder!: OpusEncoder;

  static async open(audio: NegotiatedAudio = AUDIO): Promise<Bench> {
    const bench = new Bench();
    const note = (event: string) => bench.events.push([bench.clock.now(), event]);
    bench.#encoder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior', narrowband: true });
    bench.media = await PhoneMedia.create(
      {
        clock: bench.clock,
        ports: bench.ports,
        inner: bench.inner,
        onDigit: (digit, durationMs) => note(`key ${digit} ${durationMs}`),
        onTimeout: () => note('timeout'),
        onFirstAudio: () => note('first audio'),
        onRoundTrip: (ms) => note(`round trip ${Math.round(ms)}`),
        onReady: () => note('ready'),
        onFailed: (reason) => note(reason),
        identity: IDENTITY,
      },
      audio,
      { mediaTimeoutMs: 10_000, signallingAddress: PHONE.address },
    );
    return bench;
  }

  speaks(count = 1, from = PHONE): this {
    for (let n = 0; n < count; n++) {
      this.clock.advance(20);
      this.ports.rtp.onDatagram?.(this.phone.next(Buffer.alloc(160, 0x7f), 160), from);
    }
    return this;
  }

  agentSpeaks(count = 1, silent = false): this {
    for (let n = 0; n < count; n++) {
      this.clock.advance(20);
      const pcm = silent ? new Int16Array(480) : tone(1000, 20, { rateHz: 24_000 });
      this.inner.onRtp?.(this.agent.next(this.#encoder.encode(pcm), 960), this.clock.now());
    }
    return this;
  }

  close(): void {
    this.media.stop();
    this.#encoder.free();
  }
}

describe('the media of a phone', () => {
  test('sends nothing to the phone before the ACK, and tells when its first sound leaves', async () => {
    const bench = await Bench.open();
    bench.agentSpeaks(3);
    expect(bench.ports.rtp.sent).toEqual([]);
    bench.media.start();
    bench.agentSpeaks(20, true);
    const { length } = bench.ports.rtp.sent;
    expect(length).toBe(20);
    bench.agentSpeaks(3);
    expect(bench.ports.rtp.sent.map(({ to }) => to)).toEqual(Array(23).fill(PHONE));
    expect(bench.events.map((event) => (event as unknown[])[1])).toEqual(['first audio']);
    expect(bench.media.snapshot()).toMatchObject({ held: 3, downlink: { packets: 26 } });
    bench.close();
  });

  test('passes on what the phone says, from the first packet', async () => {
    const bench = (await Bench.open()).speaks(5);
    expect(bench.inner.sent).toHaveLength(5);
    expect(bench.media.snapshot()).toMatchObject({
      source: { source: 'signalled', accepted: 5 },
      rtcp: { received: { packets: 5, lost: 0 } },
    });
    bench.close();
  });

  test('hears no stranger, and counts him', async () => {
    const bench = (await Bench.open()).speaks(2).speaks(3, { address: '198.51.100.1', port: 9 });
    expect(bench.inner.sent).toHaveLength(2);
    expect(bench.media.snapshot().source).toMatchObject({ foreign: 3 });
    bench.close();
  });

  test('stops sending after 5 s to an address that says nothing', async () => {
    const bench = await Bench.open();
    bench.media.start();
    bench.agentSpeaks(400);
    const { length } = bench.ports.rtp.sent;
    expect(length).toBeGreaterThan(245);
    expect(length).toBeLessThan(255);
    bench.speaks(1).agentSpeaks(1);
    expect(bench.ports.rtp.sent).toHaveLength(length + 1);
    bench.close();
  });

  test('sends nothing while it is held, and nothing to an address of zeros', async () => {
    const bench = (await Bench.open()).speaks(1);
    bench.media.start();
    for (const direction of ['recvonly', 'inactive'] as const) {
      bench.media.renegotiate({ ...AUDIO, direction });
      bench.agentSpeaks(2);
    }
    bench.media.renegotiate({ ...AUDIO, direction: 'recvonly', remote: { address: '0.0.0.0', port: 4000 } });
    bench.agentSpeaks(2);
    expect(bench.ports.rtp.sent).toEqual([]);
    bench.media.renegotiate(AUDIO);
    bench.agentSpeaks(2);
    expect(bench.ports.rtp.sent).toHaveLength(2);
    bench.close();
  });

  test('times out when nothing has come for as long as is allowed, counted from the ACK', async () => {
    const bench = await Bench.open();
    bench.clock.advance(60_000);
    expect(bench.events).toEqual([]);
    bench.media.start();
    bench.clock.advance(9500);
    bench.speaks(1);
    bench.clock.advance(9500);
    expect(bench.events).toEqual([]);
    bench.clock.advance(1000);
    expect(bench.events).toEqual([[expect.any(Number), 'timeout']]);
    bench.clock.advance(60_000);
    expect(bench.events).toHaveLength(1);
    bench.close();
  });

  test('takes RTCP of the phone for a sign of life, and that of others for none', async () => {
    const bench = await Bench.open();
    bench.media.start();
    const report = Buffer.from([0x80, 201, 0, 1, 0, 0, 0, 1]);
    const silentMs = (from: typeof RTCP): number => {
      const at = bench.clock.now();
      for (let n = 0; n < 3; n++) {
        bench.clock.advance(6000);
        bench.ports.rtcp.onDatagram?.(report, from);
      }
      return bench.clock.now() - at;
    };
    expect(silentMs(RTCP)).toBe(18_000);
    expect(bench.events).toEqual([]);
    silentMs({ address: '198.51.100.1', port: 9 });
    expect(bench.events).toHaveLength(1);
    bench.close();
  });

  test('tells how far the phone is when its report says so, each time that has changed', async () => {
    const bench = await Bench.open();
    bench.media.start();
    while (bench.ports.rtcp.sent.length === 0 && bench.clock.now() < 2000) bench.agentSpeaks();
    const sentAt = bench.clock.now();
    bench.clock.advance(1000);
    const [{ datagram } = { datagram: Buffer.alloc(0) }] = bench.ports.rtcp.sent;
    const [report] = parseRtcp(datagram) as [SenderReport];
    const echo = (agoMs: number) =>
      writeRtcp([
        {
          type: 'receiver_report',
          ssrc: 5,
          reports: [
            {
              ...{ ssrc: report.ssrc, fractionLost: 0, cumulativeLost: 0, highestSequence: 1, jitter: 0 },
              lastSenderReport: ((report.ntpSeconds << 16) | (report.ntpFraction >>> 16)) >>> 0,
              delaySinceLastSenderReport: Math.round((agoMs * 65_536) / 1000),
            },
          ],
        },
      ]);
    const sinceMs = bench.clock.now() - sentAt;
    for (const rttMs of [80, 80, 30]) bench.ports.rtcp.onDatagram?.(echo(sinceMs - rttMs), RTCP);
    bench.ports.rtcp.onDatagram?.(echo(sinceMs - 900), { address: '198.51.100.1', port: 9 });
    expect(bench.events.filter((each) => String((each as unknown[])[1]).startsWith('round trip'))).toEqual([
      [bench.clock.now(), 'round trip 80'],
      [bench.clock.now(), 'round trip 30'],
    ]);
    bench.close();
  });

  test('hears a key whose end is lost without another packet', async () => {
    const bench = (await Bench.open()).speaks(1);
    const event = writeTelephoneEvent({ event: 9, end: false, volume: 10, duration: 160 });
    bench.ports.rtp.onDatagram?.(bench.phone.beside(event, { payloadType: 101, timestamp: 5, marker: true }), PHONE);
    bench.clock.advance(119);
    expect(bench.events).toEqual([]);
    bench.clock.advance(1);
    expect(bench.events).toEqual([[140, 'key 9 20']]);
    bench.close();
  });

  test('reports by RTCP while it lives, and says goodbye with its last words', async () => {
    const bench = (await Bench.open()).speaks(2);
    bench.media.start();
    for (let n = 0; n < 10; n++) bench.speaks(25).agentSpeaks(25);
    const { sent } = bench.ports.rtcp;
    expect(sent.length).toBeGreaterThan(0);
    expect(sent.map(({ to }) => to)).toEqual(Array(sent.length).fill(RTCP));
    bench.close();
    expect(parseRtcp(sent.at(-1)?.datagram ?? Buffer.alloc(0))?.map((each) => each.type)).toContain('goodbye');
  });

  test('counts what is no RTP', async () => {
    const bench = await Bench.open();
    bench.ports.rtp.onDatagram?.(Buffer.from('hello'), PHONE);
    bench.ports.rtcp.onDatagram?.(Buffer.from('hello'), RTCP);
    expect(bench.media.snapshot().malformed).toBe(2);
    bench.close();
  });

  test('frees its codecs and hears nothing after the end', async () => {
    const before = liveOpusCodecs();
    const bench = await Bench.open();
    bench.media.start();
    bench.close();
    bench.media.stop();
    bench.media.start();
    bench.speaks(2).clock.advance(60_000);
    expect(bench.events).toEqual([]);
    expect(bench.inner.sent).toEqual([]);
    expect(bench.clock.nextTimer()).toBeUndefined();
    expect(liveOpusCodecs()).toBe(before);
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { createOpusEncoder, liveOpusCodecs, loadOpus } from '../../../src/audio/opus.ts';
import { PhoneMedia } from '../../../src/bridge/phone-media.ts';
import { parseRtp, type RtpPacket } from '../../../src/rtp/packet.ts';
import { writeRtcp } from '../../../src/rtp/rtcp.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeInner, FakePorts, IDENTITY, PHONE, settled } from './call-bench.ts';

const PCMU: NegotiatedAudio = {
  codec: 'PCMU',
  payloadType: 0,
  sampleRateHz: 8000,
  alternatives: [],
  telephoneEventPayloadType: 101,
  remote: PHONE,
  remoteRtcp: { address: PHONE.address, port: PHONE.port + 1 },
  direction: 'sendrecv',
  ptimeMs: 20,
};
const OPUS: NegotiatedAudio = {
  ...PCMU,
  codec: 'opus',
  payloadType: 96,
  sampleRateHz: 48_000,
  telephoneEventPayloadType: 102,
  telephoneEventRateHz: 48_000,
  opus: { fec: true, cbr: false, dtx: false, stereo: false },
};

beforeAll(() => loadOpus());

describe('a phone that changes its codec in mid-call', () => {
  it('from G.711 to Opus and back is one call: one stream inside, one for each clock outside, all packets accounted for', async () => {
    const before = liveOpusCodecs();
    const clock = new FakeClock();
    const ports = new FakePorts();
    const inner = new FakeInner();
    const told = { onDigit: () => undefined, onTimeout: () => undefined, onFirstAudio: () => undefined };
    const more = { onRoundTrip: () => undefined, onReady: () => undefined, onFailed: () => undefined, identity: IDENTITY };
    const media = await PhoneMedia.create({ clock, ports, inner, ...told, ...more }, PCMU, {
      mediaTimeoutMs: 10_000,
      signallingAddress: PHONE.address,
    });
    media.start();
    const agent = new RtpSender({ payloadType: 111 });
    const coder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior' });
    const pcm = Int16Array.from({ length: 480 }, (_, n) => 8000 * Math.sin((2 * Math.PI * 440 * n) / 24_000));
    const voice = coder.encode(pcm);
    const talk = (phone: RtpSender, payload: Uint8Array, ticks: number): void => {
      for (let n = 0; n < 10; n++) {
        clock.advance(20);
        ports.rtp.onDatagram?.(phone.next(payload, ticks), PHONE);
        inner.onRtp?.(agent.next(coder.encode(pcm), 960), clock.now());
      }
    };
    talk(new RtpSender({ payloadType: 0 }), Buffer.alloc(160, 0x55), 160);
    media.renegotiate(OPUS);
    await settled();
    talk(new RtpSender({ payloadType: 96 }), voice, 960);
    const { ssrc } = parseRtp(ports.rtp.sent.at(-1)?.datagram as Buffer) as RtpPacket;
    const report = {
      ssrc,
      fractionLost: 64,
      cumulativeLost: 5,
      highestSequence: 1,
      jitter: 0,
      lastSenderReport: 0,
      delaySinceLastSenderReport: 0,
    };
    ports.rtcp.onDatagram?.(writeRtcp([{ type: 'receiver_report', ssrc: 9, reports: [report] }]), { address: PHONE.address, port: 4001 });
    expect(inner.losses).toEqual([25]);
    media.renegotiate(PCMU);
    await settled();
    talk(new RtpSender({ payloadType: 0 }), Buffer.alloc(160, 0x55), 160);
    const out = ports.rtp.sent.map(({ datagram }) => parseRtp(datagram) as RtpPacket);
    expect(out.map(({ payloadType }) => payloadType)).toEqual([...Array(10).fill(0), ...Array(10).fill(96), ...Array(10).fill(0)]);
    expect(new Set(out.map((packet) => packet.ssrc)).size).toBe(3);
    expect(new Set(inner.sent.map((packet) => (parseRtp(packet) as RtpPacket).ssrc))).toEqual(new Set([inner.ssrc]));
    const snapshot = media.snapshot();
    expect(snapshot).toMatchObject({ codec: 'PCMU', rtcp: { received: { packets: 30 }, sent: { packets: 30 } } });
    expect(snapshot.uplink.account).toMatchObject({ framesIn: 30, framesOut: 30, unaccounted: 0, lossPercent: 0 });
    media.stop();
    coder.free();
    expect(liveOpusCodecs()).toBe(before);
  });
});

import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../../src/base/errors.ts';
import { SRTP_PROFILES, type SrtpMaster, type SrtpProfile } from '../../../../src/webrtc/srtp/profile.ts';
import { deriveDirectionKeys } from '../../../../src/webrtc/srtp/session-keys.ts';
import { SrtpReceiver } from '../../../../src/webrtc/srtp/srtp-receiver.ts';
import { SrtpSender } from '../../../../src/webrtc/srtp/srtp-sender.ts';

const profiles = Object.keys(SRTP_PROFILES) as SrtpProfile[];

function masterOf(profile: SrtpProfile): SrtpMaster {
  return { profile, key: randomBytes(16), salt: randomBytes(SRTP_PROFILES[profile].saltBytes) };
}

function rtp(sequence: number, ssrc = 0x1234, payload = Buffer.alloc(160, sequence)): Buffer {
  const packet = Buffer.alloc(12);
  packet[0] = 0x80;
  packet.writeUInt16BE(sequence & 0xffff, 2);
  packet.writeUInt32BE((sequence * 960) >>> 0, 4);
  packet.writeUInt32BE(ssrc, 8);
  return Buffer.concat([packet, payload]);
}

function rtcp(ssrc = 0x1234): Buffer {
  const packet = Buffer.alloc(28, 9);
  packet[0] = 0x80;
  packet[1] = 200;
  packet.writeUInt16BE(6, 2);
  packet.writeUInt32BE(ssrc, 4);
  return packet;
}

describe.each(profiles)('%s', (profile) => {
  function pair() {
    const master = masterOf(profile);
    return { sender: new SrtpSender(master), receiver: new SrtpReceiver(master) };
  }

  it('carries RTP of every size, with CSRCs and header extensions', () => {
    const { sender, receiver } = pair();
    const plain = [0, 1, 15, 16, 17, 160, 320, 321, 1200].map((size, i) => rtp(i, 1, Buffer.alloc(size, i)));
    const odd = rtp(20, 1, Buffer.concat([Buffer.alloc(8, 1), Buffer.from([0xbe, 0xde, 0, 1, 0x10, 5, 0, 0]), Buffer.from('payload')]));
    odd[0] = 0x92;
    for (const packet of [...plain, odd]) {
      const sealed = sender.protectRtp(packet);
      expect(receiver.unprotectRtp(sealed)?.equals(packet)).toBe(true);
    }
    const sealed = sender.protectRtp(Buffer.from(odd.fill(21, 2, 4)));
    expect(sealed.subarray(0, 28).equals(odd.subarray(0, 28)), 'header stays readable').toBe(true);
    expect(sealed.includes('payload')).toBe(false);
  });

  it('carries RTCP', () => {
    const { sender, receiver } = pair();
    for (let i = 0; i < 3; i++) expect(receiver.unprotectRtcp(sender.protectRtcp(rtcp()))?.equals(rtcp())).toBe(true);
  });

  it.each([0, 1, 127, 32767, 32768, 65400, 65534, 65535])(
    'carries 200 packets from sequence number %i on, in and out of order',
    (first) => {
      const { sender, receiver } = pair();
      const plain = Array.from({ length: 200 }, (_, i) => rtp(first + i));
      const sealed = plain.map((packet) => sender.protectRtp(packet));
      // Every second packet changes places with its neighbour; the very first comes first.
      const order = plain.map((_, i) => (i === 0 ? 0 : i % 2 ? Math.min(i + 1, 199) : i - 1));
      for (const i of new Set(order)) expect(receiver.unprotectRtp(Buffer.from(sealed[i]!))?.equals(plain[i]!), `packet ${i}`).toBe(true);
    },
  );

  it('hears the first packet after a hole of up to 2^15 - 2 packets over the sequence wrap', () => {
    for (const lost of [100, 150, 196, 5000, 32766]) {
      const { sender, receiver } = pair();
      for (let i = 65300; i < 65420; i++) receiver.unprotectRtp(sender.protectRtp(rtp(i)));
      for (let i = 65420; i < 65420 + lost; i++) sender.protectRtp(rtp(i));
      const next = rtp(65420 + lost);
      expect(receiver.unprotectRtp(sender.protectRtp(next))?.equals(next), `${lost} lost`).toBe(true);
    }
  });

  it('keeps count over several wraps', () => {
    const { sender, receiver } = pair();
    for (let i = 0; i < 4 * 65536; i += 500) {
      const packet = rtp(i);
      expect(receiver.unprotectRtp(sender.protectRtp(packet))?.equals(packet)).toBe(true);
    }
  });

  it('delivers no packet twice, near or far back', () => {
    const { sender, receiver } = pair();
    const sealed = Array.from({ length: 300 }, (_, i) => sender.protectRtp(rtp(i)));
    const reports = Array.from({ length: 10 }, () => sender.protectRtcp(rtcp()));
    for (const packet of sealed) receiver.unprotectRtp(Buffer.from(packet));
    for (const packet of reports) receiver.unprotectRtcp(Buffer.from(packet));
    expect(sealed.filter((packet) => receiver.unprotectRtp(Buffer.from(packet)))).toEqual([]);
    expect(reports.filter((packet) => receiver.unprotectRtcp(Buffer.from(packet)))).toEqual([]);
    expect(receiver.snapshot()).toEqual({ packets: 310, streams: 1, dropped: { malformed: 0, replay: 310, auth: 0, retired: 0 } });
  });

  it('drops every packet with one bit changed, and is not moved by them', () => {
    const { sender, receiver } = pair();
    receiver.unprotectRtp(sender.protectRtp(rtp(10)));
    const plain = rtp(11, 0x1234, Buffer.alloc(20, 5));
    const sealed = sender.protectRtp(plain);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(receiver.unprotectRtp(changed), `bit ${bit}`).toBeUndefined();
    }
    const report = sender.protectRtcp(rtcp());
    for (let bit = 0; bit < report.length * 8; bit++) {
      const changed = Buffer.from(report);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(receiver.unprotectRtcp(changed), `RTCP bit ${bit}`).toBeUndefined();
    }
    expect(receiver.snapshot().streams).toBe(1);
    expect(receiver.unprotectRtp(sealed)?.equals(plain)).toBe(true);
    expect(receiver.unprotectRtcp(report)?.equals(rtcp())).toBe(true);
  });

  it('hears the call through 5000 packets of garbage', () => {
    const { sender, receiver } = pair();
    let heard = 0;
    for (let i = 0; i < 500; i++) {
      for (let k = 0; k < 10; k++) {
        const garbage = rtp(i + 1000 * k, 0x1234, randomBytes(100));
        expect(receiver.unprotectRtp(garbage)).toBeUndefined();
        expect(receiver.unprotectRtcp(Buffer.concat([rtcp(), randomBytes(20)]))).toBeUndefined();
      }
      if (receiver.unprotectRtp(sender.protectRtp(rtp(i)))) heard += 1;
    }
    expect(heard).toBe(500);
  });

  it('drops what is too short to be anything', () => {
    const { receiver } = pair();
    // A header, and the shortest tag there is.
    for (let length = 0; length < 16; length++) expect(receiver.unprotectRtp(Buffer.alloc(length, 0x80))).toBeUndefined();
    for (let length = 0; length < 22; length++) {
      expect(receiver.unprotectRtcp(Buffer.alloc(length, 0x80))).toBeUndefined();
    }
    const longExtension = Buffer.alloc(60, 0xff);
    longExtension[0] = 0x90;
    expect(receiver.unprotectRtp(longExtension)).toBeUndefined();
    expect(receiver.snapshot().dropped.malformed).toBe(39);
  });

  it('keeps 16 streams, and never takes back one that had to go', () => {
    const { sender, receiver } = pair();
    const first = sender.protectRtp(rtp(0, 0));
    expect(receiver.unprotectRtp(Buffer.from(first))).toBeDefined();
    for (let ssrc = 1; ssrc <= 16; ssrc++) expect(receiver.unprotectRtp(sender.protectRtp(rtp(0, ssrc)))).toBeDefined();
    expect(receiver.snapshot().streams).toBe(16);
    expect(receiver.unprotectRtp(Buffer.from(first)), 'a replay of the retired stream').toBeUndefined();
    expect(receiver.snapshot().dropped.retired).toBe(1);
    expect(receiver.unprotectRtp(sender.protectRtp(rtp(1, 16)))).toBeDefined();
  });

  it('refuses to send one SSRC too many, and what is not RTP', () => {
    const { sender } = pair();
    for (let ssrc = 0; ssrc < 64; ssrc++) sender.protectRtp(rtp(0, ssrc));
    expect(() => sender.protectRtp(rtp(0, 64))).toThrow(GatewayError);
    expect(() => sender.protectRtp(Buffer.alloc(11, 0x80))).toThrow(GatewayError);
    expect(() => sender.protectRtcp(Buffer.alloc(7, 0x80))).toThrow(GatewayError);
  });

  it('gives each direction its own keys', () => {
    const there = masterOf(profile);
    const back = masterOf(profile);
    const sealed = new SrtpSender(there).protectRtp(rtp(1));
    expect(new SrtpReceiver(back).unprotectRtp(Buffer.from(sealed))).toBeUndefined();
    expect(new SrtpReceiver(there).unprotectRtp(sealed)).toBeDefined();
  });
});

describe('RTCP that is authenticated but not encrypted', () => {
  it('is taken, as RFC 3711 §3.4 allows', () => {
    // Made by hand: the tag over the readable packet and an index without the encryption flag.
    const master = masterOf('AES128_CM_HMAC_SHA1_80');
    const sealed = clearRtcp(master, rtcp(), 7);
    expect(new SrtpReceiver(master).unprotectRtcp(sealed)?.equals(rtcp())).toBe(true);
  });
});

function clearRtcp(master: SrtpMaster, packet: Buffer, index: number): Buffer {
  const { rtcp: keys } = deriveDirectionKeys(master);
  const word = Buffer.alloc(4);
  word.writeUInt32BE(index);
  const tag = createHmac('sha1', keys.authentication).update(packet).update(word).digest().subarray(0, 10);
  return Buffer.concat([packet, word, tag]);
}

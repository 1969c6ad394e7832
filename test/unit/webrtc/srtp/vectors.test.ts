import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { GcmCipher } from '../../../../src/webrtc/srtp/gcm.ts';
import { HmacSha1 } from '../../../../src/webrtc/srtp/hmac-sha1.ts';
import { Keystream } from '../../../../src/webrtc/srtp/keystream.ts';
import { nearestIndex } from '../../../../src/webrtc/srtp/packet-index.ts';
import type { SrtpMaster } from '../../../../src/webrtc/srtp/profile.ts';
import { deriveDirectionKeys } from '../../../../src/webrtc/srtp/session-keys.ts';
import { SrtpReceiver } from '../../../../src/webrtc/srtp/srtp-receiver.ts';
import { SrtpSender } from '../../../../src/webrtc/srtp/srtp-sender.ts';

const hex = (text: string) => Buffer.from(text.replace(/\s+/g, ''), 'hex');

/** RFC 3711 B.3, also the master key of libsrtp's reference packets. */
const counterMaster: SrtpMaster = {
  profile: 'AES128_CM_HMAC_SHA1_80',
  key: hex('e1f97a0d3e018be0d64fa32c06de4139'),
  salt: hex('0ec675ad498afeebb6960b3aabe6'),
};
const gcmMaster: SrtpMaster = {
  profile: 'AEAD_AES_128_GCM',
  key: hex('000102030405060708090a0b0c0d0e0f'),
  salt: hex('a0a1a2a3a4a5a6a7a8a9aaab'),
};

const plainRtp = hex(`800f1234decafbadcafebabe${'ab'.repeat(16)}`);
const plainRtcp = hex(`81c8000bcafebabe${'ab'.repeat(16)}`);

describe('key derivation', () => {
  it('gives the keys of RFC 3711 B.3', () => {
    const { rtp } = deriveDirectionKeys(counterMaster);
    expect(rtp.encryption.toString('hex')).toBe('c61e7a93744f39ee10734afe3ff7a087');
    expect(rtp.salt.toString('hex')).toBe('30cbbc08863d8c85d49db34a9ae1');
    expect(rtp.authentication.toString('hex')).toBe('cebe321f6ff7716b6fd4ab49af256a156d38baa4');
  });
});

describe('counter mode', () => {
  it('gives the keystream of RFC 3711 B.2', () => {
    const keystream = new Keystream(hex('2b7e151628aed2a6abf7158809cf4f3c'), hex('f0f1f2f3f4f5f6f7f8f9fafbfcfd'));
    const at = keystream.one(0, 0, 0xff02 * 16);
    const block = (number: number) => keystream.bytes.subarray(at + number * 16, at + number * 16 + 16).toString('hex');
    expect([0, 1, 2].map(block)).toEqual([
      'e03ead0935c95e80e166b16dd92b4eb4',
      'd23513162b02d0f72a43a2fe4a5f97ab',
      '41e95b3bb0a2e8dd477901e4fca894c0',
    ]);
    expect([0xfeff, 0xff00, 0xff01].map(block)).toEqual([
      'ec8cdf7398607cb0f2d21675ea9ea1e4',
      '362b7c3c6773516318a077d7fc5073ae',
      '6a2cc3787889374fbeb4c81b17ba6c44',
    ]);
  });

  it('hashes like node:crypto at every length around the block edges', () => {
    const key = hex('cebe321f6ff7716b6fd4ab49af256a156d38baa4');
    const hmac = new HmacSha1(key);
    for (let length = 0; length <= 200; length++) {
      const bytes = Buffer.alloc(length, length);
      const tag = Buffer.alloc(10);
      hmac.writeTag(bytes, length, 0xfedcba98, tag, 0);
      const expected = createHmac('sha1', key).update(bytes).update(hex('fedcba98')).digest().subarray(0, 10);
      expect(tag.equals(expected), `length ${length}`).toBe(true);
      expect(hmac.hasTag(bytes, length, 0xfedcba98, expected, 0)).toBe(true);
    }
  });

  it("protects libsrtp's reference packets as libsrtp does", () => {
    const sender = new SrtpSender(counterMaster);
    expect(sender.protectRtp(plainRtp).toString('hex')).toBe(
      '800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb',
    );
    expect(sender.protectRtcp(plainRtcp).toString('hex')).toBe(
      '81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798',
    );
  });
});

describe('GCM', () => {
  const session = {
    encryption: hex('000102030405060708090a0b0c0d0e0f'),
    authentication: Buffer.alloc(0),
    salt: hex('517569642070726f2071756f'),
  };
  const cipher = new GcmCipher({ rtp: session, rtcp: session });
  const rtp = hex('8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573');
  const sealedRtp =
    '8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce';
  const rtcp = hex('81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef');
  const sealedRtcp =
    '81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4';

  it('seals and opens the RTP packet of RFC 7714 §16.1', () => {
    expect(cipher.sealRtp(rtp, 12, 0x5501a0b2, 0xf17b).toString('hex')).toBe(sealedRtp);
    expect(cipher.openRtp(hex(sealedRtp), 12, 0x5501a0b2, 0xf17b)?.equals(rtp)).toBe(true);
  });

  it('seals and opens the RTCP packet of RFC 7714 §17.1', () => {
    expect(cipher.sealRtcp(rtcp, 0x4d617273, 0x5d4).toString('hex')).toBe(sealedRtcp);
    expect(cipher.openRtcp(hex(sealedRtcp), 0x4d617273)?.equals(rtcp)).toBe(true);
  });

  it("protects libsrtp's reference packet as libsrtp does", () => {
    expect(new SrtpSender(gcmMaster).protectRtp(plainRtp).toString('hex')).toBe(
      '800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392',
    );
    const sealed = hex('800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392');
    expect(new SrtpReceiver(gcmMaster).unprotectRtp(sealed)?.equals(plainRtp)).toBe(true);
  });
});

describe('the index of a packet (RFC 3711 §3.3.1)', () => {
  it.each([
    [-1, 65535, 65535],
    [0, 1, 1],
    [5, 3, 3],
    [0, 65535, -1],
    [65535, 0, 65536],
    [65420, 80, 65616],
    [65616, 65535, 65535],
    [0x20000 + 100, 65000, 0x10000 + 65000],
    [40000, 40000 - 32768, 40000 - 32768],
    [40000, 40000 - 32769, 40000 + 32767],
    [100, 100 + 32768, 100 + 32768],
  ])('after %i, sequence number %i is %i', (highest, sequence, index) => {
    expect(nearestIndex(highest, sequence)).toBe(index);
  });
});

import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { derInteger, derObjectIdentifier, derSequence, derTime } from '../../../../src/base/der.ts';
import { fingerprintOf, matchFingerprint } from '../../../../src/webrtc/dtls/fingerprint.ts';
import { parseClientHello, parseServerHello, writeClientHello, writeServerHello } from '../../../../src/webrtc/dtls/hello.ts';
import { createIdentity, selfSign } from '../../../../src/webrtc/dtls/identity.ts';
import { prf } from '../../../../src/webrtc/dtls/key-schedule.ts';
import { createKeyShare, GROUPS, Group } from '../../../../src/webrtc/dtls/key-share.ts';
import { parseCertificate, parseServerKeyExchange } from '../../../../src/webrtc/dtls/messages.ts';
import { peerKey } from '../../../../src/webrtc/dtls/peer-certificate.ts';
import { parseRecords } from '../../../../src/webrtc/dtls/record.ts';
import { chooseServerParameters } from '../../../../src/webrtc/dtls/server-parameters.ts';
import { chooseScheme, SIGNATURE_SCHEMES, signWith, verifyWith } from '../../../../src/webrtc/dtls/signature.ts';
import { clientHello, plainRecord } from '../../../support/dtls-forgery.ts';
import { serverIdentity } from '../../../support/dtls-pair.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

describe('the PRF of TLS 1.2', () => {
  it('gives the published test vector for SHA-256', () => {
    const out = prf(hex('9bbe436ba940f017b17652849a71db35'), 'test label', hex('a0ba9f936cda311827a6f796ffd5198c'), 100);
    expect(out.toString('hex')).toBe(
      'e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66',
    );
  });
});

describe('a key share', () => {
  it.each(GROUPS)('of group %i agrees with another one, once', (group) => {
    const [one, other] = [createKeyShare(group), createKeyShare(group)];
    const secret = one.agree(other.publicKey);
    expect(secret?.length).toBe(32);
    expect(other.agree(one.publicKey)?.equals(secret!)).toBe(true);
    expect(one.agree(other.publicKey)).toBeUndefined();
  });

  it('refuses points that are none', () => {
    const off = Buffer.concat([Buffer.of(4), Buffer.alloc(64, 7)]);
    const compressed = Buffer.concat([Buffer.of(2), createKeyShare(Group.p256).publicKey.subarray(1, 33)]);
    for (const point of [off, compressed, Buffer.alloc(65), Buffer.alloc(0)])
      expect(createKeyShare(Group.p256).agree(point)).toBeUndefined();
    for (const point of [Buffer.alloc(32), Buffer.concat([Buffer.of(1), Buffer.alloc(31)]), Buffer.alloc(31, 9), Buffer.alloc(33, 9)]) {
      expect(createKeyShare(Group.x25519).agree(point)).toBeUndefined();
    }
  });
});

describe('our certificate', () => {
  it('is one that node:crypto reads, valid from yesterday, with a serial number of its own', () => {
    const wallclock = Date.UTC(2026, 10, 20);
    const [one, other] = [createIdentity(wallclock), createIdentity(wallclock)];
    const certificate = new X509Certificate(one.certificate);
    expect(certificate.subject).toBe('CN=ringdown');
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(one.privateKey)).toBe(true);
    expect(Date.parse(certificate.validFrom)).toBe(wallclock - 86_400_000);
    expect(Date.parse(certificate.validTo)).toBeGreaterThan(wallclock + 4 * 365 * 86_400_000);
    expect(certificate.serialNumber).not.toBe(new X509Certificate(other.certificate).serialNumber);
    expect(one.fingerprint).toEqual({ algorithm: 'sha-256', value: certificate.fingerprint256 });
    expect(matchFingerprint(one.certificate, [fingerprintOf(other.certificate), one.fingerprint])).toBe(one.fingerprint);
  });

  it('is DER by the book', () => {
    expect(derInteger(hex('0000ff')).toString('hex')).toBe('020200ff');
    expect(derInteger(hex('00')).toString('hex')).toBe('020100');
    expect(derInteger(hex('7f')).toString('hex')).toBe('02017f');
    expect(derObjectIdentifier('1.2.840.113549.1.1.11').toString('hex')).toBe('06092a864886f70d01010b');
    expect(derSequence(Buffer.alloc(200)).subarray(0, 3).toString('hex')).toBe('3081c8');
    expect(derSequence(Buffer.alloc(300)).subarray(0, 4).toString('hex')).toBe('3082012c');
    expect(
      derTime(Date.UTC(2049, 11, 31, 23, 59, 59))
        .toString('latin1')
        .slice(2),
    ).toBe('491231235959Z');
    expect(
      derTime(Date.UTC(2050, 0, 1))
        .toString('latin1')
        .slice(2),
    ).toBe('20500101000000Z');
  });
});

describe("a peer's certificate", () => {
  it.each([
    ['EC P-256', () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }), true],
    ['EC P-384', () => generateKeyPairSync('ec', { namedCurve: 'secp384r1' }), true],
    ['EC of another curve', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }), false],
    ['RSA of 2048 bits', () => generateKeyPairSync('rsa', { modulusLength: 2048 }), true],
    ['RSA of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }), false],
  ] as const)('with a key of %s', (_, generate, isTaken) => {
    const { publicKey, privateKey } = generate();
    const { certificate } = selfSign(publicKey.export({ type: 'spki', format: 'der' }), privateKey, 0);
    expect(peerKey(certificate) !== undefined).toBe(isTaken);
    expect(peerKey(certificate) !== undefined, 'the second time').toBe(isTaken);
  });

  it('that is none is undefined, however it is broken', () => {
    const { certificate } = serverIdentity;
    expect(peerKey(Buffer.alloc(0))).toBeUndefined();
    expect(peerKey(certificate.subarray(0, 100))).toBeUndefined();
    for (let at = 0; at < certificate.length; at += 3) {
      const changed = Buffer.from(certificate);
      changed[at]! ^= 0x41;
      expect(() => peerKey(changed)).not.toThrow();
    }
    expect(parseCertificate(hex('000003000000'))).toBeUndefined();
    expect(parseCertificate(hex('000000'))).toBeUndefined();
  });
});

describe('a signature', () => {
  it('of every scheme is verified by the right key alone', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const data = Buffer.from('signed');
    for (const scheme of SIGNATURE_SCHEMES) {
      const works = [ec, rsa].map(({ publicKey, privateKey }) => {
        if (chooseScheme(privateKey, [scheme]) === undefined) return verifyWith(scheme, publicKey, data, Buffer.alloc(70));
        const signature = signWith(scheme, privateKey, data);
        expect(verifyWith(scheme, publicKey, Buffer.from('other'), signature)).toBe(false);
        expect(verifyWith(scheme, publicKey, data, Buffer.alloc(3))).toBe(false);
        return verifyWith(scheme, publicKey, data, signature);
      });
      expect(works.filter(Boolean).length, `scheme ${scheme.toString(16)}`).toBe(1);
    }
    expect(verifyWith(0x0203, createPublicKey(ec.privateKey), data, Buffer.alloc(70))).toBe(false);
  });
});

describe('hellos', () => {
  it('are read as they were written', () => {
    const hello = clientHello({ cookie: Buffer.from('cookie'), sessionId: Buffer.from('session') });
    expect(parseClientHello(writeClientHello(hello))).toEqual(hello);
    const answer = {
      version: 0xfefd,
      random: hello.random,
      sessionId: Buffer.alloc(0),
      cipherSuite: 0xc02b,
      compression: 0,
      extensions: hello.extensions,
    };
    expect(parseServerHello(writeServerHello(answer))).toEqual(answer);
  });

  it('are refused when cut anywhere, or when an extension comes twice', () => {
    const whole = writeClientHello(clientHello());
    const withoutExtensions = whole.length - (2 + whole.readUInt16BE(whole.length - extensionBytes(whole)));
    for (let length = 0; length < whole.length; length++) {
      // A hello may end before its extensions (RFC 5246 §7.4.1.2).
      expect(parseClientHello(whole.subarray(0, length)) !== undefined, `${length} bytes`).toBe(length === withoutExtensions);
    }
    const extension = hex('00170000');
    const twice = Buffer.concat([whole.subarray(0, withoutExtensions), hex('0008'), extension, extension]);
    expect(parseClientHello(twice)).toBeUndefined();
  });

  const settings = {
    identity: serverIdentity,
    remoteFingerprints: [],
    versions: ['1.2'] as const,
    groups: GROUPS,
    srtpProfiles: ['AES128_CM_HMAC_SHA1_80', 'AEAD_AES_128_GCM'] as const,
    randomBytes: (length: number) => Buffer.alloc(length),
  };
  const change = (type: number, data: Buffer | undefined) => {
    const extensions = new Map(clientHello().extensions);
    if (data) extensions.set(type, data);
    else extensions.delete(type);
    return chooseServerParameters(clientHello({ extensions }), settings);
  };

  it('of a client must have all that we insist on', () => {
    expect(chooseServerParameters(clientHello(), settings)).toMatchObject({
      cipherSuite: 0xc02b,
      group: Group.p256,
      scheme: 0x0403,
      profile: 'AES128_CM_HMAC_SHA1_80',
    });
    for (const type of [10, 13, 14, 23]) expect(change(type, undefined), `without extension ${type}`).toBeUndefined();
    expect(change(10, hex('0002001d'))).toMatchObject({ group: Group.x25519 });
    expect(change(10, hex('000411ec0018')), 'no group of ours').toBeUndefined();
    expect(change(10, hex('0003001d')), 'malformed').toBeUndefined();
    expect(change(13, hex('00020804')), 'RSA only').toBeUndefined();
    expect(change(14, hex('0004000700ff00')), 'GCM only').toMatchObject({ profile: 'AEAD_AES_128_GCM' });
    expect(change(14, hex('0004000200050 0'.replace(' ', ''))), 'no profile of ours').toBeUndefined();
    expect(change(0xff01, hex('0100')), 'a renegotiation').toBeUndefined();
    expect(chooseServerParameters(clientHello({ cipherSuites: [0xc02f, 0x1301] }), settings), 'RSA suites').toBeUndefined();
  });

  it('that also offer DTLS 1.3 are answered with 1.2, those that offer nothing older are not', () => {
    expect(change(43, hex('04fefcfefd'))).toBeDefined();
    expect(change(43, hex('02fefc'))).toBeUndefined();
    expect(chooseServerParameters(clientHello({ version: 0xfeff }), settings)).toBeUndefined();
  });
});

function extensionBytes(hello: Buffer): number {
  for (let bytes = 2; bytes < hello.length; bytes++) {
    if (hello.readUInt16BE(hello.length - bytes) === bytes - 2 && bytes > 10) return bytes;
  }
  throw new Error('no extensions');
}

describe('records', () => {
  it('of one datagram are read up to the first that is broken', () => {
    const good = plainRecord(22, Buffer.from('abc'), 5);
    expect(parseRecords(Buffer.concat([good, good]))).toMatchObject({ isWhole: true, records: [{ sequence: 5 }, { contentType: 22 }] });
    for (const tail of [good.subarray(0, 12), good.subarray(0, 15), hex('16030100000000000000000000')]) {
      const { records, isWhole } = parseRecords(Buffer.concat([good, tail]));
      expect([records.length, isWhole]).toEqual([1, false]);
    }
    const many = parseRecords(Buffer.concat(Array.from({ length: 40 }, () => good)));
    expect([many.records.length, many.isWhole]).toEqual([32, false]);
  });

  it('carry 48-bit sequence numbers', () => {
    expect(parseRecords(plainRecord(23, Buffer.alloc(1), 2 ** 48 - 1, 65535)).records[0]).toMatchObject({
      sequence: 2 ** 48 - 1,
      epoch: 65535,
    });
  });
});

describe('a ServerKeyExchange', () => {
  it('is refused when it is not of a named curve, or cut', () => {
    const whole = Buffer.concat([hex('03001720'), Buffer.alloc(32), hex('04030004'), Buffer.alloc(4)]);
    expect(parseServerKeyExchange(whole)).toMatchObject({ group: 23, scheme: 0x0403 });
    expect(parseServerKeyExchange(Buffer.concat([hex('01'), whole.subarray(1)]))).toBeUndefined();
    for (let length = 0; length < whole.length; length++) expect(parseServerKeyExchange(whole.subarray(0, length))).toBeUndefined();
  });
});

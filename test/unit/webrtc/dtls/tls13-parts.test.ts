import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseAck, writeAck } from '../../../../src/webrtc/dtls/ack.ts';
import { Flight } from '../../../../src/webrtc/dtls/flight.ts';
import { createIdentity } from '../../../../src/webrtc/dtls/identity.ts';
import { parseRecords } from '../../../../src/webrtc/dtls/record.ts';
import { RecordLayer } from '../../../../src/webrtc/dtls/record-layer.ts';
import { chooseTls13Scheme, isTls13Scheme } from '../../../../src/webrtc/dtls/signature.ts';
import { expandLabel, nextSecret, protectionFrom } from '../../../../src/webrtc/dtls/tls13-key-schedule.ts';
import { RETRY_RANDOM, signedContent } from '../../../../src/webrtc/dtls/tls13-messages.ts';

const hex = (text: string) => Buffer.from(text, 'hex');

describe('the key derivation', () => {
  // RFC 8448 §3, whose labels have the prefix of TLS. RFC 9147 changes nothing but that.
  const handshakeTraffic = hex('b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38');
  const tls = (secret: Buffer, label: string, context: Buffer, length: number) =>
    expandLabel(secret, label, context, length, 'tls13 ').toString('hex');

  it('gives the published values of RFC 8448', () => {
    expect(tls(handshakeTraffic, 'key', Buffer.alloc(0), 16)).toBe('3fce516009c21727d0f2e4e86ee403bc');
    expect(tls(handshakeTraffic, 'iv', Buffer.alloc(0), 12)).toBe('5d313eb2671276ee13000b30');
    const early = hex('33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a');
    expect(tls(early, 'derived', createHash('sha256').digest(), 32)).toBe(
      '6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba',
    );
  });

  it('gives DTLS others, and others again after an update', () => {
    const key = expandLabel(handshakeTraffic, 'key', Buffer.alloc(0), 16);
    expect(key.toString('hex')).not.toBe('3fce516009c21727d0f2e4e86ee403bc');
    const next = nextSecret(handshakeTraffic);
    expect([next.length, next.equals(handshakeTraffic)]).toEqual([32, false]);
    expect(expandLabel(handshakeTraffic, 'exporter', Buffer.alloc(32), 60).length).toBe(60);
  });

  it('signs what RFC 8446 §4.4.3 says', () => {
    const content = signedContent('server', Buffer.alloc(32, 1));
    expect(content.toString('hex')).toBe(
      '2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202' +
        '0544c5320312e332c207365727665722043657274696669636174655665726966790001010101010101010101010101010101010101010101010101010101010101' +
        '01',
    );
    expect(RETRY_RANDOM).toEqual(createHash('sha256').update('HelloRetryRequest').digest());
  });
});

describe('a protected record of 1.3', () => {
  const secret = Buffer.alloc(32, 5);

  it('hides its type, its number and its content, and opens again', () => {
    const [ours, theirs] = [protectionFrom(secret), protectionFrom(secret)];
    for (const sequence of [0, 1, 255, 256, 65_535, 65_536, 2 ** 32 + 5, 2 ** 48 - 1]) {
      const bytes = ours.seal(22, 3, sequence, Buffer.from('hello'));
      expect(bytes[0]).toBe(0x2f);
      expect(bytes.length).toBe(5 + 5 + ours.overhead - 5);
      const [record] = parseRecords(bytes).records;
      expect(theirs.sequenceOf(record!, sequence)).toBe(sequence);
      expect(theirs.open(record!, sequence)).toEqual({ contentType: 22, plain: Buffer.from('hello') });
      expect(theirs.open(record!, sequence + 1)).toBeUndefined();
    }
  });

  it.each([0, 1, 127, 128, 255, 256, 32_767, 32_768, 65_534, 65_535, 65_536, 100_000, 2 ** 32, 2 ** 47])(
    'is numbered by the nearest to what is expected: %i',
    (sequence) => {
      const [ours, theirs] = [protectionFrom(secret), protectionFrom(secret)];
      const [record] = parseRecords(ours.seal(23, 3, sequence, Buffer.alloc(20))).records;
      for (const off of [-30_000, -100, -1, 0, 1, 100, 30_000]) {
        const next = sequence + off;
        if (next >= 0) expect(theirs.sequenceOf(record!, next), `expected ${next}`).toBe(sequence);
      }
    },
  );

  it('may have a short number, no length, and padding, as others write it', () => {
    const keys = { key: expandLabel(secret, 'key', Buffer.alloc(0), 16), iv: expandLabel(secret, 'iv', Buffer.alloc(0), 12) };
    expect(keys.key.length + keys.iv.length).toBe(28);
    const layer = new RecordLayer();
    layer.readWith(3, protectionFrom(secret));
    layer.writeWith(3, protectionFrom(secret));
    const bytes = layer.write(3, 23, Buffer.from('padded'))!;
    const [record] = parseRecords(bytes).records;
    expect(layer.open(record!)).toMatchObject({ contentType: 23, epoch: 3, sequence: 0 });
    expect(layer.open(record!)).toBe('replay');
  });

  it('with a connection id, or cut, is no record', () => {
    expect(parseRecords(Buffer.concat([Buffer.of(0x3c), Buffer.alloc(40)]))).toEqual({ records: [], isWhole: false });
    expect(parseRecords(Buffer.of(0x2c, 0))).toEqual({ records: [], isWhole: false });
    expect(parseRecords(Buffer.of(0x2c, 0, 0, 0, 9, 1))).toEqual({ records: [], isWhole: false });
    const [short] = parseRecords(Buffer.of(0x20, 5, 1, 2, 3)).records;
    expect([short?.sequence, short?.fragment.length]).toEqual([5, 3]);
    expect(protectionFrom(secret).sequenceOf(short!, 0)).toBeUndefined();
  });
});

describe('the record layer', () => {
  it('tries every key that claims an epoch, and keeps counting with keys that come back', () => {
    const layer = new RecordLayer();
    const [one, other] = [protectionFrom(Buffer.alloc(32, 1)), protectionFrom(Buffer.alloc(32, 2))];
    layer.readWith(2, one);
    layer.readWith(2, other);
    const [record] = parseRecords(protectionFrom(Buffer.alloc(32, 1)).seal(22, 2, 0, Buffer.of(1))).records;
    const opened = layer.open(record!);
    expect(typeof opened === 'string' ? opened : opened.protection).toBe(one);
    layer.writeWith(2, one);
    layer.write(2, 22, Buffer.of(1));
    layer.writeWith(2, other);
    expect(layer.nextSequence(2)).toBe(0);
    layer.writeWith(2, one);
    expect(layer.nextSequence(2)).toBe(1);
    layer.forget(one);
    expect(layer.open(record!)).toBe('auth');
  });

  it('finds the epoch by its two bits', () => {
    const layer = new RecordLayer();
    const secrets = [2, 3, 4, 5, 6].map((epoch) => [epoch, Buffer.alloc(32, epoch)] as const);
    for (const [epoch, secret] of secrets) layer.readWith(epoch, protectionFrom(secret));
    for (const [epoch, secret] of secrets) {
      const [record] = parseRecords(protectionFrom(secret).seal(23, epoch, 9, Buffer.of(1))).records;
      expect(layer.open(record!)).toMatchObject({ epoch, sequence: 9 });
    }
  });
});

describe('an acknowledgement', () => {
  it('is read back as it was written', () => {
    const numbers = [
      { epoch: 0, sequence: 3 },
      { epoch: 2, sequence: 0 },
      { epoch: 3, sequence: 2 ** 47 },
    ];
    expect(parseAck(writeAck(numbers))).toEqual(numbers);
    expect(parseAck(writeAck([]))).toEqual([]);
    for (const bytes of ['', '00', '0001ff', '0010', `0011${'00'.repeat(17)}`]) expect(parseAck(hex(bytes))).toBeUndefined();
  });

  it('leaves of a flight what is missing, piece by piece', () => {
    const layer = new RecordLayer();
    const flight = new Flight([
      { type: 'handshake', epoch: 0, message: { type: 8, sequence: 1, body: Buffer.alloc(0) } },
      { type: 'handshake', epoch: 0, message: { type: 11, sequence: 2, body: Buffer.alloc(700, 1) } },
    ]);
    const sent = flight.pack(layer, 300);
    const numbers = sent.flatMap((bytes) => parseRecords(bytes).records.map(({ epoch, sequence }) => ({ epoch, sequence })));
    expect([sent.length, numbers.length]).toEqual([3, 4]);
    expect(flight.acknowledge([numbers[0]!, numbers[2]!])).toBe(true);
    expect(flight.acknowledge([numbers[0]!, { epoch: 9, sequence: 9 }])).toBe(false);
    const again = flight.pack(layer, 300);
    expect(again.length).toBe(2);
    expect(flight.isAcknowledged).toBe(false);
    // Of either sending.
    const [, , , last] = numbers;
    flight.acknowledge([last!, ...again.flatMap((bytes) => parseRecords(bytes).records)]);
    expect(flight.isAcknowledged).toBe(true);
    expect(flight.pack(layer, 300)).toEqual([]);
  });
});

describe('signature schemes', () => {
  it('of 1.3 bind the hash to the curve', () => {
    const { privateKey } = createIdentity(0);
    expect([0x0403, 0x0503, 0x0603, 0x0804, 0x0401, 0x9999].map((scheme) => isTls13Scheme(scheme, privateKey))).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
    expect(chooseTls13Scheme(privateKey, [0x0603, 0x0503, 0x0403])).toBe(0x0403);
    expect(chooseTls13Scheme(privateKey, [0x0401])).toBeUndefined();
  });
});

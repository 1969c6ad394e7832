import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAck } from '../../src/webrtc/dtls/ack.ts';
import { parseClientHello, writeClientHello } from '../../src/webrtc/dtls/hello.ts';
import { parseRecords } from '../../src/webrtc/dtls/record.ts';
import { parseEncryptedExtensions, parseTls13Certificate, parseTls13CertificateRequest } from '../../src/webrtc/dtls/tls13-messages.ts';
import { parseSctpInit } from '../../src/webrtc/sctp/sctp-init.ts';
import { clientHello } from '../support/dtls-forgery.ts';
import { DtlsPair, type DtlsPairOptions, pair13, type Side } from '../support/dtls-pair.ts';
import { seededRandom } from '../support/random.ts';

/** Changes, cuts, lengthens, doubles or joins: what a datagram may look like after a hostile hand. */
function mutate(datagram: Buffer, others: readonly Buffer[], random: () => number): Buffer {
  const at = (length: number) => Math.floor(random() * length);
  const bytes = Buffer.from(datagram);
  switch (at(7)) {
    case 0:
      for (let i = 0; i <= at(8); i++) bytes[at(bytes.length)]! ^= 1 << at(8);
      return bytes;
    case 1:
      return bytes.subarray(0, at(bytes.length));
    case 2:
      return Buffer.concat([bytes, Buffer.from(Array.from({ length: at(100) }, () => at(256)))]);
    case 3:
      return Buffer.concat([bytes, others[at(others.length)] ?? bytes]);
    case 4:
      bytes[at(Math.min(26, bytes.length))] = at(256);
      return bytes;
    case 5: {
      const from = at(bytes.length);
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(at(bytes.length))]);
    }
    default:
      return Buffer.from(Array.from({ length: at(300) }, (_, i) => (i === 0 ? 20 + at(8) : at(256))));
  }
}

const versions: readonly [string, (options?: DtlsPairOptions) => DtlsPair][] = [
  ['1.2', (options) => new DtlsPair(options)],
  ['1.3', pair13],
];

describe.each(versions)('mutated handshakes of %s', (version, makePair) => {
  it('of others never throw, in 1500 runs, and do not keep the genuine handshake from completing', () => {
    const recorded = makePair().run(1000);
    const old = { client: recorded.sent.client, server: recorded.sent.server };
    const all = [...old.client, ...old.server];
    for (let seed = 1; seed <= 1500; seed++) {
      const random = seededRandom(seed);
      const pair = makePair({ seed });
      const inject = (side: Side) => {
        // What the peer would send, mostly.
        const source = random() < 0.8 ? old[side === 'client' ? 'server' : 'client'] : all;
        pair.inject(side, mutate(source[Math.floor(random() * source.length)]!, all, random));
      };
      for (let i = 0; i < 4; i++) inject(random() < 0.5 ? 'client' : 'server');
      pair.start();
      for (let ms = 0; ms < 60; ms += 5) {
        inject(random() < 0.5 ? 'client' : 'server');
        pair.clock.advance(5);
      }
      pair.clock.advance(8000);
      expect([pair.client.state, pair.server.state], `seed ${seed}`).toEqual(['connected', 'connected']);
      expect(pair.server.snapshot().version).toBe(version);
    }
  });

  it('of its own, sent ahead of every datagram by somebody who sees them all, rarely spoil it', () => {
    let connected = 0;
    for (let seed = 1; seed <= 500; seed++) {
      const random = seededRandom(seed);
      const seen: Buffer[] = [];
      const pair: DtlsPair = makePair({
        seed,
        tap: (from, datagram) => {
          seen.push(Buffer.from(datagram));
          const peer: Side = from === 'client' ? 'server' : 'client';
          for (let i = 0; i < 3; i++) {
            const mutant = mutate(datagram, seen, random);
            const target = random() < 0.7 ? peer : from;
            pair.clock.setTimer(random() * 15, () => pair.inject(target, mutant));
          }
          return datagram;
        },
      });
      pair.run(20_500);
      // A transcript can be spoiled so; then the handshake fails in time, and never with a wrong peer.
      const states = [pair.client.state, pair.server.state];
      expect(
        states.filter((state) => state === 'connecting' || state === 'new'),
        `seed ${seed}`,
      ).toEqual([]);
      if (pair.areConnected) connected += 1;
    }
    expect(connected, 'of 500; 99 of 100 do').toBeGreaterThan(470);
  });
});

describe('parsers', () => {
  it('take any bytes without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (array) => {
        const bytes = Buffer.from(array);
        parseRecords(bytes);
        parseClientHello(bytes);
        parseAck(bytes);
        parseEncryptedExtensions(bytes);
        parseTls13Certificate(bytes);
        parseTls13CertificateRequest(bytes);
        parseSctpInit(bytes.toString('base64'));
      }),
    );
  });

  it('read back the ClientHello that was written', () => {
    const buffers = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
    const extensions = fc.uniqueArray(fc.tuple(fc.nat(65535), buffers(40)), { maxLength: 10, selector: ([type]) => type });
    fc.assert(
      fc.property(
        buffers(32),
        buffers(255),
        fc.array(fc.nat(65535), { maxLength: 20 }),
        extensions,
        (sessionId, cookie, cipherSuites, pairs) => {
          const hello = clientHello({ sessionId, cookie, cipherSuites, extensions: new Map(pairs) });
          expect(parseClientHello(writeClientHello(hello))).toEqual(hello);
        },
      ),
    );
  });
});

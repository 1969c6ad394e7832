import { describe, expect, it } from 'vitest';
import { parseFragments } from '../../../../src/webrtc/dtls/handshake-message.ts';
import { writeServerHello } from '../../../../src/webrtc/dtls/hello.ts';
import { createIdentity } from '../../../../src/webrtc/dtls/identity.ts';
import {
  writeCertificate,
  writeCertificateRequest,
  writeHelloVerifyRequest,
  writeKeyParameters,
  writeSigned,
} from '../../../../src/webrtc/dtls/messages.ts';
import { parseRecords } from '../../../../src/webrtc/dtls/record.ts';
import { clientHelloRecord, forgedAlerts, handshakeRecord, plainRecord } from '../../../support/dtls-forgery.ts';
import { clientIdentity, DtlsPair, type Side, serverIdentity, splitRecords } from '../../../support/dtls-pair.ts';

const sides: Side[] = ['client', 'server'];

/** Injects `forgery` at `side` at the start, after every further 5 ms of a handshake of 40 ms, and in the call. */
function runUnderFire(side: Side, forgery: (ms: number) => Buffer[]): DtlsPair {
  const pair = new DtlsPair();
  for (const datagram of forgery(0)) pair.inject(side, datagram);
  pair.start();
  for (let ms = 5; ms <= 60; ms += 5) {
    for (const datagram of forgery(ms)) pair.inject(side, datagram);
    pair.clock.advance(5);
  }
  pair.clock.advance(3000);
  for (const datagram of forgery(100)) pair.inject(side, datagram);
  return pair;
}

function expectCallToWork(pair: DtlsPair): void {
  expect([pair.client.state, pair.server.state]).toEqual(['connected', 'connected']);
  for (const side of sides) {
    const peer = side === 'client' ? 'server' : 'client';
    pair.change(side, (connection) => connection.send(Buffer.from(`from ${side}`)));
    pair.clock.advance(50);
    expect(pair.events[peer].map(({ type }) => type)).toEqual(['connected', 'data']);
  }
}

describe.each(sides)('at the %s, before, during and after the handshake', (side) => {
  it.each(Object.entries(forgedAlerts))('%s changes nothing', (_, datagram) => {
    expectCallToWork(runUnderFire(side, () => [datagram]));
  });

  it('garbage changes nothing', () => {
    let next = 1;
    expectCallToWork(
      runUnderFire(side, () =>
        Array.from({ length: 20 }, () => {
          next = (next * 48271) % 0x7fffffff;
          return Buffer.from(Array.from({ length: next % 90 }, (__, i) => (i === 0 ? 20 + (next % 6) : (next >> (i % 24)) & 0xff)));
        }),
      ),
    );
  });

  it('a flood of protected records without keys changes nothing', () => {
    const flood = Array.from({ length: 100 }, (_, i) => plainRecord(22, Buffer.alloc(40, i), i, 1));
    const pair = runUnderFire(side, () => flood);
    expectCallToWork(pair);
    expect(pair[side].snapshot().dropped.early).toBeGreaterThan(0);
  });
});

describe('a made-up ClientHello', () => {
  it.each([
    ['with the NULL cipher', { cipherSuites: [0x0000, 0xc006] }],
    ['of an old version', { version: 0xfeff }],
    ['with compression only', { compressions: Buffer.of(1) }],
    ['without extensions', { extensions: new Map() }],
  ])('%s changes nothing at any time', (_, parts) => {
    const pair = runUnderFire('server', (ms) => [clientHelloRecord({ ...parts, random: Buffer.alloc(32, ms) })]);
    expectCallToWork(pair);
    expect(pair.server.snapshot().dropped.handshake).toBeGreaterThan(5);
    expect(pair.server.snapshot().dropped.plaintext).toBeGreaterThan(0);
  });

  it('with all that we want is answered, but the one who can read the answer wins', () => {
    const pair = runUnderFire('server', (ms) => [clientHelloRecord({ random: Buffer.alloc(32, ms) })]);
    expectCallToWork(pair);
    const requests = pair.sent.server.filter((datagram) => parseRecords(datagram).records.some(({ fragment }) => fragment[0] === 3));
    expect(requests.length).toBeGreaterThan(0);
  });

  it('with a made-up cookie is worth no more', () => {
    expectCallToWork(
      runUnderFire('server', (ms) => [clientHelloRecord({ random: Buffer.alloc(32, ms), cookie: Buffer.alloc(16, ms) }, 1)]),
    );
  });

  it('is not answered again and again: one flight for the first, a short request for the others', () => {
    const pair = new DtlsPair({ loss: 1 });
    pair.change('server', (server, now) => server.start(now));
    for (let i = 0; i < 100; i++) pair.inject('server', clientHelloRecord({ random: Buffer.alloc(32, i) }));
    expect(pair.sent.server.length).toBe(100);
    const [first, ...others] = pair.sent.server;
    expect(first!.length).toBeGreaterThan(500);
    for (const other of others) expect(other.length).toBeLessThan(clientHelloRecord().length);
  });

  it('repeated is answered by a repetition, at most every 25 ms', () => {
    const pair = new DtlsPair({ loss: 1 });
    pair.change('server', (server, now) => server.start(now));
    for (let ms = 0; ms < 100; ms++) {
      pair.inject('server', clientHelloRecord());
      pair.clock.advance(1);
    }
    expect(pair.sent.server.length).toBe(4);
  });
});

/** A server flight by somebody who knows our server's certificate but neither its key nor the client's random. */
function forgedServerFlight(seed: number, certificate = serverIdentity.certificate): Buffer[] {
  const extensions = new Map([
    [23, Buffer.alloc(0)],
    [14, Buffer.of(0, 2, 0, 1, 0)],
  ]);
  const random = Buffer.alloc(32, seed);
  const hello = { version: 0xfefd, random, sessionId: Buffer.alloc(0), cipherSuite: 0xc02b, compression: 0, extensions };
  const parameters = writeKeyParameters(0x17, Buffer.concat([Buffer.of(4), Buffer.alloc(64, seed)]));
  const otherRequest = Buffer.concat([Buffer.of(1, 64), writeCertificateRequest().subarray(3)]);
  return [
    handshakeRecord({ type: 2, sequence: 0, body: writeServerHello(hello) }),
    handshakeRecord({ type: 11, sequence: 1, body: writeCertificate(certificate) }),
    handshakeRecord({ type: 12, sequence: 2, body: writeSigned(parameters, 0x0403, Buffer.alloc(70, seed)) }),
    handshakeRecord({ type: 13, sequence: 3, body: seed % 2 ? otherRequest : Buffer.alloc(3, seed) }),
    handshakeRecord({ type: 14, sequence: 4, body: Buffer.alloc(0) }),
  ];
}

describe('a made-up server flight', () => {
  it.each([0, 1, 2, 3, 4])('by its message %i alone does not spoil the handshake', (which) => {
    expectCallToWork(runUnderFire('client', (ms) => [forgedServerFlight(ms + 1)[which]!]));
  });

  it('as a whole does not either, nor with a certificate of its own', () => {
    expectCallToWork(runUnderFire('client', (ms) => forgedServerFlight(ms + 1)));
    expectCallToWork(runUnderFire('client', (ms) => forgedServerFlight(ms + 1, createIdentity(0).certificate)));
  });

  it('sprayed 500 times a second does not either', () => {
    const pair = new DtlsPair();
    pair.start();
    for (let i = 0; i < 100; i++) {
      for (const datagram of forgedServerFlight(i)) pair.inject('client', datagram);
      pair.clock.advance(2);
    }
    expectCallToWork(pair);
  });

  it('does not spoil a handshake with lost and overtaking datagrams', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const pair = new DtlsPair({ seed, loss: 0.2, jitterMs: 40 });
      pair.start();
      for (let i = 0; i < 100; i++) {
        for (const datagram of forgedServerFlight(i).slice(0, 3)) pair.inject('client', datagram);
        pair.clock.advance(20);
      }
      pair.clock.advance(8000);
      expect([pair.client.state, pair.server.state], `seed ${seed}`).toEqual(['connected', 'connected']);
    }
  });

  it('in pieces that fit into the true one costs a retransmission at most', () => {
    // The first half of each message is made up; the rest is missing, so that the true one would complete it.
    const pair = new DtlsPair({ server: { mtu: 256 }, client: { mtu: 256 } });
    const [, certificate] = forgedServerFlight(9);
    const whole = parseFragments(parseRecords(certificate!).records[0]!.fragment)![0]!;
    const piece = Buffer.concat([
      Buffer.of(11, 0, whole.length >> 8, whole.length & 0xff, 0, 1, 0, 0, 0, 0, 0, 60),
      Buffer.alloc(60, 0x55),
    ]);
    pair.inject('client', plainRecord(22, piece));
    pair.start();
    pair.clock.advance(3000);
    expectCallToWork(pair);
  });

  it('with a request for a cookie costs at most that cookie', () => {
    expectCallToWork(
      runUnderFire('client', (ms) => [handshakeRecord({ type: 3, sequence: 0, body: writeHelloVerifyRequest(Buffer.alloc(20, ms + 1)) })]),
    );
  });
});

describe('made-up messages of the client', () => {
  const forged = (seed: number): Buffer[] => [
    handshakeRecord({ type: 11, sequence: 1, body: writeCertificate(seed % 2 ? clientIdentity.certificate : serverIdentity.certificate) }),
    handshakeRecord({ type: 16, sequence: 2, body: Buffer.concat([Buffer.of(65, 4), Buffer.alloc(64, seed)]) }),
    handshakeRecord({ type: 15, sequence: 3, body: Buffer.concat([Buffer.of(4, 3, 0, 70), Buffer.alloc(70, seed)]) }),
    handshakeRecord({ type: 20, sequence: 4, body: Buffer.alloc(12, seed) }),
  ];

  it.each([0, 1, 2, 3])('alone (%i) do not spoil the handshake', (which) => {
    expectCallToWork(runUnderFire('server', (ms) => [forged(ms)[which]!]));
  });

  it('together do not either', () => {
    expectCallToWork(runUnderFire('server', (ms) => forged(ms)));
  });
});

describe('a changed bit', () => {
  it('in any one record of the first sending is made good by the second', () => {
    // The hello, five of the server, three of the client, two changes of cipher, both Finished.
    for (let victim = 0; victim < 12; victim++) {
      let record = 0;
      const pair = new DtlsPair({
        tap: (_, datagram) =>
          Buffer.concat(
            splitRecords(datagram).map((part) => {
              if (record++ !== victim) return part;
              const changed = Buffer.from(part);
              changed[changed.length - 5]! ^= 0x10;
              return changed;
            }),
          ),
      }).run(5000);
      expect([pair.client.state, pair.server.state], `record ${victim}`).toEqual(['connected', 'connected']);
    }
  });

  it.each([
    ['ServerKeyExchange', 'server', 12, 'client'],
    ['CertificateVerify', 'client', 15, 'server'],
  ] as const)('in the signature of every %s keeps the handshake from ending', (_, liar, type, victim) => {
    const pair = new DtlsPair({
      splitsRecords: true,
      tap: (from, datagram) => {
        if (from !== liar || datagram[0] !== 22 || datagram[13] !== type) return datagram;
        const changed = Buffer.from(datagram);
        changed[changed.length - 1]! ^= 1;
        return changed;
      },
    }).run();
    expect(pair.events[victim]).toMatchObject([{ type: 'failed', reason: 'signature' }]);
  });
});

describe('the whole handshake, heard and sent again', () => {
  it('does nothing to a call', () => {
    const pair = new DtlsPair().run(1000);
    const sent = { client: pair.sent.client.length, server: pair.sent.server.length };
    for (const datagram of [...pair.sent.client, ...pair.sent.server].flatMap((each) => [each, ...splitRecords(each)])) {
      for (const side of sides) pair.inject(side, datagram);
    }
    expect({ client: pair.sent.client.length, server: pair.sent.server.length }).toEqual(sent);
    expectCallToWork(pair);
  });

  it('does nothing to another call either', () => {
    const old = new DtlsPair().run(1000);
    const pair = new DtlsPair();
    pair.start();
    for (let i = 0; i < 20; i++) {
      for (const datagram of old.sent.server) pair.inject('client', datagram);
      for (const datagram of old.sent.client) pair.inject('server', datagram);
      pair.clock.advance(10);
    }
    pair.clock.advance(3000);
    expectCallToWork(pair);
  });
});

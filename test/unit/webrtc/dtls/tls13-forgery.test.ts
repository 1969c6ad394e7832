import { describe, expect, it } from 'vitest';
import { Driver } from '../../../../src/base/driver.ts';
import { DtlsConnection, type DtlsOutput } from '../../../../src/webrtc/dtls/dtls-connection.ts';
import { parseClientHello, writeClientHello, writeServerHello } from '../../../../src/webrtc/dtls/hello.ts';
import { createIdentity } from '../../../../src/webrtc/dtls/identity.ts';
import { createKeyShare, Group } from '../../../../src/webrtc/dtls/key-share.ts';
import { parseRecords } from '../../../../src/webrtc/dtls/record.ts';
import { RETRY_RANDOM, writeCookie, writeKeyShare } from '../../../../src/webrtc/dtls/tls13-messages.ts';
import { clientHelloRecord, forgedAlerts, handshakeRecord, plainRecord } from '../../../support/dtls-forgery.ts';
import { clientIdentity, type DtlsPair, type DtlsPairOptions, pair13, type Side } from '../../../support/dtls-pair.ts';
import { seededRandom } from '../../../support/random.ts';

const sides = ['client', 'server'] as const;

/** Injects `forgery` at `side` at the start, after every further 5 ms of a handshake of 30 ms, and in the call. */
function runUnderFire(side: Side, forgery: (ms: number) => Buffer[], options: DtlsPairOptions = {}): DtlsPair {
  const pair = pair13(options);
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
  expect([pair.client.snapshot().version, pair.server.snapshot().version]).toEqual(['1.3', '1.3']);
  for (const side of sides) {
    const peer = side === 'client' ? 'server' : 'client';
    pair.change(side, (connection) => connection.send(Buffer.from(`from ${side}`)));
    pair.clock.advance(50);
    expect(pair.events[peer].map(({ type }) => type)).toEqual(['connected', 'data']);
  }
}

/** A record with the unified header, of whatever flags, that is protected by nothing. */
function unified(flags: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0x20 | (flags & 0x1f)), bytes]);
}

const hex = (text: string) => Buffer.from(text, 'hex');
const extension13 = [43, hex('fefc')] as const;

function serverHello(extensions: readonly (readonly [number, Buffer])[], random = Buffer.alloc(32, 7), sequence = 0): Buffer {
  const body = writeServerHello({
    version: 0xfefd,
    random,
    sessionId: Buffer.alloc(0),
    cipherSuite: 0x1301,
    compression: 0,
    extensions: new Map([extension13, ...extensions]),
  });
  return handshakeRecord({ type: 2, sequence, body });
}

/** A HelloRetryRequest of somebody who has seen nothing. */
function retry(extensions: readonly (readonly [number, Buffer])[], sequence = 0): Buffer {
  return serverHello(extensions, RETRY_RANDOM, sequence);
}

describe.each(sides)('at the %s, before, during and after a handshake of 1.3', (side) => {
  it.each(Object.entries(forgedAlerts))('%s changes nothing', (_, datagram) => {
    expectCallToWork(runUnderFire(side, () => [datagram]));
  });

  it('records with a unified header and every flag, cut at every length, change nothing', () => {
    const random = seededRandom(4);
    let flags = 0;
    const pair = runUnderFire(side, () =>
      Array.from({ length: 40 }, () => unified(flags++, Buffer.from(Array.from({ length: flags % 45 }, () => random() * 256)))),
    );
    expectCallToWork(pair);
  });

  it('acknowledgements that nobody protects change nothing', () => {
    const numbers = Buffer.concat([Buffer.of(0, 64), Buffer.alloc(16), hex('00000000000000020000000000000000'), Buffer.alloc(32, 1)]);
    const forged = [numbers, Buffer.of(0, 0), Buffer.alloc(1), Buffer.alloc(0), Buffer.of(0, 16, 1, 2, 3)];
    // At full loss an acknowledgement that were believed would end the repetitions.
    const pair = runUnderFire(side, () => forged.map((ack) => plainRecord(26, ack)), { loss: 0.3, seed: 8 });
    expectCallToWork(pair);
  });

  it('key updates that nobody protects change nothing', () => {
    const updates = [0, 1, 2, 5].map((sequence) => handshakeRecord({ type: 24, sequence, body: Buffer.of(1) }));
    expectCallToWork(runUnderFire(side, () => updates));
  });

  it('the handshake that it has just had, once more and in any order, changes nothing', () => {
    const pair = pair13().run(1000);
    const peer = side === 'client' ? 'server' : 'client';
    const sent = pair.sent[side].length;
    for (let n = 0; n < 3; n++) for (const datagram of pair.sent[peer].toReversed()) pair.inject(side, datagram);
    expect(pair.sent[side].length).toBe(sent);
    expectCallToWork(pair);
  });
});

describe('a made-up ServerHello', () => {
  it.each([
    ['of another group', () => serverHello([[51, writeKeyShare(createKeyShare(Group.p256))]])],
    ['without a share', () => serverHello([])],
    ['with half a share', () => serverHello([[51, hex('001d0020ff')]])],
    ['with a point of small order', () => serverHello([[51, Buffer.concat([hex('001d0020'), Buffer.alloc(32)])]])],
    ['of nobody', (ms: number) => serverHello([[51, writeKeyShare(createKeyShare(Group.x25519))]], Buffer.alloc(32, ms))],
    [
      'of a second hello that was never sent',
      () => serverHello([[51, writeKeyShare(createKeyShare(Group.x25519))]], Buffer.alloc(32, 3), 1),
    ],
  ])('%s does not spoil the handshake', (_, make) => {
    expectCallToWork(runUnderFire('client', (ms) => [make(ms)]));
  });

  it('sprayed 1000 times a second does not either', () => {
    const pair = pair13();
    pair.start();
    for (let i = 0; i < 60; i++) {
      pair.inject('client', serverHello([[51, writeKeyShare(createKeyShare(Group.x25519))]], Buffer.alloc(32, i)));
      pair.clock.advance(1);
    }
    expectCallToWork(pair);
  });

  it('of somebody who reads every hello and answers faster than the server does not: the true one stands beside it', () => {
    const stranger = createIdentity(1_700_000_000_000);
    for (const versions of [['1.3'], ['1.3', '1.2']] as const) {
      const pair: DtlsPair = pair13({
        tap: (from, datagram) => {
          if (from === 'client') impostor?.run((now) => connection.handleDatagram(Buffer.from(datagram), now));
          return datagram;
        },
      });
      const connection = new DtlsConnection({
        role: 'server',
        identity: stranger,
        remoteFingerprints: [clientIdentity.fingerprint],
        versions,
      });
      const impostor: Driver<DtlsOutput> | undefined = new Driver(pair.clock, connection, (output) => {
        if (output.type === 'datagram') pair.clock.setTimer(1, () => pair.inject('client', output.bytes));
      });
      pair.run(3000);
      expectCallToWork(pair);
      expect(connection.state).not.toBe('connected');
    }
  });
});

describe('a made-up HelloRetryRequest', () => {
  it.each([
    ['for P-256', retry([[51, hex('0017')]])],
    ['for what was sent', retry([[51, hex('001d')]])],
    ['for nothing', retry([])],
    ['for a group of nobody', retry([[51, hex('9999')]])],
    ['with a cookie', retry([[44, writeCookie(Buffer.alloc(32, 1))]])],
    ['with an empty cookie', retry([[44, hex('0000')]])],
    ['as a second message', retry([[51, hex('0017')]], 1)],
  ])('%s costs no round trip and no handshake', (_, forged) => {
    const pair = runUnderFire('client', () => [forged]);
    expectCallToWork(pair);
    expect(pair.sent.client.filter((datagram) => datagram[0] === 22 && datagram[13] === 1).length, 'one hello').toBe(1);
  });

  it('is obeyed once at most, however often it comes', () => {
    const pair = pair13({ loss: 1 });
    pair.start();
    for (let ms = 0; ms < 5000; ms += 50) {
      pair.inject('client', retry([[51, hex('0017')]]));
      pair.inject('client', retry([[44, writeCookie(Buffer.alloc(32, ms))]], 1));
      pair.clock.advance(50);
    }
    const hellos = pair.sent.client.map((datagram) => parseRecords(datagram).records[0]!.fragment.readUInt16BE(4));
    expect(new Set(hellos)).toEqual(new Set([0, 1]));
  });
});

describe('a made-up ClientHello', () => {
  const suited = { cipherSuites: [0x1301, 0xc02b] };
  const versions = (...list: string[]) => [43, Buffer.concat([Buffer.of(2 * list.length), ...list.map(hex)])] as const;
  const share = [51, hex(`0024001d0020${'77'.repeat(32)}`)] as const;
  const hello = (extensions: readonly (readonly [number, Buffer])[], random: number) => {
    const parsed = parseClientHello(parseRecords(clientHelloRecord(suited)).records[0]!.fragment.subarray(12))!;
    const body = writeClientHello({
      ...parsed,
      random: Buffer.alloc(32, random),
      extensions: new Map([...parsed.extensions, ...extensions]),
    });
    return handshakeRecord({ type: 1, sequence: 0, body });
  };

  it.each([
    ['of versions that nobody speaks', [versions('0304', 'feff')]],
    ['with no versions in the list', [versions()]],
    ['without shares or groups', [versions('fefc'), [10, hex('00020018')] as const]],
    ['with a list of shares that does not parse', [versions('fefc'), [51, hex('00ff001d')] as const]],
  ])('%s changes nothing', (_, extensions) => {
    expectCallToWork(runUnderFire('server', (ms) => [hello(extensions, ms)]));
  });

  it('of 1.3 is answered, but the one who can read the answer wins', () => {
    expectCallToWork(runUnderFire('server', (ms) => [hello([versions('fefc'), share], ms)]));
  });

  it('of 1.2 does not take 1.3 away from a client that comes later', () => {
    expectCallToWork(runUnderFire('server', (ms) => [clientHelloRecord({ random: Buffer.alloc(32, ms) })]));
  });

  it('is not answered again and again: one flight for the first, a short request for the others', () => {
    const pair = pair13({ loss: 1 });
    pair.change('server', (server, now) => server.start(now));
    for (let i = 0; i < 100; i++) pair.inject('server', hello([versions('fefc'), share], i));
    const [first, ...others] = pair.sent.server;
    expect([first!.length > 500, others.length]).toEqual([true, 99]);
    for (const other of others) expect(other.length).toBeLessThan(200);
  });

  it('with a cookie that is not ours is worth nothing', () => {
    const forged = (ms: number) =>
      [0, 1].map((sequence) => {
        const record = hello([versions('fefc'), share, [44, writeCookie(Buffer.alloc(66, ms))]], ms);
        record.writeUInt16BE(sequence, 17);
        return record;
      });
    expectCallToWork(runUnderFire('server', forged));
  });
});

describe('a client of 1.3', () => {
  it('is not talked down to 1.2 by somebody who rewrites its hello', () => {
    for (const also of [[], [0x1301]]) {
      const pair = pair13({
        tap: (from, datagram) => {
          if (from === 'server' || datagram[0] !== 22 || datagram[13] !== 1) return datagram;
          const parsed = parseClientHello(parseRecords(datagram).records[0]!.fragment.subarray(12))!;
          const extensions = new Map([...parsed.extensions].filter(([type]) => type !== 43 && type !== 51));
          const cipherSuites = [...also, ...parsed.cipherSuites.filter((suite) => suite !== 0x1301)];
          return handshakeRecord({ type: 1, sequence: 0, body: writeClientHello({ ...parsed, cipherSuites, extensions }) });
        },
      }).run();
      expect(pair.events.client).toEqual([{ type: 'failed', reason: 'parameters' }]);
      expect(pair.server.state).not.toBe('connected');
    }
  });
});

describe('what a peer may ask for', () => {
  it.each(sides)('new keys before every record of the %s, without an end: it is served, and costs in proportion', (side) => {
    const pair = pair13({ [side]: { maxRecordsPerKey: 0 } }).run(500);
    const peer = side === 'client' ? 'server' : 'client';
    const before = pair.sent[peer].length;
    for (let n = 0; n < 3000; n++) {
      pair.change(side, (connection) => connection.send(Buffer.from('x')));
      pair.clock.advance(1);
    }
    pair.clock.advance(500);
    expect(pair.events[peer].filter(({ type }) => type === 'data').length).toBe(3000);
    expect(pair.sent[peer].length - before).toBeLessThan(3000);
    expect([pair.client.state, pair.server.state]).toEqual(['connected', 'connected']);
    expect(pair.server.snapshot().dropped.auth + pair.client.snapshot().dropped.auth).toBe(0);
  });

  it('nothing: 4000 changed, cut and joined records of a call with key updates end neither side of it', () => {
    const random = seededRandom(11);
    const at = (length: number) => Math.floor(random() * length);
    const pair = pair13({ client: { maxRecordsPerKey: 25 }, server: { maxRecordsPerKey: 40 } }).run(500);
    for (let n = 0; n < 4000; n++) {
      const side = n % 2 ? 'client' : 'server';
      if (n % 20 === 0) for (const each of sides) pair.change(each, (connection) => connection.send(Buffer.from(`${n}`)));
      const source = pair.sent[side === 'client' ? 'server' : 'client'];
      const bytes = Buffer.from(source[at(source.length)]!);
      for (let i = 0; i <= at(3); i++) bytes[at(bytes.length)]! ^= 1 << at(8);
      pair.inject(side, n % 3 ? bytes : n % 5 ? bytes.subarray(0, at(bytes.length)) : Buffer.concat([bytes, source[at(source.length)]!]));
      pair.clock.advance(1);
    }
    pair.clock.advance(2000);
    expect([pair.client.state, pair.server.state]).toEqual(['connected', 'connected']);
    for (const side of sides) expect(pair.events[side].filter(({ type }) => type === 'data').length).toBe(200);
    expect([pair.client.nextTimeout(), pair.server.nextTimeout()]).toEqual([undefined, undefined]);
  });

  it('records of epochs to come are dropped, before and after the handshake', () => {
    const pair = pair13().run(500);
    for (const bits of [0, 1]) pair.inject('server', unified(0x0c | bits, Buffer.concat([hex('00010020'), Buffer.alloc(32, 1)])));
    expect(pair.server.snapshot().dropped.unknown).toBe(2);
    expectCallToWork(pair);
  });
});

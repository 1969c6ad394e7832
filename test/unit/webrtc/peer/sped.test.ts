import { afterEach, describe, expect, it } from 'vitest';
import type { DtlsVersion } from '../../../../src/webrtc/dtls/handshake.ts';
import { createIdentity } from '../../../../src/webrtc/dtls/identity.ts';
import { DtlsCarrier } from '../../../../src/webrtc/ice/dtls-carrier.ts';
import { Peer } from '../../../../src/webrtc/peer.ts';
import { parseStun } from '../../../../src/webrtc/stun/parse-stun.ts';
import { StunAttribute } from '../../../../src/webrtc/stun/stun-message.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { MemoryNetwork, type MemoryNetworkOptions } from '../../../support/memory-network.ts';
import { ATTACKER, CLIENT, clientIce, type ObservedPeer, observe, SERVER, serverIce } from '../../../support/peer-pair.ts';
import { SpedClient, type SpedClientOptions } from '../../../support/sped-client.ts';

const [ours, theirs] = [createIdentity(1_700_000_000_000), createIdentity(1_700_000_000_000)];
const open: ObservedPeer[] = [];

afterEach(() => {
  for (const { peer } of open.splice(0)) peer.close();
});

interface Options extends MemoryNetworkOptions, Partial<SpedClientOptions> {
  readonly role?: 'client' | 'server';
  readonly versions?: readonly DtlsVersion[];
  readonly takes?: boolean;
}

/** Our lite peer and a client that offered DTLS in STUN. */
function arrange({ role = 'server', versions = ['1.3', '1.2'], takes = true, delayMs = 50, ...options }: Options = {}) {
  const clock = new FakeClock();
  const network = new MemoryNetwork(clock, { delayMs, ...options });
  const server = observe(
    (handlers) =>
      new Peer(
        { clock, identity: ours },
        {
          ice: { type: 'lite', local: serverIce, remoteUfrag: clientIce.ufrag },
          dtlsRole: role,
          remoteFingerprints: [theirs.fingerprint],
          ...(takes && { takesDtlsInStun: true }),
          handlers,
        },
      ),
  );
  open.push(server);
  network.listen(SERVER, (datagram, path) => server.peer.handleDatagram(datagram, path, clock.now()));
  const client = new SpedClient(clock, network, {
    dtls: { role: role === 'server' ? 'client' : 'server', identity: theirs, remoteFingerprints: [ours.fingerprint], versions },
    ...(options.speaks === undefined ? {} : { speaks: options.speaks }),
    ...(options.onlyInStun === undefined ? {} : { onlyInStun: options.onlyInStun }),
  });
  server.peer.start();
  return { clock, network, server, client };
}

/** Milliseconds until both sides are connected. */
function run(made: ReturnType<typeof arrange>): { server: number; client: number } {
  const { clock, server, client } = made;
  const at = { server: Number.NaN, client: Number.NaN };
  client.start();
  while (clock.now() < 8000 && (Number.isNaN(at.server) || Number.isNaN(at.client))) {
    clock.advance(1);
    if (server.connected && Number.isNaN(at.server)) at.server = clock.now();
    if (client.dtls.state === 'connected' && Number.isNaN(at.client)) at.client = clock.now();
  }
  return at;
}

describe('DTLS in STUN', () => {
  it('connects with the first two checks: 1.3, we are the server', () => {
    const made = arrange();
    expect(run(made)).toEqual({ client: 100, server: 150 });
    expect(made.server.peer.snapshot()).toMatchObject({ dtls: { version: '1.3', retransmissions: 0 } });
    expect(made.server.peer.snapshot().dtlsInStun).toBeGreaterThan(1);
  });

  it('is faster than to ignore it', () => {
    const ignored = run(arrange({ takes: false }));
    const taken = run(arrange());
    expect(taken.client).toBeLessThan(ignored.client);
    expect(taken.server).toBeLessThan(ignored.server);
  });

  it.each([
    ['server', ['1.3', '1.2'], '1.3'],
    ['client', ['1.3', '1.2'], '1.3'],
    ['server', ['1.2'], '1.2'],
    ['client', ['1.2'], '1.2'],
  ] as const)('works as %s with %j, and with nothing but checks in both directions', (role, versions, version) => {
    for (const onlyInStun of [false, true]) {
      const made = arrange({ role, versions, onlyInStun });
      const at = run(made);
      // What a server of 1.2 says last is not carried, so that is not seen where nothing else comes through.
      const isSeen = !(onlyInStun && role === 'server' && version === '1.2');
      expect([at.server < 1000, isSeen ? at.client < 1000 : true], `only in STUN: ${onlyInStun}`).toEqual([true, true]);
      expect(made.server.peer.snapshot().dtls?.version).toBe(version);
    }
  });

  it.each(['server', 'client'] as const)('works as %s over a network that loses a third', (role) => {
    for (let seed = 1; seed <= 25; seed++) {
      const made = arrange({ role, seed, loss: 0.33, delayMs: 30 });
      const at = run(made);
      expect([at.server < 8000, at.client < 8000], `seed ${seed}`).toEqual([true, true]);
      expect(made.server.closed).toEqual([]);
    }
  });

  it('keeps every datagram within 1200 bytes', () => {
    for (const role of ['server', 'client'] as const) {
      const made = arrange({ role, versions: ['1.2'] });
      run(made);
      for (const { datagram } of made.network.sent) expect(datagram.length).toBeLessThanOrEqual(1200);
    }
  });

  it('ends when both are done: the answers to plain checks are plain', () => {
    const made = arrange();
    run(made);
    made.clock.advance(500);
    made.network.send(CLIENT, SERVER, made.client.check([]));
    made.clock.advance(200);
    const before = made.client.responses.length;
    made.network.send(CLIENT, SERVER, made.client.check());
    made.clock.advance(150);
    expect(made.client.responses.slice(before).map(({ dtlsAcks, dtlsInStun }) => dtlsAcks ?? dtlsInStun)).toContain(undefined);
    expect(made.server.peer.state).toBe('connected');
  });

  it.each(['server', 'client'] as const)('that a client offers and does not do costs nothing: as %s', (role) => {
    const made = arrange({ role, speaks: false });
    const plain = run(arrange({ role, speaks: false, takes: false }));
    expect(run(made)).toEqual(plain);
    for (const { dtlsAcks, dtlsInStun } of made.client.responses) expect(dtlsAcks ?? dtlsInStun).toBeUndefined();
  });

  it('that nobody offered is not taken', () => {
    const made = arrange({ takes: false });
    run(made);
    expect(made.server.peer.snapshot().dtlsInStun).toBe(0);
    for (const { dtlsAcks, dtlsInStun } of made.client.responses) expect(dtlsAcks ?? dtlsInStun).toBeUndefined();
  });
});

describe('hostile DTLS in STUN', () => {
  const dtls = (value: Buffer) => ({ type: StunAttribute.dtlsInStun, value });
  const ack = (value: Buffer) => ({ type: StunAttribute.dtlsInStunAck, value });

  it.each([
    ['nothing', [dtls(Buffer.alloc(0))]],
    ['STUN', [dtls(Buffer.alloc(40))]],
    ['media', [dtls(Buffer.alloc(40, 0x80))]],
    ['a record of nothing', [dtls(Buffer.of(22, 0xfe, 0xfd))]],
    ['a forged alert', [dtls(Buffer.from('15fefd0000000000000384000201' + '00', 'hex'))]],
    ['more than fits', [dtls(Buffer.alloc(1300, 0x2f))]],
    ['half an acknowledgement', [ack(Buffer.alloc(3))]],
    ['acknowledgements without end', [ack(Buffer.alloc(1000, 7))]],
    ['acknowledgements of nothing', [ack(Buffer.alloc(16, 9))]],
    ['all of it twice', [dtls(Buffer.alloc(20, 0x2f)), dtls(Buffer.alloc(20, 0x2e)), ack(Buffer.alloc(16)), ack(Buffer.alloc(8))]],
  ])('with %s changes nothing', (_, extra) => {
    const made = arrange();
    for (let n = 0; n < 5; n++) {
      made.network.send(CLIENT, SERVER, made.client.check(extra));
      made.clock.advance(10);
    }
    const at = run(made);
    expect([at.client < 1000, at.server < 1000]).toEqual([true, true]);
    for (let n = 0; n < 20; n++) made.network.send(CLIENT, SERVER, made.client.check(extra));
    made.clock.advance(1000);
    expect([made.server.peer.state, made.client.dtls.state]).toEqual(['connected', 'connected']);
    for (const { datagram } of made.network.sent.filter(({ from }) => from === SERVER)) expect(datagram.length).toBeLessThanOrEqual(1200);
  });

  it('without the password, or behind the integrity, is not looked at', () => {
    const made = arrange();
    const hello = dtls(made.client.attributes()[0]?.value as Buffer);
    made.network.send(ATTACKER, SERVER, made.client.check([hello], 'a-password-that-is-wrong'));
    const genuine = made.client.check([]);
    // An attribute after MESSAGE-INTEGRITY, without a FINGERPRINT.
    const tail = Buffer.concat([Buffer.from([0xc0, 0x70, 0, 4]), Buffer.alloc(4, 0x16)]);
    const behind = Buffer.concat([genuine.subarray(0, genuine.length - 8), tail]);
    behind.writeUInt16BE(behind.length - 20, 2);
    expect(parseStun(behind)?.dtlsInStun).toBeUndefined();
    made.network.send(CLIENT, SERVER, behind);
    made.clock.advance(200);
    expect(made.server.peer.snapshot().dtlsInStun).toBe(0);
  });

  it('repeated a thousand times is answered a thousand times, no more, and holds nothing', () => {
    const made = arrange();
    const check = made.client.check([dtls(Buffer.alloc(900, 0x2f)), ack(Buffer.alloc(16, 1))]);
    for (let n = 0; n < 1000; n++) made.network.send(CLIENT, SERVER, check);
    made.clock.advance(200);
    expect(made.network.sentTo(CLIENT).length).toBe(1000);
  });
});

describe('a carrier', () => {
  it('carries one datagram at a time, each in turn, until it is confirmed', () => {
    const carrier = new DtlsCarrier();
    const [one, two] = [Buffer.from('one'), Buffer.from('two')];
    carrier.handleSent(one, 1);
    carrier.handleSent(two, 1);
    expect([1, 2, 3].map(() => carrier.attributes().datagram)).toEqual([one, two, one]);
    carrier.handleSent(Buffer.from('three'), 2);
    expect(carrier.attributes().datagram?.toString()).toBe('three');
    carrier.handleDone();
    expect(carrier.attributes().extra.map(({ type }) => type)).toEqual([StunAttribute.dtlsInStunAck]);
  });

  it('remembers four checksums, and carries eight datagrams of a flight', () => {
    const carrier = new DtlsCarrier();
    for (let n = 0; n < 10; n++) carrier.handleReceived(Buffer.from([22, n]));
    expect(carrier.attributes().extra[0]?.value.length).toBe(16);
    for (let n = 0; n < 20; n++) carrier.handleSent(Buffer.from([22, n]), 1);
    expect(new Set(Array.from({ length: 40 }, () => carrier.attributes().datagram?.toString('hex'))).size).toBe(8);
  });
});

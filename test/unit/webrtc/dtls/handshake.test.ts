import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import type { Fingerprint } from '../../../../src/webrtc/dtls/fingerprint.ts';
import { createIdentity, selfSign } from '../../../../src/webrtc/dtls/identity.ts';
import { Tls12KeySchedule } from '../../../../src/webrtc/dtls/key-schedule.ts';
import { parseRecords } from '../../../../src/webrtc/dtls/record.ts';
import type { SrtpProfile } from '../../../../src/webrtc/srtp/profile.ts';
import { clientIdentity, DtlsPair, type Side, serverIdentity } from '../../../support/dtls-pair.ts';

const CM: SrtpProfile = 'AES128_CM_HMAC_SHA1_80';
const GCM: SrtpProfile = 'AEAD_AES_128_GCM';

function rsaIdentity() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return selfSign(publicKey, createPrivateKey({ key: privateKey, type: 'pkcs8', format: 'der' }), 1_700_000_000_000);
}

function connectedEvents(pair: DtlsPair) {
  const [client] = pair.events.client;
  const [server] = pair.events.server;
  if (client?.type !== 'connected' || server?.type !== 'connected') throw new Error('not connected');
  return { client, server };
}

function failures(pair: DtlsPair, side: Side) {
  return pair.events[side].flatMap((event) => (event.type === 'failed' ? [event.reason] : []));
}

describe('a handshake', () => {
  it('takes two round trips and gives both sides the same SRTP keys', () => {
    const pair = new DtlsPair({ delayMs: 50 });
    pair.start();
    pair.clock.advance(149);
    expect([pair.client.state, pair.server.state]).toEqual(['connecting', 'connecting']);
    pair.clock.advance(1);
    expect(pair.server.state).toBe('connected');
    pair.clock.advance(50);
    expect(pair.client.state).toBe('connected');
    const { client, server } = connectedEvents(pair);
    expect(client.srtp.profile).toBe(CM);
    expect(client.srtp.localKey).toEqual(server.srtp.remoteKey);
    expect(client.srtp.localSalt).toEqual(server.srtp.remoteSalt);
    expect(client.srtp.remoteKey).toEqual(server.srtp.localKey);
    expect(client.srtp.remoteSalt).toEqual(server.srtp.localSalt);
    expect(client.srtp.localKey).not.toEqual(client.srtp.remoteKey);
    expect([client.srtp.localKey.length, client.srtp.localSalt.length]).toEqual([16, 14]);
    expect(client.remoteFingerprint).toEqual(serverIdentity.fingerprint);
    expect(server.remoteFingerprint).toEqual(clientIdentity.fingerprint);
    expect(pair.client.nextTimeout()).toBeUndefined();
    expect(pair.server.nextTimeout()).toBeUndefined();
  });

  it('gives other keys every time', () => {
    const keys = [1, 2, 3].map(() => connectedEvents(new DtlsPair().run()).client.srtp.localKey.toString('hex'));
    expect(new Set(keys).size).toBe(3);
  });

  it.each([
    [[CM], [CM, GCM], CM],
    [[GCM, CM], [CM, GCM], CM],
    [[GCM], [CM, GCM], GCM],
    [[CM, GCM], [GCM, CM], GCM],
  ] as const)('chooses the SRTP profile: client %j, server %j: %s', (client, server, profile) => {
    const pair = new DtlsPair({ client: { srtpProfiles: client }, server: { srtpProfiles: server } }).run();
    const events = connectedEvents(pair);
    expect([events.client.srtp.profile, events.server.srtp.profile]).toEqual([profile, profile]);
    expect(events.client.srtp.localSalt.length).toBe(profile === CM ? 14 : 12);
  });

  it('does without an SRTP profile in common by failing on both sides', () => {
    const pair = new DtlsPair({ client: { srtpProfiles: [GCM] }, server: { srtpProfiles: [CM] } }).run();
    expect([failures(pair, 'client'), failures(pair, 'server')]).toEqual([['timeout'], ['parameters']]);
  });

  it('fits its datagrams to the MTU', () => {
    for (const mtu of [256, 300, 576, 1200]) {
      const pair = new DtlsPair({ client: { mtu }, server: { mtu } }).run();
      expect(pair.areConnected, `MTU ${mtu}`).toBe(true);
      for (const datagram of [...pair.sent.client, ...pair.sent.server]) expect(datagram.length).toBeLessThanOrEqual(mtu);
    }
    const pair = new DtlsPair().run();
    expect(pair.sent.client.length + pair.sent.server.length, 'four flights, four datagrams').toBe(4);
  });

  it('never uses a record number twice', () => {
    const pair = new DtlsPair({ loss: 0.3, seed: 5 }).run();
    for (const side of ['client', 'server'] as const) {
      const numbers = pair.sent[side].flatMap((bytes) => parseRecords(bytes).records.map(({ epoch, sequence }) => `${epoch}/${sequence}`));
      expect(new Set(numbers).size).toBe(numbers.length);
    }
  });
});

describe('a bad network', () => {
  it('does not stop 200 of 200 handshakes at 30 % loss, with repeated and overtaking datagrams of one record each', () => {
    const times: number[] = [];
    for (let seed = 1; seed <= 200; seed++) {
      const pair = new DtlsPair({ seed, loss: 0.3, duplicates: 0.2, jitterMs: 60, splitsRecords: true });
      pair.start();
      while (!pair.areConnected && pair.clock.now() < 25_000) pair.clock.advance(5);
      expect([pair.client.state, pair.server.state], `seed ${seed}`).toEqual(['connected', 'connected']);
      const { client, server } = connectedEvents(pair);
      expect(client.srtp.localKey).toEqual(server.srtp.remoteKey);
      times.push(pair.clock.now());
    }
    times.sort((one, other) => one - other);
    expect(times[100]).toBeLessThan(1500);
    expect(times[199]).toBeLessThan(10_000);
  });

  it('is tried again after 0.2, 0.6, 1.4 s and then every 0.8 s, for 20 s', () => {
    const pair = new DtlsPair({ loss: 1 });
    const sentAt: number[] = [];
    pair.start();
    for (let ms = 0; ms < 25_000; ms += 100) {
      while (sentAt.length < pair.sent.client.length) sentAt.push(pair.clock.now());
      pair.clock.advance(100);
    }
    expect(sentAt.slice(0, 6)).toEqual([0, 200, 600, 1400, 2200, 3000]);
    expect(pair.client.snapshot().retransmissions).toBe(26);
    expect(failures(pair, 'client')).toEqual(['timeout']);
    expect(failures(pair, 'server')).toEqual(['timeout']);
  });

  it('is tried again after two round trips of the path, when they are known', () => {
    for (const [pathRttMs, first] of [
      [1, 100],
      [80, 160],
      [900, 1000],
    ] as const) {
      const pair = new DtlsPair({ loss: 1, client: { pathRttMs } });
      pair.start();
      expect(pair.client.nextTimeout()).toBe(first);
    }
  });

  it("lets a repeated final flight trigger the server's again", () => {
    let lost = 0;
    const pair = new DtlsPair({
      tap: (from, datagram) => {
        const isLast = from === 'server' && parseRecords(datagram).records.some(({ epoch }) => epoch === 1);
        if (!isLast || lost >= 3) return datagram;
        lost += 1;
        return undefined;
      },
    });
    pair.start();
    pair.clock.advance(100);
    expect([pair.client.state, pair.server.state]).toEqual(['connecting', 'connected']);
    pair.clock.advance(2000);
    expect(pair.client.state).toBe('connected');
    expect(pair.events.server.filter(({ type }) => type === 'connected').length).toBe(1);
  });

  it('answers many repetitions of the final flight that come together once', () => {
    const pair = new DtlsPair().run(1000);
    const [, final] = pair.sent.client;
    const before = pair.sent.server.length;
    // The same datagram: its protected record is a replay, and the rest proves nothing.
    for (let i = 0; i < 20; i++) pair.inject('server', final!);
    expect(pair.sent.server.length).toBe(before);
  });
});

describe('certificates', () => {
  it('may be of RSA keys, on either side or both', () => {
    const rsa = rsaIdentity();
    for (const [client, server] of [
      [rsa, serverIdentity],
      [clientIdentity, rsa],
      [rsa, rsa],
    ] as const) {
      expect(new DtlsPair({ client: { identity: client }, server: { identity: server } }).run().areConnected).toBe(true);
    }
  });

  it.each(['client', 'server'] as const)('that the SDP of the %s does not name fail within two seconds, with a reason', (side) => {
    const other = createIdentity(0).fingerprint;
    const pair = new DtlsPair({ [side]: { remoteFingerprints: [other] } }).run(2000);
    expect(failures(pair, side)).toEqual(['fingerprint']);
    pair.clock.advance(25_000);
    const peer = side === 'client' ? 'server' : 'client';
    expect(pair.events[peer].some(({ type }) => type === 'connected')).toBe(false);
    expect(failures(pair, peer).length).toBe(1);
  });

  it('that no SDP names are never right', () => {
    const pair = new DtlsPair({ client: { remoteFingerprints: [] } }).run();
    expect(failures(pair, 'client')).toEqual(['fingerprint']);
  });

  it.each(['client', 'server'] as const)('stolen from somebody, with another key, do not fool the %s', (side) => {
    const victim = side === 'client' ? serverIdentity : clientIdentity;
    const thief = { ...victim, privateKey: createIdentity(0).privateKey };
    const pair = new DtlsPair({ [side === 'client' ? 'server' : 'client']: { identity: thief } }).run();
    expect(pair.events[side].map(({ type }) => type)).toEqual(['failed']);
    expect(failures(pair, side)).toEqual(['signature']);
    expect(pair.client.state).not.toBe('connected');
    expect(pair.server.state).not.toBe('connected');
  });

  it('with a stolen key in another certificate do not fool anybody either', () => {
    const other = createIdentity(0);
    const mixed = { ...serverIdentity, certificate: other.certificate };
    const pair = new DtlsPair({ server: { identity: mixed } }).run();
    expect(pair.areConnected).toBe(false);
  });

  it('are matched by the strongest fingerprint alone', async () => {
    const { createHash } = await import('node:crypto');
    const of = (algorithm: string): Fingerprint => ({
      algorithm: `SHA-${algorithm}`,
      value: createHash(`sha${algorithm}`)
        .update(serverIdentity.certificate)
        .digest('hex')
        .replace(/..(?=.)/g, '$&:'),
    });
    const wrong = { algorithm: 'sha-512', value: of('512').value.replace(/^../, (first) => (first === '00' ? '01' : '00')) };
    const tries: [Fingerprint[], boolean][] = [
      [[of('384')], true],
      [[of('512')], true],
      [[of('256'), of('512')], true],
      [[wrong, of('512')], true],
      [[of('256'), wrong], false],
      [[of('1')], false],
      [[{ algorithm: 'sha-256', value: 'nonsense' }], false],
    ];
    for (const [remoteFingerprints, works] of tries) {
      expect(new DtlsPair({ client: { remoteFingerprints } }).run().areConnected, JSON.stringify(remoteFingerprints)).toBe(works);
    }
  });
});

describe('Finished', () => {
  it.each(['client', 'server'] as const)('from the %s must be right', (liar) => {
    const original = Tls12KeySchedule.prototype.finishedOf;
    let calls = 0;
    // Each side computes both. The first to compute the liar's is the liar: the client its own at its third flight, the server its own last of all.
    const spy = vi.spyOn(Tls12KeySchedule.prototype, 'finishedOf').mockImplementation(function (
      this: Tls12KeySchedule,
      sender,
      transcript,
    ) {
      const data = original.call(this, sender, transcript);
      calls += sender === liar ? 1 : 0;
      const isLie = sender === liar && calls === (liar === 'client' ? 1 : 2);
      return isLie ? Buffer.from(data.map((byte) => byte ^ 1)) : data;
    });
    try {
      const pair = new DtlsPair().run();
      const victim = liar === 'client' ? 'server' : 'client';
      expect(failures(pair, victim)).toEqual(['finished']);
      expect(pair.events[victim].length).toBe(1);
      expect(failures(pair, liar), 'told by a protected alert').toEqual(['alert']);
    } finally {
      spy.mockRestore();
    }
  });
});

describe('after the handshake', () => {
  it('data goes both ways, also before the peer has seen the end of it', () => {
    const pair = new DtlsPair({ delayMs: 10 });
    pair.start();
    expect(pair.client.send(Buffer.from('too early'))).toBe(false);
    pair.clock.advance(30);
    expect(pair.server.state).toBe('connected');
    pair.change('server', (server) => server.send(Buffer.from('first')));
    pair.clock.advance(10);
    pair.change('client', (client) => client.send(Buffer.from('second')));
    pair.clock.advance(10);
    expect(pair.events.client.map((event) => (event.type === 'data' ? event.bytes.toString() : event.type))).toEqual([
      'connected',
      'first',
    ]);
    expect(pair.events.server.map((event) => (event.type === 'data' ? event.bytes.toString() : event.type))).toEqual([
      'connected',
      'second',
    ]);
    expect(pair.client.send(Buffer.alloc(16385))).toBe(false);
  });

  it('data that overtakes the Finished waits for it', () => {
    let held: Buffer | undefined;
    const pair = new DtlsPair({
      tap: (from, datagram) => {
        if (from === 'client' && !held && parseRecords(datagram).records.some(({ epoch }) => epoch === 1)) {
          held = Buffer.from(datagram);
          return undefined;
        }
        return datagram;
      },
    });
    pair.start();
    pair.clock.advance(25);
    // The server has not even keys yet; what comes now in the next epoch is kept.
    expect(held).toBeDefined();
    const finished = parseRecords(held!).records.find(({ epoch }) => epoch === 1);
    pair.inject('server', held!.subarray(held!.length - 13 - finished!.fragment.length));
    expect(pair.server.state).toBe('connecting');
    pair.inject('server', held!.subarray(0, held!.length - 13 - finished!.fragment.length));
    expect(pair.server.state).toBe('connected');
  });

  it('no record is delivered twice', () => {
    const pair = new DtlsPair().run(1000);
    for (const text of ['a', 'b', 'c']) pair.change('client', (client) => client.send(Buffer.from(text)));
    pair.clock.advance(50);
    for (const datagram of pair.sent.client.slice(-3)) pair.inject('server', datagram);
    expect(pair.events.server.filter(({ type }) => type === 'data').length).toBe(3);
    expect(pair.server.snapshot().dropped.replay).toBe(3);
  });

  it.each(['client', 'server'] as const)('the goodbye of the %s closes both sides', (side) => {
    const pair = new DtlsPair().run(1000);
    pair.change(side, (connection) => connection.close());
    pair.clock.advance(50);
    const peer = side === 'client' ? 'server' : 'client';
    expect(pair.events[side].at(-1)).toEqual({ type: 'closed', reason: 'local' });
    expect(pair.events[peer].at(-1)).toEqual({ type: 'closed', reason: 'peer' });
    const sent = pair.sent[side].length;
    expect(pair[side].send(Buffer.from('late'))).toBe(false);
    pair.change(side, (connection) => connection.close());
    pair.change(side, (connection, now) => connection.start(now));
    expect(pair.sent[side].length).toBe(sent);
  });

  it('before it, closing says nothing to the peer', () => {
    const pair = new DtlsPair({ loss: 1 });
    pair.start();
    pair.change('client', (client) => client.close());
    expect(pair.client.state).toBe('closed');
    expect(pair.client.nextTimeout()).toBeUndefined();
    expect(pair.sent.client.length).toBe(1);
  });
});

import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { createIdentity, selfSign } from '../../../../src/webrtc/dtls/identity.ts';
import { Group } from '../../../../src/webrtc/dtls/key-share.ts';
import { parseRecords } from '../../../../src/webrtc/dtls/record.ts';
import { Tls13KeySchedule } from '../../../../src/webrtc/dtls/tls13-key-schedule.ts';
import { RETRY_RANDOM } from '../../../../src/webrtc/dtls/tls13-messages.ts';
import type { SrtpProfile } from '../../../../src/webrtc/srtp/profile.ts';
import { clientIdentity, DtlsPair, pair13, type Side, serverIdentity } from '../../../support/dtls-pair.ts';

const CM: SrtpProfile = 'AES128_CM_HMAC_SHA1_80';
const GCM: SrtpProfile = 'AEAD_AES_128_GCM';

function connectedEvents(pair: DtlsPair) {
  const [client] = pair.events.client;
  const [server] = pair.events.server;
  if (client?.type !== 'connected' || server?.type !== 'connected') throw new Error('not connected');
  return { client, server };
}

function failures(pair: DtlsPair, side: Side) {
  return pair.events[side].flatMap((event) => (event.type === 'failed' ? [event.reason] : []));
}

function versions(pair: DtlsPair) {
  return [pair.client.snapshot().version, pair.server.snapshot().version];
}

function data(pair: DtlsPair, side: Side) {
  return pair.events[side].flatMap((event) => (event.type === 'data' ? [event.bytes.toString()] : []));
}

/** Both sides hear each other: keys, numbers and epochs agree. */
function expectCallToWork(pair: DtlsPair): void {
  expect([pair.client.state, pair.server.state]).toEqual(['connected', 'connected']);
  const before = { client: data(pair, 'client').length, server: data(pair, 'server').length };
  pair.change('client', (client) => client.send(Buffer.from('from the client')));
  pair.change('server', (server) => server.send(Buffer.from('from the server')));
  pair.clock.advance(200);
  expect(data(pair, 'server').slice(before.server)).toEqual(['from the client']);
  expect(data(pair, 'client').slice(before.client)).toEqual(['from the server']);
}

function rsaIdentity() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  return selfSign(publicKey, createPrivateKey({ key: privateKey, type: 'pkcs8', format: 'der' }), 1_700_000_000_000);
}

describe('a handshake of 1.3', () => {
  it('takes one round trip for the client, and half a one more for the server', () => {
    const pair = pair13({ delayMs: 50 });
    pair.start();
    pair.clock.advance(99);
    expect(pair.client.state).toBe('connecting');
    pair.clock.advance(1);
    expect([pair.client.state, pair.server.state]).toEqual(['connected', 'connecting']);
    pair.clock.advance(50);
    expect(pair.server.state).toBe('connected');
    pair.clock.advance(50);
    expect(versions(pair)).toEqual(['1.3', '1.3']);
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
    expect([pair.client.nextTimeout(), pair.server.nextTimeout()], 'the last flight was acknowledged').toEqual([undefined, undefined]);
    expect([pair.sent.client.length, pair.sent.server.length], 'hello, flight, flight, acknowledgement').toEqual([2, 2]);
    expectCallToWork(pair);
  });

  it.each([
    [['1.3', '1.2'], ['1.3', '1.2'], '1.3'],
    [['1.3'], ['1.3', '1.2'], '1.3'],
    [['1.3', '1.2'], ['1.3'], '1.3'],
    [['1.2'], ['1.3', '1.2'], '1.2'],
    [['1.3', '1.2'], ['1.2'], '1.2'],
  ] as const)('is what a client of %j and a server of %j agree on: %s', (client, server, version) => {
    for (const delayMs of [0, 10, 70]) {
      const pair = new DtlsPair({ delayMs, client: { versions: client }, server: { versions: server } }).run(3000);
      expect(versions(pair)).toEqual([version, version]);
      expectCallToWork(pair);
    }
  });

  it('fails in time between sides without a version in common', () => {
    const pair = new DtlsPair({ client: { versions: ['1.3'] }, server: { versions: ['1.2'] } }).run();
    expect([failures(pair, 'client'), failures(pair, 'server')]).toEqual([['timeout'], ['parameters']]);
  });

  it.each([
    [[CM], [CM, GCM], CM],
    [[GCM, CM], [CM, GCM], CM],
    [[GCM], [CM, GCM], GCM],
  ] as const)('chooses the SRTP profile: client %j, server %j: %s', (client, server, profile) => {
    const events = connectedEvents(pair13({ client: { srtpProfiles: client }, server: { srtpProfiles: server } }).run());
    expect([events.client.srtp.profile, events.server.srtp.profile]).toEqual([profile, profile]);
  });

  it('fits its datagrams to the MTU, and never uses a record number twice', () => {
    for (const mtu of [256, 300, 576, 1200]) {
      const pair = pair13({ client: { mtu }, server: { mtu } }).run();
      expect(versions(pair), `MTU ${mtu}`).toEqual(['1.3', '1.3']);
      for (const datagram of [...pair.sent.client, ...pair.sent.server]) expect(datagram.length).toBeLessThanOrEqual(mtu);
      expectCallToWork(pair);
    }
  });

  it('shows nothing of the certificates', () => {
    const pair = pair13().run();
    for (const datagram of [...pair.sent.client, ...pair.sent.server]) {
      for (const { certificate } of [clientIdentity, serverIdentity]) expect(datagram.includes(certificate.subarray(20, 40))).toBe(false);
    }
  });

  it('works with RSA keys on either side or both, which sign with PSS', () => {
    const rsa = rsaIdentity();
    for (const [client, server] of [
      [rsa, serverIdentity],
      [clientIdentity, rsa],
      [rsa, rsa],
    ] as const) {
      const pair = pair13({ client: { identity: client }, server: { identity: server } }).run();
      expect(versions(pair)).toEqual(['1.3', '1.3']);
      expectCallToWork(pair);
    }
  });
});

describe('a bad network', () => {
  it('does not stop 200 of 200 handshakes at 30 % loss, with repeated and overtaking datagrams of one record each', () => {
    const times: number[] = [];
    for (let seed = 1; seed <= 200; seed++) {
      const pair = pair13({ seed, loss: 0.3, duplicates: 0.2, jitterMs: 60, splitsRecords: true });
      pair.start();
      while (!pair.areConnected && pair.clock.now() < 25_000) pair.clock.advance(5);
      expect([pair.client.state, pair.server.state], `seed ${seed}`).toEqual(['connected', 'connected']);
      expect(versions(pair)).toEqual(['1.3', '1.3']);
      const { client, server } = connectedEvents(pair);
      expect(client.srtp.localKey).toEqual(server.srtp.remoteKey);
      times.push(pair.clock.now());
    }
    times.sort((one, other) => one - other);
    expect(times[100]).toBeLessThan(1000);
    expect(times[199]).toBeLessThan(10_000);
  });

  it('does not stop 60 of 60 in small pieces at 50 % loss', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const pair = pair13({ seed, loss: 0.5, jitterMs: 60, client: { mtu: 300 }, server: { mtu: 300 } }).run();
      expect(versions(pair), `seed ${seed}`).toEqual(['1.3', '1.3']);
    }
  });

  it('costs only what was lost: the rest is acknowledged, and not sent again', () => {
    let lost = 0;
    const pair = pair13({
      server: { mtu: 300 },
      tap: (from, datagram) => {
        if (from !== 'server' || lost > 0 || !parseRecords(datagram).records.every(({ unified }) => unified)) return datagram;
        lost += 1;
        return undefined;
      },
    });
    pair.start();
    pair.clock.advance(20);
    const first = pair.sent.server.length;
    expect([lost, first >= 3, pair.client.state]).toEqual([1, true, 'connecting']);
    pair.clock.advance(120);
    expect(pair.client.state).toBe('connected');
    expect(pair.sent.server.slice(first).length, 'the lost one, and the acknowledgement of the end').toBe(2);
  });

  it('makes a client repeat its last flight until it is acknowledged, for 20 s, and a server acknowledge it again', () => {
    let dropped = 0;
    const pair = pair13({
      tap: (from, datagram) => {
        if (from === 'client' || pair.server.state !== 'connected' || dropped >= 4) return datagram;
        dropped += 1;
        return undefined;
      },
    });
    pair.run(6000);
    expect([dropped, pair.client.nextTimeout()]).toEqual([4, undefined]);
    expectCallToWork(pair);

    const deaf: DtlsPair = pair13({
      server: { timeoutMs: 60_000 },
      tap: (from, datagram) => (from === 'client' && deaf.client.state === 'connected' ? undefined : datagram),
    });
    deaf.run(19_000);
    expect([deaf.client.state, deaf.client.nextTimeout() !== undefined]).toEqual(['connected', true]);
    deaf.clock.advance(3000);
    expect([deaf.client.state, deaf.client.nextTimeout()]).toEqual(['connected', undefined]);
    deaf.clock.advance(60_000);
    // It says so, under its own keys.
    expect([failures(deaf, 'server'), failures(deaf, 'client')]).toEqual([['timeout'], ['alert']]);
  });

  it('does not deliver data twice, nor what came before the end of the handshake, before it', () => {
    const held: Buffer[] = [];
    const pair = pair13({
      tap: (from, datagram) => {
        if (from === 'client' && pair.client.state === 'connected' && held.length === 0) {
          held.push(Buffer.from(datagram));
          return undefined;
        }
        return datagram;
      },
    });
    pair.start();
    pair.clock.advance(20);
    pair.change('client', (client) => client.send(Buffer.from('early')));
    pair.clock.advance(15);
    expect([pair.server.state, data(pair, 'server')]).toEqual(['connecting', []]);
    pair.inject('server', held[0]!);
    expect([pair.server.state, data(pair, 'server')]).toEqual(['connected', ['early']]);
    for (const datagram of pair.sent.client) pair.inject('server', datagram);
    expect(data(pair, 'server')).toEqual(['early']);
    expect(pair.server.snapshot().dropped.replay).toBeGreaterThan(0);
  });
});

describe('a HelloRetryRequest', () => {
  it('asks for a group that both have, and is answered after a retransmission time', () => {
    const pair = pair13({ delayMs: 20, server: { groups: [Group.p256] } }).run(3000);
    expect(versions(pair)).toEqual(['1.3', '1.3']);
    expectCallToWork(pair);
    expect(pair.sent.client.length, 'hello, hello, flight, data').toBe(4);
  });

  it.each([0.1, 0.3, 0.5])('leads to a call at a loss of %f', (loss) => {
    for (let seed = 1; seed <= 30; seed++) {
      const pair = pair13({ seed, loss, jitterMs: 40, server: { groups: [Group.p256] } }).run();
      expect([pair.client.state, pair.server.state, ...versions(pair)], `seed ${seed}`).toEqual(['connected', 'connected', '1.3', '1.3']);
    }
  });

  it('with a cookie alone is asked of a second client, and leads to a call', () => {
    const other = pair13().run(1000);
    const pair = pair13();
    pair.change('server', (server, now) => server.start(now));
    // A stranger was here first.
    pair.inject('server', other.sent.client[0]!);
    pair.change('client', (client, now) => client.start(now));
    pair.clock.advance(2000);
    expect(versions(pair)).toEqual(['1.3', '1.3']);
    expectCallToWork(pair);
    const retries = pair.sent.server.filter((bytes) => bytes.includes(RETRY_RANDOM));
    expect(retries.length).toBeGreaterThan(0);
    for (const retry of retries) expect(retry.length).toBeLessThan(pair.sent.client[0]!.length);
  });

  it('finds no group where there is none in common', () => {
    const pair = pair13({ client: { groups: [Group.x25519] }, server: { groups: [Group.p256] } }).run();
    expect([failures(pair, 'client'), failures(pair, 'server')]).toEqual([['timeout'], ['parameters']]);
  });
});

describe('certificates of 1.3', () => {
  it.each(['client', 'server'] as const)('that the SDP of the %s does not name fail within two seconds, with a reason', (side) => {
    const other = createIdentity(0).fingerprint;
    const pair = pair13({ [side]: { remoteFingerprints: [other] } }).run(2000);
    expect(failures(pair, side)).toEqual(['fingerprint']);
    expect(pair.events[side].some(({ type }) => type === 'connected')).toBe(false);
  });

  it.each(['client', 'server'] as const)('stolen from somebody, with another key, do not fool the %s', (side) => {
    const victim = side === 'client' ? serverIdentity : clientIdentity;
    const thief = { ...victim, privateKey: createIdentity(0).privateKey };
    const pair = pair13({ [side === 'client' ? 'server' : 'client']: { identity: thief } }).run();
    expect(pair.events[side].map(({ type }) => type)).toEqual(['failed']);
    expect(failures(pair, side)).toEqual(['signature']);
  });

  it('that no SDP names are never right', () => {
    expect(failures(pair13({ client: { remoteFingerprints: [] } }).run(), 'client')).toEqual(['fingerprint']);
  });

  it.each(['client', 'server'] as const)('are worth nothing without the right Finished of the %s', (liar) => {
    const original = Tls13KeySchedule.prototype.finishedOf;
    let calls = 0;
    // The first to compute a side's Finished is that side.
    const spy = vi.spyOn(Tls13KeySchedule.prototype, 'finishedOf').mockImplementation(function (
      this: Tls13KeySchedule,
      sender,
      transcript,
    ) {
      const right = original.call(this, sender, transcript);
      calls += sender === liar ? 1 : 0;
      return sender === liar && calls === 1 ? Buffer.from(right.map((byte) => byte ^ 1)) : right;
    });
    try {
      const victim = liar === 'client' ? 'server' : 'client';
      const pair = pair13().run();
      expect(failures(pair, victim)).toEqual(['finished']);
      expect(pair.events[victim].length).toBe(1);
    } finally {
      spy.mockRestore();
    }
  });
});

describe('new keys', () => {
  it('are agreed on after so many records, in both directions, without a break', () => {
    const pair = pair13({ client: { maxRecordsPerKey: 20 } }).run(500);
    for (let n = 0; n < 200; n++) {
      pair.change('client', (client) => client.send(Buffer.from(`c${n}`)));
      pair.change('server', (server) => server.send(Buffer.from(`s${n}`)));
      pair.clock.advance(5);
    }
    pair.clock.advance(100);
    expect(data(pair, 'server')).toEqual(Array.from({ length: 200 }, (_, n) => `c${n}`));
    expect(data(pair, 'client')).toEqual(Array.from({ length: 200 }, (_, n) => `s${n}`));
    const epochs = new Set(
      pair.sent.client.flatMap((bytes) => parseRecords(bytes).records.flatMap(({ unified, epoch }) => (unified ? [epoch] : []))),
    );
    expect(epochs.size, 'epochs went round').toBe(4);
    expect(pair.client.nextTimeout()).toBeUndefined();
  });

  it('are agreed on over a network that loses and reorders', () => {
    const keys = { maxRecordsPerKey: 10 };
    const pair = pair13({ seed: 3, loss: 0.3, duplicates: 0.1, jitterMs: 30, client: keys, server: keys }).run(5000);
    for (let n = 0; n < 600; n++) {
      pair.change('client', (client) => client.send(Buffer.from(`c${n}`)));
      pair.change('server', (server) => server.send(Buffer.from(`s${n}`)));
      pair.clock.advance(20);
    }
    pair.clock.advance(3000);
    expect(data(pair, 'server').length).toBeGreaterThan(380);
    expect(data(pair, 'client').length).toBeGreaterThan(380);
    expect(new Set(data(pair, 'server')).size).toBe(data(pair, 'server').length);
    expect(pair.client.snapshot().dropped.auth + pair.server.snapshot().dropped.auth).toBe(0);
  });
});

describe('the end', () => {
  it.each(['client', 'server'] as const)('of the %s closes both sides', (side) => {
    const pair = pair13().run(1000);
    pair.change(side, (connection) => connection.close());
    pair.clock.advance(50);
    const peer = side === 'client' ? 'server' : 'client';
    expect(pair.events[side].at(-1)).toEqual({ type: 'closed', reason: 'local' });
    expect(pair.events[peer].at(-1)).toEqual({ type: 'closed', reason: 'peer' });
    expect([pair.client.nextTimeout(), pair.server.nextTimeout()]).toEqual([undefined, undefined]);
  });
});

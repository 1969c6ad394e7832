import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { createIdentity } from '../../../../src/webrtc/dtls/identity.ts';
import { packetKind } from '../../../../src/webrtc/packet-kind.ts';
import { writeStun } from '../../../../src/webrtc/stun/write-stun.ts';
import {
  ATTACKER,
  CLIENT,
  clientIce,
  type ObservedPeer,
  type PairOptions,
  peerPair,
  rtpPacket,
  runUntil,
  SERVER,
  serverIce,
} from '../../../support/peer-pair.ts';

/** Content types of DTLS records: close_notify is one, SCTP goes in the other. */
const DTLS_ALERT = 21;
const DTLS_DATA = 23;
/** In 1.3 nobody sees from outside what a record is. */
const TELLING: PairOptions = { client: { dtlsVersions: ['1.2'] } };

const open: ObservedPeer[] = [];

function pair(options?: PairOptions) {
  const made = peerPair(options);
  open.push(made.server, made.client);
  return made;
}

async function connectedPair(options?: PairOptions) {
  const made = pair(options);
  await runUntil(made.clock, () => made.server.connected + made.client.connected === 2);
  return made;
}

afterEach(() => {
  for (const { peer } of open.splice(0)) peer.close();
});

/** A check with the true credentials, from whomever. */
function check({
  nominate = false,
  pwd = serverIce.pwd as string | null,
  username = `${serverIce.ufrag}:${clientIce.ufrag}`,
} = {}): Buffer {
  const transactionId = randomBytes(12);
  return writeStun({ class: 'request', transactionId, username, iceControlling: 1n, useCandidate: nominate }, pwd ?? undefined);
}

/** A ClientHello that offers a NULL cipher, as off-path attackers spray it. */
const CLIENT_HELLO = Buffer.from(
  `16feff0000000000000000003f010000330000000000000033fefd${'41'.repeat(32)}00000002000001000007000a00040002001700000000`.slice(0, 152),
  'hex',
);

describe.each(['server', 'client'] as const)('a lite peer as DTLS %s', (serverRole) => {
  it('connects, and carries RTP and RTCP both ways', async () => {
    const { server, client, clock } = await connectedPair({ serverRole });
    const rtcp = Buffer.from('80c90001123456780000'.slice(0, 16), 'hex');
    for (let sequence = 65_530; sequence < 65_545; sequence += 1) {
      expect(client.peer.sendRtp(rtpPacket(sequence))).toBe(true);
      expect(server.peer.sendRtp(rtpPacket(sequence, undefined, 77))).toBe(true);
    }
    client.peer.sendRtcp(rtcp);
    server.peer.sendRtcp(rtcp);
    clock.advance(10);
    const sent = Array.from({ length: 15 }, (_, i) => 65_530 + i);
    expect(server.rtp).toEqual(sent.map((sequence) => rtpPacket(sequence)));
    expect(client.rtp).toEqual(sent.map((sequence) => rtpPacket(sequence, undefined, 77)));
    expect([server.rtcp, client.rtcp]).toEqual([[rtcp], [rtcp]]);
    expect(server.peer.snapshot()).toMatchObject({
      state: 'connected',
      srtpProfile: 'AES128_CM_HMAC_SHA1_80',
      rtpReceived: 15,
      rtpSent: 15,
    });
    expect(server.verified).toEqual([CLIENT]);
  });

  it('connects through 30 % loss, every time', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { server, client } = await connectedPair({
        serverRole,
        seed,
        loss: 0.3,
        server: { setupTimeoutMs: 30_000 },
        client: { setupTimeoutMs: 30_000 },
      });
      expect([server.closed, client.closed]).toEqual([[], []]);
    }
  });

  it('echoes on a data channel that the client opened, and on its own', async () => {
    const { server, client, clock } = await connectedPair({ serverRole });
    expect(server.peer.snapshot().data).toBeUndefined();
    const theirs = client.peer.openChannel('oai-events');
    await runUntil(clock, () => server.channels.length === 1 && client.channels.length === 1);
    expect(server.channels[0]?.label).toBe('oai-events');
    if (!theirs || !server.channels[0]) throw new Error('no channel');
    client.peer.sendMessage(theirs, '{"type":"hello"}');
    client.peer.sendMessage(theirs, Buffer.alloc(40_000, 9));
    await runUntil(clock, () => server.messages.length === 2);
    expect(server.messages).toEqual(['{"type":"hello"}', Buffer.alloc(40_000, 9)]);
    server.peer.sendMessage(server.channels[0], 'back');
    await runUntil(clock, () => client.messages.length === 1);
    server.peer.openChannel('of the server', { ordered: false });
    await runUntil(clock, () => client.channels.length === 2);
    expect(client.channels[1]).toMatchObject({ label: 'of the server', ordered: false, state: 'open' });
  });

  it('lets the far side know when it closes, once on each side', async () => {
    const { server, client, clock } = await connectedPair({ serverRole });
    server.peer.close();
    server.peer.close();
    clock.advance(50);
    expect([server.closed, client.closed]).toEqual([['closed'], ['remote_closed']]);
    expect(server.peer.sendRtp(rtpPacket(1))).toBe(false);
    expect(client.peer.sendRtp(rtpPacket(1))).toBe(false);
    expect(clock.nextTimer()).toBeUndefined();
  });

  it('refuses a certificate that is not the described one', async () => {
    const other = createIdentity(1_700_000_000_000).fingerprint;
    const { server, client, clock } = pair({ serverRole, server: { remoteFingerprints: [other] } });
    await runUntil(clock, () => server.closed.length === 1);
    expect(server.closed[0]).toMatch(/^dtls_failed: /);
    expect(server.connected).toBe(0);
    clock.advance(20_000);
    expect(client.closed).toHaveLength(1);
    expect(client.rtp).toEqual([]);
  });

  it('sends its ClientHello right after the first verified check', async () => {
    const { network, clock, server, client } = pair({ serverRole });
    await runUntil(clock, () => server.connected + client.connected === 2);
    const from = serverRole === 'client' ? SERVER : CLIENT;
    const own = network.sent.filter((each) => each.from === from).map(({ datagram }) => packetKind(datagram));
    expect(own.slice(0, 2)).toEqual(['stun', 'dtls']);
    // One round trip for the check, two for DTLS 1.2, 5 ms a way.
    expect(server.peer.snapshot().connectedMs).toBeLessThanOrEqual(30);
  });
});

describe('what is not authenticated', () => {
  it.each([
    ['without integrity', check({ pwd: null })],
    ['with a guessed password', check({ pwd: 'guess' })],
    ['for another receiver', check({ username: `nobody:${clientIce.ufrag}` })],
    ['from another sender', check({ username: `${serverIce.ufrag}:nobody` })],
    ['without a name', writeStun({ class: 'request', transactionId: randomBytes(12) }, serverIce.pwd)],
    ['as a role claim', writeStun({ class: 'request', transactionId: randomBytes(12), iceControlled: 1n, username: 'a:b' })],
  ])('gets no reply and makes no state: a check %s', (_how, datagram) => {
    const { server, network, clock } = pair({ start: false });
    server.peer.start();
    const fresh = server.peer.snapshot();
    for (let i = 0; i < 50; i += 1) network.send(ATTACKER, SERVER, datagram);
    clock.advance(100);
    expect(network.sentTo(ATTACKER)).toEqual([]);
    const { ice, ...rest } = server.peer.snapshot();
    const { ice: iceBefore, ...before } = fresh;
    expect(rest).toEqual(before);
    expect({ ...ice, dropped: undefined }).toEqual({ ...iceBefore, dropped: undefined });
    expect(ice).toMatchObject({ state: 'new', paths: 0, checks: 0 });
    expect(server.verified).toEqual([]);
  });

  it('cannot win a ClientHello race from an unverified address', async () => {
    const { server, client, network, clock } = pair({ start: false });
    server.peer.start();
    const spray = () => {
      for (let i = 0; i < 5; i += 1) network.send(ATTACKER, SERVER, CLIENT_HELLO);
    };
    for (let i = 0; i < 20; i += 1) {
      spray();
      clock.advance(10);
    }
    client.peer.start();
    await runUntil(clock, () => {
      spray();
      return server.connected + client.connected === 2;
    });
    expect(network.sentTo(ATTACKER)).toEqual([]);
    expect(server.peer.snapshot().dropped.unverified_path).toBeGreaterThan(100);
  });

  it.each(['server', 'client'] as const)(
    'cannot end a call by a plaintext alert, even from the right address (lite side is DTLS %s)',
    async (serverRole) => {
      const { server, client, network, clock } = await connectedPair({ serverRole });
      const records = [
        '15fefd000000000000000100020100',
        '15fefd000000000000000100020228',
        '18fefd000000000000000100020228',
        CLIENT_HELLO.toString('hex'),
      ];
      for (const record of records) {
        for (const from of [CLIENT, ATTACKER]) network.send(from, SERVER, Buffer.from(record, 'hex'));
        network.send(SERVER, CLIENT, Buffer.from(record, 'hex'));
      }
      clock.advance(100);
      client.peer.sendRtp(rtpPacket(1));
      server.peer.sendRtp(rtpPacket(1));
      clock.advance(10);
      expect([server.rtp.length, client.rtp.length]).toEqual([1, 1]);
      expect([server.closed, client.closed]).toEqual([[], []]);
    },
  );

  it('cannot be heard: forged, tampered and replayed SRTP is dropped and counted', async () => {
    const { server, client, network, clock } = await connectedPair();
    client.peer.sendRtp(rtpPacket(1));
    const genuine = network.sent.at(-1)?.datagram ?? Buffer.alloc(0);
    clock.advance(10);
    const tampered = Buffer.from(genuine);
    tampered[20] = (tampered[20] ?? 0) ^ 1;
    network.send(CLIENT, SERVER, tampered);
    network.send(CLIENT, SERVER, genuine);
    network.send(CLIENT, SERVER, rtpPacket(2));
    network.send(ATTACKER, SERVER, genuine);
    network.send(CLIENT, SERVER, Buffer.from([0x50, 1, 2, 3]));
    clock.advance(10);
    expect(server.rtp).toEqual([rtpPacket(1)]);
    expect(server.peer.snapshot().dropped).toMatchObject({ srtp: 3, unverified_path: 1, unknown_kind: 1 });
  });

  it('does not move the media: only a verified check that nominates does', async () => {
    const { server, client, network, clock } = await connectedPair();
    const moved = '198.51.100.2:50000';
    network.listen(moved, (datagram, path) => client.peer.handleDatagram(datagram, network.path(CLIENT, path.key), clock.now()));
    const target = () => {
      server.peer.sendRtp(rtpPacket(server.peer.snapshot().rtpSent));
      return network.sent.at(-1)?.to;
    };
    // Genuine SRTP from a new address is no reason, nor is a check without the password, nor one that does not nominate.
    client.peer.sendRtp(rtpPacket(1));
    const srtp = network.sent.at(-1)?.datagram ?? Buffer.alloc(0);
    network.send(moved, SERVER, srtp);
    network.send(moved, SERVER, check({ nominate: true, pwd: 'guess' }));
    clock.advance(10);
    expect(target()).toBe(CLIENT);
    network.send(moved, SERVER, check());
    clock.advance(10);
    expect(target()).toBe(CLIENT);
    network.send(moved, SERVER, check({ nominate: true }));
    clock.advance(10);
    expect(target()).toBe(moved);
    expect(server.verified).toEqual([CLIENT, moved]);
    expect(server.peer.paths.map(({ key }) => key)).toEqual([CLIENT, moved]);
    clock.advance(10);
    expect(client.rtp.length).toBeGreaterThanOrEqual(3);
  });
});

describe('the end of a peer', () => {
  it('comes when consent is lost: nothing is sent any more', async () => {
    const { server, client, network, clock } = await connectedPair();
    network.loss = 1;
    clock.advance(29_000);
    expect(server.closed).toEqual([]);
    clock.advance(4_000);
    expect([server.closed, client.closed]).toEqual([['consent_lost'], ['consent_lost']]);
    const sent = network.sent.length;
    expect(server.peer.sendRtp(rtpPacket(1))).toBe(false);
    clock.advance(10_000);
    expect(network.sent.length).toBe(sent);
    expect(server.dropped).toEqual([CLIENT]);
    expect(clock.nextTimer()).toBeUndefined();
  });

  it('comes within 1.5 s where the client watches closely', async () => {
    const { server, client, network, clock } = await connectedPair({ clientIce: { checkIntervalMs: 500, lostAfterMs: 1500 } });
    clock.advance(10_000);
    network.listen(SERVER, () => undefined);
    clock.advance(2_100);
    expect(client.closed).toEqual(['consent_lost']);
    expect(server.closed).toEqual([]);
  });

  it('comes when the set-up takes too long', () => {
    const { server, client, clock } = pair({ loss: 1 });
    clock.advance(9_999);
    expect([server.closed, client.closed]).toEqual([[], []]);
    clock.advance(1);
    expect([server.closed, client.closed]).toEqual([['setup_timeout'], ['setup_timeout']]);
    expect(clock.nextTimer()).toBeUndefined();
  });

  it('may be decided within any handler', async () => {
    const { server, client, clock } = pair({
      server: {
        handlers: {
          onConnected: () => server.peer.close(),
          onClosed: (reason) => server.closed.push(reason),
        },
      },
    });
    await runUntil(clock, () => client.closed.length === 1);
    expect([server.closed, client.closed]).toEqual([['closed'], ['remote_closed']]);
    clock.advance(50);
    expect(clock.nextTimer()).toBeUndefined();
  });

  it('does not come with a data channel that nobody answers on: the audio goes on', async () => {
    const { server, client, clock, network } = await connectedPair(TELLING);
    const channel = client.peer.openChannel('oai-events');
    await runUntil(clock, () => server.channels.length === 1 && client.channels.length === 1);
    network.listen(SERVER, (datagram, path) => {
      if (datagram[0] !== DTLS_DATA) server.peer.handleDatagram(datagram, path, clock.now());
    });
    let sent = 0;
    while (channel && client.peer.sendMessage(channel, Buffer.alloc(50_000))) sent += 1;
    clock.advance(20_000);
    client.peer.sendRtp(rtpPacket(1));
    server.peer.sendRtp(rtpPacket(1));
    clock.advance(100);
    expect([sent > 5, server.rtp.length, client.rtp.length]).toEqual([true, 1, 1]);
    expect([server.peer.state, client.peer.state]).toEqual(['connected', 'connected']);
  });

  it('is understood when only SCTP says goodbye', async () => {
    const { server, client, clock, network } = await connectedPair(TELLING);
    client.peer.openChannel('oai-events');
    await runUntil(clock, () => server.channels.length === 1 && client.channels.length === 1);
    let lost = 0;
    network.listen(SERVER, (datagram, path) => {
      if (datagram[0] === DTLS_ALERT) lost += 1;
      else server.peer.handleDatagram(datagram, path, clock.now());
    });
    const before = clock.now();
    client.peer.close();
    await runUntil(clock, () => server.closed.length === 1);
    expect([lost, server.closed]).toEqual([1, ['remote_closed']]);
    expect(clock.now() - before).toBeLessThan(1000);
  });

  it('takes the data channels along', async () => {
    const { server, client, clock } = await connectedPair();
    const channel = client.peer.openChannel('oai-events');
    await runUntil(clock, () => server.channels.length === 1 && client.channels.length === 1);
    client.peer.close();
    expect(channel?.state).toBe('closed');
    if (channel) expect(client.peer.sendMessage(channel, 'too late')).toBe(false);
    await runUntil(clock, () => server.closed.length === 1);
    expect(server.channels[0]?.state).toBe('closed');
    expect(server.closed).toEqual(['remote_closed']);
    expect(client.peer.openChannel('more')).toBeUndefined();
  });

  it('stays the end: nothing that arrives later changes it', async () => {
    const { server, client, network, clock } = await connectedPair();
    const all = [...network.sent];
    server.peer.close();
    const sent = network.sent.length;
    for (const { datagram } of all) server.peer.handleDatagram(Buffer.from(datagram), network.path(SERVER, CLIENT), clock.now());
    expect(network.sent.length).toBe(sent);
    expect(server.closed).toEqual(['closed']);
    expect(client.closed).toEqual([]);
  });
});

describe('SRTP that overtakes the handshake', () => {
  it('is kept for a moment and heard', async () => {
    const { server, client, network, clock } = pair({ serverRole: 'client' });
    // Holds back DTLS towards the lite side, once the client has its keys.
    const held: Buffer[] = [];
    network.listen(SERVER, (datagram, path) => {
      if (packetKind(datagram) === 'dtls' && client.connected > 0) held.push(datagram);
      else server.peer.handleDatagram(datagram, path, clock.now());
    });
    network.listen(CLIENT, (datagram, path) => {
      const before = client.connected;
      client.peer.handleDatagram(datagram, path, clock.now());
      if (client.connected > before) for (let i = 0; i < 40; i += 1) client.peer.sendRtp(rtpPacket(i));
    });
    await runUntil(clock, () => client.connected === 1);
    await runUntil(clock, () => server.connected === 1 || held.length > 0);
    clock.advance(10);
    for (const datagram of held.splice(0)) server.peer.handleDatagram(datagram, network.path(SERVER, CLIENT), clock.now());
    await runUntil(clock, () => server.connected === 1);
    const { rtpReceived, dropped } = server.peer.snapshot();
    expect(rtpReceived + dropped.early_srtp).toBe(40);
    expect(rtpReceived).toBeGreaterThanOrEqual(32);
  });
});

import { createIdentity, type Identity } from '../../src/webrtc/dtls/identity.ts';
import type { IceClientOptions } from '../../src/webrtc/ice/ice-client.ts';
import { Peer } from '../../src/webrtc/peer.ts';
import type { PeerCloseReason, PeerHandlers, PeerOptions } from '../../src/webrtc/peer-options.ts';
import type { PeerChannel } from '../../src/webrtc/sctp/data-channels.ts';
import { FakeClock } from './fake-clock.ts';
import { MemoryNetwork, type MemoryNetworkOptions } from './memory-network.ts';

export const SERVER = '192.0.2.1:3478';
export const CLIENT = '198.51.100.2:40000';
export const ATTACKER = '203.0.113.66:6666';

export const serverIce = { ufrag: 'serverUfrag', pwd: 'server-password-of-22-c' };
export const clientIce = { ufrag: 'clientUfrag', pwd: 'client-password-of-22-c' };

/** A peer with everything that it told its owner. */
export interface ObservedPeer {
  readonly peer: Peer;
  readonly rtp: Buffer[];
  readonly rtcp: Buffer[];
  readonly channels: PeerChannel[];
  readonly messages: (string | Buffer)[];
  readonly verified: string[];
  readonly dropped: string[];
  readonly closed: PeerCloseReason[];
  connected: number;
}

export function observe(make: (handlers: PeerHandlers) => Peer): ObservedPeer {
  const seen = {
    rtp: [] as Buffer[],
    rtcp: [] as Buffer[],
    channels: [] as PeerChannel[],
    messages: [] as (string | Buffer)[],
    verified: [] as string[],
    dropped: [] as string[],
    closed: [] as PeerCloseReason[],
    connected: 0,
  };
  const peer = make({
    onConnected: () => {
      seen.connected += 1;
    },
    onRtp: (packet) => seen.rtp.push(Buffer.from(packet)),
    onRtcp: (packet) => seen.rtcp.push(Buffer.from(packet)),
    onChannel: (channel) => seen.channels.push(channel),
    onMessage: (_channel, message) => seen.messages.push(message),
    onPathVerified: ({ key }) => seen.verified.push(key),
    onPathDropped: ({ key }) => seen.dropped.push(key),
    onClosed: (reason) => seen.closed.push(reason),
  });
  return Object.assign(seen, { peer });
}

export interface PairOptions extends MemoryNetworkOptions {
  /** The lite side's DTLS role. */
  readonly serverRole?: 'client' | 'server';
  readonly client?: Partial<PeerOptions>;
  readonly clientIce?: Partial<IceClientOptions>;
  readonly server?: Partial<PeerOptions>;
  /** Starts both at once. Default true. */
  readonly start?: boolean;
}

// Making a key takes 1 ms, and a test file makes hundreds of pairs.
let identities: readonly [Identity, Identity] | undefined;

/** A lite peer and a light client, joined by a network in memory under a clock that only the test moves. */
export function peerPair(options: PairOptions = {}) {
  const clock = new FakeClock();
  const network = new MemoryNetwork(clock, options);
  identities ??= [createIdentity(clock.wallclock()), createIdentity(clock.wallclock())];
  const [serverIdentity, clientIdentity] = identities;
  const { serverRole = 'server' } = options;
  const server = observe(
    (handlers) =>
      new Peer(
        { clock, identity: serverIdentity },
        {
          ice: { type: 'lite', local: serverIce, remoteUfrag: clientIce.ufrag },
          dtlsRole: serverRole,
          remoteFingerprints: [clientIdentity.fingerprint],
          handlers,
          ...options.server,
        },
      ),
  );
  const client = observe(
    (handlers) =>
      new Peer(
        { clock, identity: clientIdentity },
        {
          ice: {
            type: 'client',
            local: clientIce,
            remote: serverIce,
            candidates: [network.path(CLIENT, SERVER)],
            random: () => 0.5,
            ...options.clientIce,
          },
          dtlsRole: serverRole === 'server' ? 'client' : 'server',
          remoteFingerprints: [serverIdentity.fingerprint],
          handlers,
          ...options.client,
        },
      ),
  );
  network.listen(SERVER, (datagram, path) => server.peer.handleDatagram(datagram, path, clock.now()));
  network.listen(CLIENT, (datagram, path) => client.peer.handleDatagram(datagram, path, clock.now()));
  if (options.start !== false) {
    server.peer.start();
    client.peer.start();
  }
  return { clock, network, server, client };
}

/** How long the condition may take by the real clock: SCTP has timers of its own, and a busy machine is slow. */
const REAL_DEADLINE_MS = 20_000;
/** Fake milliseconds that pass as fast as they can; from then on something real is waited for. */
const FAST_MS = 60_000;

/** Moves the fake clock and lets real promises run, until the condition holds. @throws after 60 s of fake and 20 s of real time */
export async function runUntil(clock: FakeClock, condition: () => boolean): Promise<void> {
  const fastUntil = clock.now() + FAST_MS;
  const deadline = performance.now() + REAL_DEADLINE_MS;
  while (!condition()) {
    const isFast = clock.now() < fastUntil;
    if (!isFast && performance.now() > deadline)
      throw new Error('the condition did not come true within 60 s of fake and 20 s of real time');
    clock.advance(5);
    await new Promise((resolve) => (isFast ? setImmediate(resolve) : setTimeout(resolve, 1)));
  }
}

/** An RTP packet without extensions. */
export function rtpPacket(sequence: number, payload = Buffer.alloc(80, sequence & 255), ssrc = 0x1234_5678): Buffer {
  const packet = Buffer.alloc(12 + payload.length);
  packet[0] = 0x80;
  packet[1] = 111;
  packet.writeUInt16BE(sequence & 0xffff, 2);
  packet.writeUInt32BE((sequence * 960) >>> 0, 4);
  packet.writeUInt32BE(ssrc, 8);
  payload.copy(packet, 12);
  return packet;
}

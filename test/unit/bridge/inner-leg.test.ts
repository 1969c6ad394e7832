import { describe, expect, test } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import type { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import type { DatagramSocket } from '../../../src/base/udp.ts';
import type { InnerEnd } from '../../../src/bridge/inner-connection.ts';
import { InnerLeg } from '../../../src/bridge/inner-leg.ts';
import { answerWebRtcOffer, parseWebRtcOffer } from '../../../src/sdp/webrtc.ts';
import { createIdentity } from '../../../src/webrtc/dtls/identity.ts';
import { Peer } from '../../../src/webrtc/peer.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryNetwork } from '../../support/memory-network.ts';

const BRIDGE = '192.0.2.1:20000';
const RELAY = '192.0.2.9:3478';
const OWNER = { ufrag: 'ringdownUfragOf22chars', pwd: 'ringdown-ice-password22' };

/** A bridge's inner leg and the owner's peer, over a network in memory. */
class Bench {
  readonly clock = new FakeClock();
  readonly network = new MemoryNetwork(this.clock, { delayMs: 1 });
  readonly ends: [number, InnerEnd][] = [];
  readonly heard: Buffer[] = [];
  leg!: InnerLeg;
  owner!: Peer;
  answer = '';
  connectedAt: number | undefined;
  ownerAnswers = true;
  socketClosed = false;

  static async open(candidates = [{ address: '192.0.2.9', port: 3478, transport: 'udp' as const }], nearRelay?: Endpoint): Promise<Bench> {
    const bench = new Bench();
    const { clock, network } = bench;
    const identity = createIdentity(clock.wallclock());
    const deps = {
      clock,
      log: createLog('silent'),
      identity: createIdentity(clock.wallclock()),
      bind: '192.0.2.1',
      openSocket: async () => bench.#socket(),
      ...(nearRelay && { nearRelay }),
    };
    bench.leg = await InnerLeg.create(deps, { maxPlaybackRateHz: 8000 });
    const offer = parseWebRtcOffer(bench.leg.offer);
    if ('fault' in offer) throw new Error(offer.fault.detail);
    bench.answer = answerWebRtcOffer(offer, { ...OWNER, fingerprint: identity.fingerprint, setup: 'active', candidates, ssrc: 1 });
    const owner = new Peer(
      { clock, identity },
      {
        ice: { type: 'lite', local: OWNER, remoteUfrag: offer.ice.ufrag },
        dtlsRole: 'client',
        remoteFingerprints: offer.fingerprints,
        handlers: { onRtp: (packet) => bench.heard.push(packet) },
      },
    );
    network.listen(RELAY, (datagram, path) => owner.handleDatagram(datagram, path, clock.now()));
    owner.start();
    bench.owner = owner;
    bench.leg.onConnected = () => {
      bench.connectedAt = clock.now();
    };
    bench.leg.onClosed = (reason) => bench.ends.push([clock.now(), reason]);
    return bench;
  }

  connect(): this {
    this.leg.connect(this.answer, () => this.ownerAnswers);
    this.clock.advance(100);
    return this;
  }

  #socket(): DatagramSocket {
    const [address = '', port] = BRIDGE.split(':');
    const socket: DatagramSocket = {
      local: { address, port: Number(port) },
      sendErrors: 0,
      onDatagram: undefined,
      send: (datagram, to) => this.network.send(BRIDGE, `${to.address}:${to.port}`, datagram),
      close: () => {
        this.socketClosed = true;
      },
    };
    this.network.listen(BRIDGE, (datagram, from) => socket.onDatagram?.(datagram, { address: from.address, port: from.port }));
    return socket;
  }
}

describe('the inner leg of a phone', () => {
  test('offers one Opus stream by its SSRC and no data channel', async () => {
    const { leg } = await Bench.open();
    expect(leg.offer).toContain('a=rtpmap:111 opus/48000/2');
    expect(leg.offer).toContain(`a=ssrc:${leg.ssrc} `);
    expect(leg.offer).not.toContain('m=application');
  });

  test('connects through the relay that the answer names, and carries audio both ways', async () => {
    const bench = (await Bench.open()).connect();
    expect(bench.connectedAt).toBeLessThan(20);
    const down: Buffer[] = [];
    bench.leg.onRtp = (packet) => down.push(packet);
    const packet = Buffer.from([0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3]);
    bench.leg.sendRtp(packet);
    bench.owner.sendRtp(packet);
    bench.clock.advance(10);
    expect(bench.heard).toEqual([packet]);
    expect(down).toEqual([packet]);
    bench.leg.close();
  });

  test('goes to the near relay alone when there is one, whatever the answer names', async () => {
    const named = [{ address: '192.0.2.77', port: 3478, transport: 'udp' as const }];
    const bench = (await Bench.open(named, { address: '192.0.2.9', port: 3478 })).connect();
    expect(bench.connectedAt).toBeLessThan(20);
    expect(bench.network.sent.filter(({ to }) => to.startsWith('192.0.2.77'))).toEqual([]);
    bench.leg.close();
  });

  test('gives nothing on a stranger, whatever it sends', async () => {
    const bench = (await Bench.open()).connect();
    for (let n = 0; n < 100; n++) bench.network.send(`192.0.2.66:${n + 1}`, BRIDGE, Buffer.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]));
    bench.clock.advance(10);
    expect(bench.network.sent.filter(({ to }) => to.startsWith('192.0.2.66'))).toEqual([]);
    expect(bench.ends).toEqual([]);
    bench.leg.close();
  });

  test.each(['nonsense', ''])('refuses the answer "%s"', async (answer) => {
    const { leg } = await Bench.open();
    expect(() => leg.connect(answer, () => true)).toThrow(expect.objectContaining({ code: 'ERR_MEDIA_FAILED' }) as GatewayError);
  });

  test('refuses an answer without a relay it could reach', async () => {
    const bench = await Bench.open([{ address: '2001:db8::1', port: 3478, transport: 'udp' }]);
    expect(() => bench.leg.connect(bench.answer, () => true)).toThrow(/no relay/);
  });

  test('outlives a relay that is away for seconds, as long as its owner answers', async () => {
    const bench = (await Bench.open()).connect();
    bench.clock.advance(1000);
    bench.network.loss = 1;
    bench.clock.advance(8000);
    bench.network.loss = 0;
    bench.clock.advance(2000);
    expect(bench.ends).toEqual([]);
    bench.leg.sendRtp(Buffer.from([0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]));
    bench.clock.advance(10);
    expect(bench.heard).toHaveLength(1);
    bench.leg.close();
  });

  test('is lost within 2.5 s when its owner does not answer any more', async () => {
    const bench = (await Bench.open()).connect();
    bench.clock.advance(1000);
    bench.network.loss = 1;
    bench.ownerAnswers = false;
    const at = bench.clock.now();
    bench.clock.advance(20_000);
    expect(bench.ends).toHaveLength(1);
    const [[endedAt, reason] = [0, '']] = bench.ends;
    expect(reason).toBe('owner_lost');
    expect(endedAt - at).toBeGreaterThan(1000);
    expect(endedAt - at).toBeLessThan(2600);
    bench.leg.close();
  });

  test('is lost after 10 s of silence, whoever answers', async () => {
    const bench = (await Bench.open()).connect();
    bench.network.loss = 1;
    const at = bench.clock.now();
    bench.clock.advance(20_000);
    expect(bench.ends.map(([, reason]) => reason)).toEqual(['consent_lost']);
    expect((bench.ends[0]?.[0] ?? 0) - at).toBeLessThan(10_100);
    bench.leg.close();
  });

  test('tells when its owner says goodbye, and not when it does so itself', async () => {
    const left = (await Bench.open()).connect();
    left.owner.close();
    left.clock.advance(10);
    expect(left.ends.map(([, reason]) => reason)).toEqual(['remote_closed']);
    left.leg.close();

    const leaving = (await Bench.open()).connect();
    leaving.leg.close();
    leaving.leg.close();
    leaving.clock.advance(10);
    expect(leaving.ends).toEqual([]);
    expect(leaving.owner.snapshot().closeReason).toBe('remote_closed');
    expect(leaving.socketClosed).toBe(true);
    expect(leaving.clock.nextTimer()).toBeUndefined();
  });
});

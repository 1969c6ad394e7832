import { afterEach, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { connectTcp } from '../../../src/base/tcp.ts';
import { bindUdp, type DatagramSocket } from '../../../src/base/udp.ts';
import { type ClusterKeys, deriveRelayKeys, parseClusterKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { InnerWire } from '../../../src/ownership/inner-wire.ts';
import { MemoryDirectory } from '../../../src/ownership/memory-directory.ts';
import type { RelayedPath } from '../../../src/ownership/relay-link.ts';
import { UdpRelayLink } from '../../../src/ownership/udp-relay-link.ts';
import { makeUfrag } from '../../../src/ownership/ufrag.ts';
import { FrameReader, writeFrame } from '../../../src/relay/frame-reader.ts';
import { Relay } from '../../../src/relay/relay.ts';
import { openRelayPorts } from '../../../src/relay/relay-ports.ts';
import { UdpTransceiverLink } from '../../../src/relay/udp-transceiver-link.ts';
import { EventLog, eventually } from '../../support/wait.ts';
import { checkFor, DTLS, RTP } from '../../unit/relay/stun-check.ts';

const LOOPBACK = { address: '127.0.0.1', port: 0 };
const RELAY = 1;
const OWNER = 7;
const running: { close(): void }[] = [];

afterEach(() => {
  for (const each of running.splice(0)) each.close();
});

function tidy<T extends { close(): void }>(each: T): T {
  running.push(each);
  return each;
}

function bind(at: Endpoint = LOOPBACK): Promise<DatagramSocket> {
  return eventually(() => bindUdp(at).catch(() => undefined), 2000, 'a port just closed to be free');
}

/** The transceiver's side of the wire, with whatever its clients send. */
async function transceiver(keys: ClusterKeys, at?: Endpoint) {
  const metrics = new Metrics();
  const wire = tidy(new InnerWire({ socket: await bind(at), keys: deriveRelayKeys(keys), clock: systemClock, metrics }, { nodeId: OWNER }));
  const link = tidy(new UdpRelayLink({ wire, clock: systemClock }));
  const received = new EventLog<{ readonly datagram: Buffer; readonly path: RelayedPath }>();
  link.onDatagram = (datagram, path) => received.push({ datagram, path });
  return { wire, link, received, metrics };
}

async function relay(keys: ClusterKeys, owner: Endpoint, ports: { public?: Endpoint; inner?: Endpoint } = {}) {
  const relayKeys = deriveRelayKeys(keys);
  const metrics = new Metrics();
  const { socket, listener } = await eventually(() => openRelayPorts(ports.public ?? LOOPBACK).catch(() => undefined), 2000, 'the port');
  const wire = tidy(new InnerWire({ socket: await bind(ports.inner), keys: relayKeys, clock: systemClock, metrics }, { nodeId: RELAY }));
  const directory = new MemoryDirectory([
    { nodeId: OWNER, inner: owner },
    { nodeId: RELAY, inner: wire.local },
  ]);
  const link = tidy(new UdpTransceiverLink({ wire, directory, clock: systemClock }, { endpoints: [socket.local] }));
  const front = tidy(new Relay({ socket, listener, link, keys: relayKeys, clock: systemClock, metrics }));
  const close = () => {
    front.close();
    link.close();
    wire.close();
  };
  return { front, link, wire, socket, metrics, ports: { public: socket.local, inner: wire.local }, close };
}

async function client(towards: Endpoint) {
  const socket = tidy(await bind());
  const received = new EventLog<Buffer>();
  socket.onDatagram = (datagram) => received.push(datagram);
  return { socket, received, send: (datagram: Buffer) => socket.send(datagram, towards) };
}

async function callOverUdp() {
  const keys = randomClusterKeys();
  const owner = await transceiver(keys);
  const front = await relay(keys, owner.wire.local);
  await eventually(() => owner.link.ready, 2000, 'the relay to be known');
  const phone = await client(front.ports.public);
  phone.send(checkFor(makeUfrag({ nodeId: OWNER, generation: 0 }, deriveRelayKeys(keys))));
  await owner.received.reach(1, 2000, 'the check');
  const path = owner.received.all[0]?.path as RelayedPath;
  return { keys, owner, front, phone, path };
}

describe('relay and transceiver in two processes', () => {
  it('find each other within one exchange, and the relay is a candidate', async () => {
    const keys = randomClusterKeys();
    const owner = await transceiver(keys);
    const startedAt = systemClock.now();
    const front = await relay(keys, owner.wire.local);
    await eventually(() => owner.link.ready, 500, 'the relay to be known');
    expect(systemClock.now() - startedAt).toBeLessThan(500);
    expect(owner.link.candidates).toEqual([{ ...front.ports.public, transport: 'udp' }]);
  });

  it('carry datagrams both ways, and the transceiver sees the true address of the client', async () => {
    const { owner, phone, path } = await callOverUdp();
    expect(path).toMatchObject({ address: '127.0.0.1', port: phone.socket.local.port, key: `1/127.0.0.1:${phone.socket.local.port}` });
    phone.send(DTLS);
    phone.send(RTP);
    await owner.received.reach(3, 2000, 'what the client sent');
    expect(owner.received.all.slice(1).map(({ datagram }) => datagram)).toEqual([DTLS, RTP]);
    expect(owner.received.all[2]?.path).toBe(path);
    const big = Buffer.alloc(4000, 7);
    for (const each of [RTP, big, DTLS]) path.send(each);
    await phone.received.reach(3, 2000, 'what the transceiver sent');
    expect(phone.received.all).toEqual([RTP, big, DTLS]);
  });

  it('put what is sent in one turn into few datagrams', async () => {
    const { phone, path, front } = await callOverUdp();
    let datagrams = 0;
    const deliver = front.wire;
    const handler = deliver.onDown;
    const seen = new Set<unknown>();
    deliver.onDown = (peer, frame) => {
      seen.add(frame.payload.buffer);
      datagrams = seen.size;
      handler?.(peer, frame);
    };
    for (let i = 0; i < 100; i += 1) path.send(Buffer.alloc(180, i));
    await phone.received.reach(100, 2000, 'all hundred');
    expect(phone.received.all.map((each) => each[0])).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(datagrams).toBeLessThanOrEqual(17);
  });

  it('forget a client whose session is gone', async () => {
    const { owner, front, phone, path } = await callOverUdp();
    owner.link.gone(path);
    await eventually(() => front.front.flows === 0, 2000, 'the flow to be forgotten');
    phone.send(DTLS);
    await eventually(async () => (await front.metrics.text()).includes('reason="no_check"} 1'), 2000, 'the drop to be counted');
    expect(owner.received.count).toBe(1);
  });

  it('do not talk without the same key', async () => {
    const owner = await transceiver(randomClusterKeys());
    await relay(randomClusterKeys(), owner.wire.local);
    await eventually(async () => (await owner.metrics.text()).includes('reason="forged"} 1'), 2000, 'the forged hello to be counted');
    expect(owner.link.ready).toBe(false);
  });

  it('talk while keys are being changed', async () => {
    const secret = (fill: number) => Buffer.alloc(32, fill).toString('base64');
    const owner = await transceiver(parseClusterKeys(`1:${secret(1)}\n2:${secret(2)}`));
    await relay(parseClusterKeys(`2:${secret(2)}\n1:${secret(1)}`), owner.wire.local);
    await eventually(() => owner.link.ready, 500, 'the relay to be known');
  });

  it('answer nothing to whoever does not hold the key', async () => {
    const { owner, front } = await callOverUdp();
    const stranger = tidy(await bind());
    const answers: Buffer[] = [];
    stranger.onDatagram = (datagram) => answers.push(datagram);
    for (const target of [owner.wire.local, front.wire.local]) {
      for (let i = 0; i < 50; i += 1) stranger.send(Buffer.alloc(30 + i, 0x52), target);
    }
    await eventually(async () => (await front.metrics.text()).includes('inner_dropped_total{reason="forged"} 50'), 2000, 'the drops');
    expect(answers).toEqual([]);
  });
});

describe('relay and transceiver of one node', () => {
  it('share its inner port, and serve each other and other nodes alike', async () => {
    const keys = randomClusterKeys();
    const owner = await transceiver(keys);
    const socket = tidy(await bind());
    const directory = new MemoryDirectory([{ nodeId: OWNER, inner: owner.wire.local }]);
    const link = tidy(new UdpTransceiverLink({ wire: owner.wire, directory, clock: systemClock }, { endpoints: [socket.local] }));
    tidy(new Relay({ socket, link, keys: deriveRelayKeys(keys), clock: systemClock, metrics: new Metrics() }));
    await relay(keys, owner.wire.local);
    await eventually(() => owner.link.candidates.length === 2, 1500, 'both relays to be known');
    const phone = await client(socket.local);
    phone.send(checkFor(makeUfrag({ nodeId: OWNER, generation: 0 }, deriveRelayKeys(keys))));
    await owner.received.reach(1, 2000, 'the check');
    owner.received.all[0]?.path.send(RTP);
    await phone.received.reach(1, 2000, 'the way back');
  });
});

describe('a relay that starts again on its ports', () => {
  it('learns a call from the first packet down, which is not lost, and carries the next one up', async () => {
    const { keys, owner, front, phone, path } = await callOverUdp();
    front.close();
    const again = await relay(keys, owner.wire.local, front.ports);
    path.send(RTP);
    await phone.received.reach(1, 2000, 'the first packet after the restart');
    expect(again.front.flows).toBe(1);
    const before = owner.received.count;
    phone.send(RTP);
    await owner.received.reach(before + 1, 2000, 'the first packet up');
    expect(owner.received.last?.path.key).toBe(path.key);
  });

  it('learns the calls of a silent transceiver from the transceiver', async () => {
    const { keys, owner, front, phone } = await callOverUdp();
    front.close();
    const again = await relay(keys, owner.wire.local, front.ports);
    await eventually(() => again.front.flows === 1, 500, 'the flow to be taught');
    const before = owner.received.count;
    phone.send(DTLS);
    await owner.received.reach(before + 1, 2000, 'the first packet up');
  });

  it('is not undone by datagrams of its former life', async () => {
    const { keys, owner, front } = await callOverUdp();
    const recorded: { readonly datagram: Buffer; readonly from: Endpoint }[] = [];
    // Listens between: what the old relay sends is recorded, and played to the owner again later.
    const tap = tidy(await bind());
    const eavesdropped = new EventLog<Buffer>();
    tap.onDatagram = (datagram, from) => {
      recorded.push({ datagram, from });
      eavesdropped.push(datagram);
    };
    front.wire.send('up', OWNER, tap.local, 'hello', Buffer.alloc(9));
    await eavesdropped.reach(1, 2000, 'a datagram of the old relay');
    front.close();
    const again = await relay(keys, owner.wire.local, front.ports);
    await eventually(() => again.front.flows === 1, 500, 'the new relay to be known');
    for (const { datagram } of recorded) tap.send(datagram, owner.wire.local);
    await eventually(async () => (await owner.metrics.text()).includes('reason="old_boot"} 1'), 2000, 'the recording to be refused');
  });
});

describe('a transceiver that starts again', () => {
  it('is found again by its relays at the next hello', async () => {
    const keys = randomClusterKeys();
    const owner = await transceiver(keys);
    const front = await relay(keys, owner.wire.local);
    await eventually(() => owner.link.ready, 500, 'the relay to be known');
    const at = owner.wire.local;
    owner.link.close();
    owner.wire.close();
    const again = await transceiver(keys, at);
    await eventually(() => again.link.ready, 2500, 'the relay to be known again');
    expect(again.link.candidates).toEqual([{ ...front.ports.public, transport: 'udp' }]);
  });
});

describe('a client over TCP', () => {
  async function connect(to: Endpoint) {
    const stream = connectTcp(to);
    tidy({ close: () => stream.destroy() });
    const reader = new FrameReader();
    const received = new EventLog<Buffer>();
    const end = new EventLog<'closed'>();
    stream.onData = (bytes) => {
      reader.push(bytes);
      for (let frame = reader.next(); frame; frame = reader.next()) received.push(frame);
    };
    stream.onClose = () => end.push('closed');
    return { received, end, send: (datagram: Buffer) => stream.write(writeFrame(datagram)) };
  }

  async function callOverTcp() {
    const keys = randomClusterKeys();
    const owner = await transceiver(keys);
    const front = await relay(keys, owner.wire.local);
    await eventually(() => owner.link.ready, 2000, 'the relay to be known');
    const ufrag = makeUfrag({ nodeId: OWNER, generation: 0 }, deriveRelayKeys(keys));
    const phone = await connect(front.ports.public);
    phone.send(checkFor(ufrag));
    await owner.received.reach(1, 2000, 'the check');
    return { keys, owner, front, phone, ufrag, path: owner.received.all[0]?.path as RelayedPath };
  }

  it('is carried both ways by the wire, large datagrams too', async () => {
    const { owner, phone, path } = await callOverTcp();
    expect(path).toMatchObject({ address: '127.0.0.1', key: expect.stringMatching(/^1\/tcp:127\.0\.0\.1:\d+#\d+$/) });
    const big = Buffer.alloc(8192, 7);
    for (const each of [DTLS, big, RTP]) phone.send(each);
    await owner.received.reach(4, 2000, 'what the client sent');
    expect(owner.received.all.slice(1).map(({ datagram }) => datagram)).toEqual([DTLS, big, RTP]);
    expect(new Set(owner.received.all.map(({ path }) => path)).size).toBe(1);
    for (const each of [RTP, big, DTLS]) path.send(each);
    await phone.received.reach(3, 2000, 'what the transceiver sent');
    expect(phone.received.all).toEqual([RTP, big, DTLS]);
  });

  it('is cut off when its session is gone', async () => {
    const { owner, phone, path, front } = await callOverTcp();
    owner.link.gone(path);
    await phone.end.reach(1, 2000, 'the relay to hang up');
    expect(front.front.flows).toBe(0);
  });

  it('is cut off when the relay starts again, connects anew, and is another way then', async () => {
    const { keys, owner, front, phone, ufrag, path } = await callOverTcp();
    front.close();
    await phone.end.reach(1, 2000, 'the connection to end');
    const again = await relay(keys, owner.wire.local, front.ports);
    path.send(RTP);
    const anew = await connect(again.ports.public);
    anew.send(checkFor(ufrag));
    await owner.received.reach(2, 2000, 'the check');
    const next = owner.received.all[1]?.path as RelayedPath;
    expect(next.key).not.toBe(path.key);
    path.send(DTLS);
    next.send(RTP);
    await anew.received.reach(1, 2000, 'the way back');
    expect(anew.received.all).toEqual([RTP]);
    expect(again.front.flows).toBe(1);
  });
});

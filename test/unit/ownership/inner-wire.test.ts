import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/base/metrics.ts';
import { deriveRelayKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { InnerWire } from '../../../src/ownership/inner-wire.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { EventLog, eventually } from '../../support/wait.ts';
import { FakeSocket } from './fake-socket.ts';

const keys = deriveRelayKeys(randomClusterKeys());
const elsewhere = { address: '192.0.2.9', port: 3479 };

function wire(nodeId: number, wallclock = 1_700_000_000_000) {
  const socket = new FakeSocket();
  const clock = new FakeClock(0, wallclock);
  const metrics = new Metrics();
  const made = new InnerWire({ socket, keys, clock, metrics }, { nodeId });
  const frames = new EventLog<string>();
  made.onUp = (peer, frame) => frames.push(`${peer.nodeId} ${frame.kind} ${frame.payload}`);
  const dropped = async (reason: string) => Number(new RegExp(`reason="${reason}"} (\\d+)`).exec(await metrics.text())?.[1] ?? 0);
  return { wire: made, socket, clock, frames, dropped };
}

/** What `from` sends up to node 7 in one datagram. */
async function datagramOf(from: ReturnType<typeof wire>, text: string, receiver = 7, direction: 'up' | 'down' = 'up'): Promise<Buffer> {
  const before = from.socket.sent.length;
  from.wire.send(direction, receiver, elsewhere, 'data', Buffer.from(text));
  return eventually(() => from.socket.sent[before]?.datagram, 10_000, 'the datagram to leave');
}

describe('the inner wire', () => {
  it('takes a datagram once', async () => {
    const [relay, node] = [wire(1), wire(7)];
    const datagram = await datagramOf(relay, 'a');
    for (let i = 0; i < 5; i += 1) node.socket.onDatagram?.(datagram, elsewhere);
    expect(node.frames.all).toEqual(['1 data a']);
    expect(await node.dropped('replayed')).toBe(4);
  });

  it('takes datagrams that overtake each other', async () => {
    const [relay, node] = [wire(1), wire(7)];
    const [a, b] = [await datagramOf(relay, 'a'), await datagramOf(relay, 'b')];
    for (const each of [b, a, b, a]) node.socket.onDatagram?.(each, elsewhere);
    expect(node.frames.all).toEqual(['1 data b', '1 data a']);
  });

  it('takes nothing meant for another node, another direction or sent by itself', async () => {
    const [relay, node] = [wire(1), wire(7)];
    node.socket.onDatagram?.(await datagramOf(relay, 'a', 8), elsewhere);
    node.socket.onDatagram?.(await datagramOf(relay, 'a', 7, 'down'), elsewhere);
    node.socket.onDatagram?.(await datagramOf(node, 'a', 1), elsewhere);
    expect(node.frames.all).toEqual([]);
    expect(await node.dropped('misdirected')).toBe(2); // the second has no listener here
  });

  it('keeps to the newest boot of a sender', async () => {
    const [old, young, node] = [wire(1, 1_700_000_000_000), wire(1, 1_700_000_001_000), wire(7)];
    const late = await datagramOf(old, 'late');
    node.socket.onDatagram?.(await datagramOf(old, 'a'), elsewhere);
    node.socket.onDatagram?.(await datagramOf(young, 'b'), elsewhere);
    node.socket.onDatagram?.(late, elsewhere);
    expect(node.frames.all).toEqual(['1 data a', '1 data b']);
    expect(await node.dropped('old_boot')).toBe(1);
  });

  it('bears a sender whose clock was set back, once its old life is silent', async () => {
    const [ahead, back, node] = [wire(1, 1_700_000_001_000), wire(1, 1_700_000_000_000), wire(7)];
    node.socket.onDatagram?.(await datagramOf(ahead, 'a'), elsewhere);
    node.clock.advance(5001);
    node.socket.onDatagram?.(await datagramOf(back, 'b'), elsewhere);
    expect(node.frames.all).toEqual(['1 data a', '1 data b']);
  });

  it('sends frames of one turn together and those of the next apart', async () => {
    const relay = wire(1);
    for (let i = 0; i < 4; i += 1) relay.wire.send('up', 7, elsewhere, 'data', Buffer.alloc(100));
    relay.wire.send('up', 8, elsewhere, 'data', Buffer.alloc(100));
    await eventually(() => relay.socket.sent.length > 0, 10_000, 'the first turn');
    expect(relay.socket.sent.map(({ datagram }) => datagram.length)).toEqual([25 + 4 * 121 + 8, 25 + 121 + 8]);
    await datagramOf(relay, 'x');
    expect(relay.socket.sent).toHaveLength(3);
  });

  it('refuses what no datagram should be', async () => {
    const relay = wire(1);
    relay.wire.send('up', 7, elsewhere, 'data', Buffer.alloc(8193));
    expect(await relay.dropped('too_large')).toBe(1);
    expect(relay.socket.sent).toEqual([]);
  });

  it('sends what is waiting when it closes', () => {
    const relay = wire(1);
    relay.wire.send('up', 7, elsewhere, 'data', Buffer.from('bye'));
    relay.wire.close();
    expect(relay.socket.sent).toHaveLength(1);
    expect(relay.socket.closed).toBe(true);
  });
});

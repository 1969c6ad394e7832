import dgram from 'node:dgram';
import dns from 'node:dns';
import net from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { sctpChecksum } from '../../../../src/webrtc/sctp/crc32c.ts';
import { sctpEnd, sctpPair } from '../../../support/sctp-pair.ts';

const ends: { association: { close(): void } }[] = [];

async function pair(lose?: () => boolean) {
  const both = await sctpPair(lose);
  ends.push(...both);
  return both;
}

afterEach(() => {
  for (const { association } of ends.splice(0)) association.close();
});

const until = (condition: () => boolean) => vi.waitFor(() => expect(condition()).toBe(true), { timeout: 10_000, interval: 2 });

function chunk(type: number, body = Buffer.alloc(0)): Buffer {
  const header = Buffer.from([type, 0, 0, 4 + body.length]);
  return Buffer.concat([header, body]);
}

/** A packet of the same ports and verification tag as `model`, with this chunk. */
function packetLike(model: Buffer | undefined, content: Buffer): Buffer {
  const packet = Buffer.concat([model?.subarray(0, 12) ?? Buffer.alloc(12), content]);
  packet.writeUInt32LE(sctpChecksum(packet), 8);
  return packet;
}

/** Timers that keep the process alive: werift's are of that kind, the test runner's own stay the same. */
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('WeriftAssociation', () => {
  it('connects and carries messages of every size both ways', async () => {
    const [left, right] = await pair();
    left.association.connect();
    await until(() => left.connected === 1 && right.connected === 1);
    const big = Buffer.alloc(256 * 1024, 7);
    left.association.send(3, 53, big, true);
    right.association.send(5, 51, Buffer.from('x'), false);
    await until(() => right.messages.length === 1 && left.messages.length === 1);
    expect(right.messages[0]?.data.equals(big)).toBe(true);
    expect(left.messages).toEqual([{ streamId: 5, payloadId: 51, data: Buffer.from('x') }]);
    expect([...left.faults, ...right.faults]).toEqual([]);
  });

  it('connects when both sides begin at once', async () => {
    const [left, right] = await pair();
    left.association.connect();
    right.association.connect();
    await until(() => left.association.connected && right.association.connected);
    left.association.send(1, 51, Buffer.from('a'), true);
    right.association.send(1, 51, Buffer.from('b'), true);
    await until(() => right.messages.length === 1 && left.messages.length === 1);
    expect([left.connected, right.connected]).toEqual([1, 1]);
  });

  it('carries everything in order through loss', async () => {
    let count = 0;
    const [left, right] = await pair(() => ++count % 7 === 3);
    left.association.connect();
    for (let i = 0; i < 40; i += 1) left.association.send(1, 51, Buffer.from(`message ${i}`), true);
    await until(() => right.messages.length === 40);
    expect(right.messages.map(({ data }) => data.toString())).toEqual(Array.from({ length: 40 }, (_, i) => `message ${i}`));
  });

  it('tells the far side when it closes, once, and leaves no timer behind', async () => {
    const before = timers();
    const [left, right] = await pair();
    left.association.connect();
    await until(() => left.association.connected && right.association.connected);
    left.association.send(1, 51, Buffer.from('unanswered'), true);
    expect(timers()).toBeGreaterThan(before);
    left.association.close();
    left.association.close();
    await until(() => right.closed.length === 1);
    expect([left.closed, right.closed]).toEqual([['closed'], ['remote_closed']]);
    // A packet in the middle of being handled must not bring it back.
    await until(() => timers() <= before);
    expect([...left.faults, ...right.faults]).toEqual([]);
  });

  it.each([
    ['SHUTDOWN', chunk(7, Buffer.alloc(4)), 'remote_closed'],
    ['an ABORT without a cause', chunk(6), 'remote_closed'],
    ['an ABORT by its user', chunk(6, Buffer.from('000c0008627965ff', 'hex')), 'remote_closed'],
    ['an ABORT for a protocol violation', chunk(6, Buffer.from('000d0004', 'hex')), 'ended'],
  ])('ends at once, and knows what for, when the far side sends %s', async (_what, farewell, reason) => {
    const before = timers();
    const [left, right] = await pair();
    left.association.connect();
    left.association.send(1, 51, Buffer.from('hello'), true);
    await until(() => right.messages.length === 1);
    left.association.handlePacket(packetLike(right.sent.at(-1), farewell));
    await until(() => left.closed.length === 1);
    expect(left.closed).toEqual([reason]);
    right.association.close();
    await until(() => timers() <= before);
    expect([...left.faults, ...right.faults]).toEqual([]);
  });

  it('takes no farewell that is for another association', async () => {
    const [left, right] = await pair();
    left.association.connect();
    left.association.send(1, 51, Buffer.from('hello'), true);
    await until(() => right.messages.length === 1);
    left.association.handlePacket(packetLike(left.sent.at(-1), chunk(6)));
    right.association.send(1, 51, Buffer.from('still there'), true);
    await until(() => left.messages.length === 1);
    expect(left.closed).toEqual([]);
  });

  it('leaves no timer behind when it is closed while connecting', async () => {
    const before = timers();
    const alone = await sctpEnd(() => undefined);
    alone.association.connect();
    alone.association.close();
    await until(() => timers() <= before);
    expect(alone.closed).toEqual(['closed']);
  });

  it('closes streams on request and says which', async () => {
    const [left, right] = await pair();
    left.association.connect();
    left.association.send(4, 51, Buffer.from('hello'), true);
    await until(() => right.messages.length === 1);
    right.association.send(4, 51, Buffer.from('hello'), true);
    await until(() => left.messages.length === 1);
    left.association.resetStream(4);
    await until(() => right.resets.includes(4) && left.resets.includes(4));
  });

  it('ends when a message grows beyond the limit without ever being whole', async () => {
    const [left, right] = await pair();
    left.association.connect();
    await until(() => left.association.connected);
    left.association.send(1, 53, Buffer.alloc(400 * 1024), true);
    await until(() => right.closed.length === 1);
    expect(right.closed).toEqual(['overflow']);
    expect(right.messages).toEqual([]);
  });

  it('ends when too many streams are used', async () => {
    const [left, right] = await pair();
    left.association.connect();
    for (let id = 0; id < 70; id += 1) left.association.send(id, 51, Buffer.from('x'), true);
    await until(() => right.closed.length === 1);
    expect(right.closed).toEqual(['overflow']);
  });

  it('is not set back by an INIT that comes late', async () => {
    const [left, right] = await pair();
    left.association.connect();
    await until(() => left.association.connected && right.association.connected);
    left.association.send(1, 51, Buffer.from('one'), true);
    await until(() => right.messages.length === 1);
    const init = left.sent[0];
    expect(init?.[12]).toBe(1);
    if (init) right.association.handlePacket(Buffer.from(init));
    left.association.send(1, 51, Buffer.from('two'), true);
    await until(() => right.messages.length === 2);
  });

  it('drops data before there is an association, and what is not SCTP', async () => {
    const alone = await sctpEnd(() => undefined);
    ends.push(alone);
    const data = Buffer.from('13881388112233440000000000030014000000010000000000000033616263', 'hex');
    const packet = Buffer.concat([data, Buffer.alloc(1)]);
    packet.writeUInt16BE(19, 14);
    packet.writeUInt32LE(sctpChecksum(packet), 8);
    alone.association.handlePacket(packet);
    alone.association.handlePacket(Buffer.from('nonsense'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(alone.association.droppedPackets).toBe(1);
    expect([alone.sent, alone.faults, alone.messages]).toEqual([[], [], []]);
  });

  it('goes on when its owner throws', async () => {
    const left = await sctpEnd((packet) => setImmediate(() => right.association.handlePacket(packet)));
    const right = await sctpEnd((packet) => setImmediate(() => left.association.handlePacket(packet)), {
      onMessage: () => {
        throw new Error('of the owner');
      },
    });
    ends.push(left, right);
    left.association.connect();
    left.association.send(1, 51, Buffer.from('one'), true);
    left.association.send(1, 51, Buffer.from('two'), true);
    await until(() => right.faults.length === 2);
    expect(right.association.connected).toBe(true);
  });

  it('opens no socket and asks no name server', async () => {
    const spies = [
      vi.spyOn(dgram, 'createSocket'),
      vi.spyOn(dns, 'lookup'),
      vi.spyOn(dns, 'resolve'),
      vi.spyOn(dns.promises, 'lookup'),
      vi.spyOn(net.Socket.prototype, 'connect'),
    ];
    vi.resetModules();
    await import('werift');
    const [left, right] = await pair();
    left.association.connect();
    await until(() => left.association.connected && right.association.connected);
    for (const spy of spies) expect(spy).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });
});

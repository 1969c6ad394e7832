import { beforeEach, describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/base/metrics.ts';
import type { ClientAddress } from '../../../src/ownership/client-address.ts';
import { writeFrame } from '../../../src/relay/frame-reader.ts';
import { TcpClients } from '../../../src/relay/tcp-clients.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeListener, type FakeStream } from './fake-stream.ts';
import { DTLS, RTP } from './stun-check.ts';

/** What stands for a check of a session of ours here: the relay decides in earnest. */
const CHECK = Buffer.from('check');

let clock: FakeClock;
let metrics: Metrics;
let listener: FakeListener;
let clients: TcpClients;
let received: { readonly datagram: Buffer; readonly client: ClientAddress }[];
let closed: string[];

function start(capacity?: number): void {
  clock = new FakeClock();
  metrics = new Metrics();
  listener = new FakeListener();
  received = [];
  closed = [];
  clients = new TcpClients(
    { listener, clock, metrics },
    {
      onDatagram: (datagram, client) => {
        if (received.every((each) => each.client !== client) && !datagram.equals(CHECK)) return false;
        received.push({ datagram, client });
        return true;
      },
      onClosed: (client) => closed.push(client.text.replace(/#.*/, '')),
    },
    capacity === undefined ? {} : { capacity },
  );
}

beforeEach(() => start());

/** A connection whose first frame was a check; `answered` when the owner has sent something. */
function known(address?: string, port?: number, answered = true): FakeStream {
  const stream = listener.connect(address, port);
  stream.receive(writeFrame(CHECK));
  const key = received.at(-1)?.client.key;
  if (answered && key !== undefined) clients.send(key, CHECK);
  stream.written.length = 0;
  return stream;
}

async function reasons(): Promise<string[]> {
  return [...(await metrics.text()).matchAll(/relay_tcp_closed_total\{reason="(\w+)"\} (\d+)/g)].map(
    ([, reason, count]) => `${reason} ${count}`,
  );
}

describe('a TCP client', () => {
  it('begins with a check, and what follows is taken apart frame by frame', () => {
    const stream = listener.connect();
    const all = Buffer.concat([CHECK, DTLS, RTP].map(writeFrame));
    stream.receive(all.subarray(0, 1), all.subarray(1, 10), all.subarray(10));
    expect(received.map(({ datagram }) => datagram)).toEqual([CHECK, DTLS, RTP]);
    expect(received[0]?.client).toMatchObject({ address: '192.0.2.7', port: 5000 });
    expect(new Set(received.map(({ client }) => client)).size).toBe(1);
  });

  it('is written to in frames', () => {
    const stream = known();
    const key = received[0]?.client.key ?? 0;
    expect(clients.send(key, RTP)).toBe(true);
    expect(stream.written).toEqual([writeFrame(RTP)]);
    expect(clients.send(-1, RTP)).toBe(false);
  });

  it.each([
    ['DTLS', writeFrame(DTLS)],
    ['an empty frame', writeFrame(Buffer.alloc(0))],
    ['HTTP', Buffer.from('\0\x04GET / HTTP/1.1\r\n\r\n')],
  ])('that begins with %s is shown out at once', async (_name, bytes) => {
    const stream = listener.connect();
    stream.receive(bytes, writeFrame(CHECK));
    expect(stream.destroyed).toBe(true);
    expect(stream.written).toEqual([]);
    expect([clients.size, received.length]).toEqual([0, 0]);
    expect(await reasons()).toEqual(['no_check 1']);
  });

  it.each([
    ['TLS', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00])],
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a frame no check fills', Buffer.from([0x04, 0x01])],
  ])('that begins with %s need not even finish', async (_name, bytes) => {
    const stream = listener.connect();
    stream.receive(bytes);
    expect(stream.destroyed).toBe(true);
    expect(await reasons()).toEqual(['too_large 1']);
  });

  it('that says nothing, or drips its first frame, is out within 5 s', async () => {
    const silent = listener.connect();
    const dripping = listener.connect('192.0.2.8');
    const check = writeFrame(CHECK);
    for (let at = 0; at < 6; at += 1) {
      dripping.receive(check.subarray(at, at + 1));
      clock.advance(750);
    }
    expect([silent.destroyed, dripping.destroyed]).toEqual([false, false]);
    clock.advance(500);
    expect([silent.destroyed, dripping.destroyed]).toEqual([true, true]);
    dripping.receive(check.subarray(6));
    expect(received).toEqual([]);
    expect(await reasons()).toEqual(['late 2']);
  });

  it('that announces a frame larger than 8192 bytes is shown out, and what came before counts', async () => {
    const stream = known();
    stream.receive(Buffer.concat([writeFrame(RTP), Buffer.from([0x20, 0x01])]));
    expect(received.map(({ datagram }) => datagram)).toEqual([CHECK, RTP]);
    expect(stream.destroyed).toBe(true);
    expect(await reasons()).toEqual(['too_large 1']);
  });

  it('whose check nobody answers goes after ten seconds', async () => {
    const stream = known(undefined, undefined, false);
    clock.advance(14_000);
    expect(stream.destroyed).toBe(false);
    clock.advance(1000);
    expect(stream.destroyed).toBe(true);
    expect(await reasons()).toEqual(['unanswered 1']);
  });

  it('that sends no whole frame for a minute goes, though bytes drip in', async () => {
    const stream = known();
    const big = writeFrame(Buffer.alloc(8192));
    for (let second = 0; second < 60; second += 1) {
      stream.receive(big.subarray(second, second + 1));
      clients.send(received[0]?.client.key ?? 0, RTP);
      clock.advance(1000);
    }
    expect(stream.destroyed).toBe(false);
    clock.advance(1000);
    expect(stream.destroyed).toBe(true);
    expect(await reasons()).toEqual(['idle 1']);
  });

  it('that does not read loses media first, then all, and goes after ten seconds', async () => {
    const stream = known();
    const key = received[0]?.client.key ?? 0;
    stream.queuedBytes = 8193;
    for (const each of [RTP, DTLS]) clients.send(key, each);
    expect(stream.written).toEqual([writeFrame(DTLS)]);
    stream.queuedBytes = 65_537;
    clients.send(key, DTLS);
    expect(stream.written).toHaveLength(1);
    clock.advance(10_000);
    expect(stream.destroyed).toBe(false);
    expect(await metrics.text()).toContain('relay_tcp_dropped_total{reason="slow"} 2');
    clock.advance(1000);
    expect(stream.destroyed).toBe(true);
    expect(await reasons()).toEqual(['slow 1']);
  });

  it('that reads slowly and catches up stays', () => {
    const stream = known();
    for (let i = 0; i < 4; i += 1) {
      stream.queuedBytes = 5000;
      clock.advance(8000);
      stream.queuedBytes = 0;
      clock.advance(1000);
    }
    expect(stream.destroyed).toBe(false);
  });

  it('that sends more than a thousand frames in half a second is read no further until the next look', async () => {
    const stream = known();
    const flood = Buffer.concat(Array.from({ length: 3000 }, () => writeFrame(RTP)));
    stream.receive(flood);
    expect(received).toHaveLength(1 + 1000);
    expect(stream.paused).toBe(true);
    clock.advance(500);
    expect(stream.paused).toBe(false);
    stream.receive(writeFrame(RTP));
    expect(received).toHaveLength(1 + 1001);
    expect(await metrics.text()).toContain('relay_tcp_dropped_total{reason="fast"} 2000');
  });

  it('may send empty frames, which go nowhere', () => {
    const stream = known();
    stream.receive(writeFrame(Buffer.alloc(0)), writeFrame(RTP));
    expect(received.map(({ datagram }) => datagram)).toEqual([CHECK, RTP]);
  });

  it('that leaves is forgotten, and nothing is written to it', () => {
    const stream = known();
    const key = received[0]?.client.key ?? 0;
    stream.onClose?.();
    expect(closed).toEqual(['tcp:192.0.2.7:5000']);
    expect(clients.send(key, RTP)).toBe(false);
    expect(clients.size).toBe(0);
  });

  it('goes with its session', async () => {
    const stream = known();
    clients.end(received[0]?.client.key ?? 0);
    expect(stream.destroyed).toBe(true);
    expect(closed).toHaveLength(1);
    expect(await reasons()).toEqual(['gone 1']);
  });

  it('from an address with a zone has no name in our frames, and is shown out', async () => {
    expect(listener.connect('fe80::1%eth0').destroyed).toBe(true);
    expect(await reasons()).toEqual(['bad_address 1']);
  });
});

describe('many TCP clients', () => {
  it('have a number each, whatever their address and port', () => {
    known();
    known();
    expect(new Set(received.map(({ client }) => client.key)).size).toBe(2);
  });

  it('of one address that show nothing are 32 at the most: the one that waited longest gives way', async () => {
    const streams = Array.from({ length: 40 }, (_, i) => listener.connect('192.0.2.7', i));
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([...Array<boolean>(8).fill(true), ...Array<boolean>(32).fill(false)]);
    expect(await reasons()).toEqual(['crowded 8']);
    expect(listener.connect('192.0.2.8').destroyed).toBe(false);
    expect(streams[8]?.destroyed).toBe(false);
  });

  it('of one IPv6 customer count as one address', () => {
    for (let i = 0; i < 100; i += 1) listener.connect(`2001:db8:0:1:${i.toString(16)}::1`, 1);
    expect(clients.size).toBe(32);
    listener.connect('2001:db8:0:2::1', 1);
    expect(clients.size).toBe(33);
  });

  it('that show nothing are 512 at the most, wherever they come from', () => {
    const first = listener.connect('198.51.100.1');
    for (let i = 0; i < 600; i += 1) listener.connect(`203.0.${i >> 8}.${i & 0xff}`);
    expect(clients.size).toBe(512);
    expect(first.destroyed).toBe(true);
  });

  it('of one address that are known are 256 at the most', async () => {
    const streams = Array.from({ length: 257 }, (_, i) => known('192.0.2.7', i));
    expect(streams.filter(({ destroyed }) => destroyed)).toEqual([streams[256]]);
    expect(known('192.0.2.8').destroyed).toBe(false);
    streams[0]?.onClose?.();
    expect(known('192.0.2.7', 999).destroyed).toBe(false);
  });

  it('that are known are bounded: the one silent longest gives way, and never to one that has shown nothing', () => {
    start(3);
    const streams = [1, 2, 3].map((host) => {
      clock.advance(100);
      return known(`192.0.2.${host}`);
    });
    streams[0]?.receive(writeFrame(RTP));
    for (let i = 0; i < 20; i += 1) listener.connect('198.51.100.1', i);
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
    clock.advance(100);
    known('192.0.2.4');
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
  });

  it('all go when the relay closes', () => {
    const streams = [known(), listener.connect('192.0.2.8')];
    clients.close();
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([true, true]);
    expect(listener.closed).toBe(true);
    expect(clock.nextTimer()).toBeUndefined();
  });

  it('are counted', async () => {
    known();
    listener.connect('192.0.2.8');
    expect(await metrics.text()).toContain('ringdown_relay_tcp_connections 2');
  });
});

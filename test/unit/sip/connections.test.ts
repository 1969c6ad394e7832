import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import type { MessageSocket } from '../../../src/base/message-socket.ts';
import { StreamTransport } from '../../../src/sip/embedded/stream-transport.ts';
import type { Call } from '../../../src/sip/engine.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ANSWER, EngineUnderTest, request } from './engine-under-test.ts';
import { FakeListener, FakeStream } from './fake-stream.ts';

/* Connections that come, wait, are kept open, and go. */

class FakeSocket implements MessageSocket {
  readonly remote: Endpoint = { address: '192.0.2.10', port: 41_000 };
  readonly encrypted = true;
  queuedBytes = 0;
  onMessage: ((message: Buffer) => void) | undefined;
  onClose: (() => void) | undefined;
  readonly sent: string[] = [];
  closed: number | undefined;

  send(message: Uint8Array): void {
    this.sent.push(Buffer.from(message).toString());
  }

  pause(): void {
    this.queuedBytes = 0;
  }

  resume(): void {
    this.queuedBytes = 0;
  }

  close(code: number): void {
    this.closed = code;
    this.onClose?.();
  }
}

async function calledOver(): Promise<{
  readonly test: EngineUnderTest;
  readonly socket: FakeSocket;
  readonly call: Call;
  readonly ends: string[];
}> {
  const test = await EngineUnderTest.start();
  const socket = new FakeSocket();
  test.engine.accept(socket);
  const invite = request({
    via: 'SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKws',
    contact: '<sip:a@df7jal23ls0d.invalid;transport=ws>',
  });
  socket.onMessage?.(Buffer.from(invite));
  const call = test.invites[0]?.answer(ANSWER);
  if (!call) throw new Error('no call came');
  const tag = /To: .*;tag=(\S+)/.exec(socket.sent.at(-1) ?? '')?.[1];
  socket.onMessage?.(Buffer.from(request({ method: 'ACK', toTag: tag, via: 'SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKack' })));
  const ends: string[] = [];
  call.onEnd = (end) => void ends.push(end);
  return { test, socket, call, ends };
}

describe('a WebSocket', () => {
  it('carries a call in both directions, whatever its Contact says', async () => {
    const { socket, call } = await calledOver();
    expect(socket.sent.at(-1)).toMatch(/\r\nContact: <sip:192\.0\.2\.1:5060;transport=ws>\r\n/);
    call.hangup();
    expect(socket.sent.at(-1)).toMatch(/^BYE sip:a@df7jal23ls0d\.invalid;transport=ws SIP\/2\.0\r\nVia: SIP\/2\.0\/WSS /);
  });

  it('that has gone ends its call with the next request, and nothing is dialled', async () => {
    const { test, socket, call, ends } = await calledOver();
    const sent = test.sent.length;
    socket.close(1006);
    call.hangup();
    test.clock.advance(0);
    expect(ends).toEqual(['hangup']);
    expect([test.sent.length, test.opened.length]).toEqual([sent, 0]);
    expect(await test.count('sip_web_sockets')).toBe(0);
  });

  it('is closed when it pings and does not read our answers', async () => {
    const test = await EngineUnderTest.start();
    const socket = new FakeSocket();
    test.engine.accept(socket);
    socket.queuedBytes = 1 << 20;
    socket.onMessage?.(Buffer.from('\r\n\r\n'));
    expect([socket.sent, socket.closed]).toEqual([[], 1008]);
  });

  it('is closed when it says nothing for half a minute, and when nobody used it for an hour', async () => {
    const test = await EngineUnderTest.start();
    const silent = new FakeSocket();
    const used = new FakeSocket();
    for (const socket of [silent, used]) test.engine.accept(socket);
    used.onMessage?.(Buffer.from('\r\n\r\n'));
    expect(used.sent).toEqual(['\r\n']);
    test.clock.advance(30_000);
    expect([silent.closed, used.closed]).toEqual([1008, undefined]);
    test.clock.advance(3_660_000);
    expect(used.closed).toBe(1000);
  });
});

describe('a TLS connection', () => {
  function transport(): {
    readonly clock: FakeClock;
    readonly tls: StreamTransport;
    readonly listener: FakeListener;
    readonly refused: string[];
    readonly opened: FakeStream[];
    /** What trunks show and believe, by their names. */
    readonly materials: Map<string, object>;
  } {
    const clock = new FakeClock();
    const materials = new Map<string, object>();
    const listener = new FakeListener({ address: '192.0.2.1', port: 5061 });
    const refused: string[] = [];
    const opened: FakeStream[] = [];
    const nothing = (): void => undefined;
    const tls = new StreamTransport(
      {
        clock,
        listener,
        connect: (to) => {
          const stream = new FakeStream(to);
          opened.push(stream);
          return stream;
        },
        admit: () => true,
        materialOf: ({ profile }) => materials.get(profile),
        onMessage: nothing,
        onFault: nothing,
        onSent: nothing,
        onRefused: (why) => void refused.push(why),
        onUnreached: (_to, name, why) => void refused.push(`${name?.name}: ${why}`),
      },
      { transport: 'tls' },
    );
    return { clock, tls, listener, refused, opened, materials };
  }
  const PEER = { address: '192.0.2.10', port: 40_000 };

  it('has ten seconds for its handshake and, after that, half a minute for its first message', () => {
    const { clock, listener, refused } = transport();
    const [stalled, secured, gone] = [1, 2, 3].map((host) => new FakeStream({ address: `192.0.2.${host}`, port: 40_000 }));
    for (const stream of [stalled, secured, gone]) if (stream) listener.onConnection?.(stream);
    secured?.onConnect?.();
    gone?.close();
    expect(refused).toEqual(['no_tls']);
    clock.advance(10_000);
    expect([stalled?.ended, secured?.ended]).toEqual(['destroyed', undefined]);
    clock.advance(20_000);
    expect([secured?.ended, refused]).toEqual(['destroyed', ['no_tls', 'too_slow', 'too_slow']]);
  });

  it('is used again for the same name and no other', () => {
    const { tls, opened } = transport();
    const to = (name: string, profile = 'carrier'): void => tls.flowTo(PEER, { profile, name }).send(Buffer.from('x'));
    to('a.example');
    opened[0]?.onConnect?.();
    to('a.example');
    expect(opened).toHaveLength(1);
    to('b.example');
    to('a.example', 'another');
    expect(opened).toHaveLength(3);
  });

  it('is used again as long as its certificate is the one that would be shown now, and stays for who uses it', () => {
    const { tls, opened, materials } = transport();
    const send = (): void => tls.flowTo(PEER, { profile: 'carrier', name: 'a.example' }).send(Buffer.from('x'));
    send();
    opened[0]?.onConnect?.();
    materials.set('another', {});
    send();
    expect(opened).toHaveLength(1);
    materials.set('carrier', {});
    send();
    opened[1]?.onConnect?.();
    send();
    expect([opened.map(({ written }) => written), opened.map(({ ended }) => ended)]).toEqual([
      ['xx', 'xx'],
      [undefined, undefined],
    ]);
  });

  it('of ours is told of when it does not come up in five seconds', () => {
    const { clock, tls, refused } = transport();
    let failed = 0;
    tls.flowTo(PEER, { profile: 'carrier', name: 'a.example' }).send(Buffer.from('x'), () => {
      failed += 1;
    });
    clock.advance(5000);
    expect(refused).toEqual(['too_slow', 'a.example: no answer']);
    expect(failed).toBeLessThanOrEqual(1); // by the socket, which has what was written
  });

  it('of ours is pinged, and given up when it has answered before and does not any more', () => {
    const { clock, tls, opened } = transport();
    tls.flowTo(PEER, { profile: 'carrier', name: 'a.example' }).send(Buffer.from('x'));
    const [stream] = opened;
    stream?.onConnect?.();
    clock.advance(95_000);
    expect(stream?.written).toBe('x\r\n\r\n');
    clock.advance(10_000);
    expect(stream?.ended).toBeUndefined(); // it may not know pings
    clock.advance(95_000);
    stream?.receive('\r\n');
    clock.advance(10_000);
    clock.advance(95_000 + 9_999);
    expect(stream?.ended).toBeUndefined();
    clock.advance(1);
    expect(stream?.ended).toBe('destroyed');
  });
});

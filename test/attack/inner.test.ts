import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import WebSocket from 'ws';
import { deriveDoorKeys, deriveRelayKeys, randomClusterKeys } from '../../src/ownership/cluster-keys.ts';
import { DialHandshake } from '../../src/ownership/door-handshake.ts';
import { DatagramWriter, type Direction, type FrameKind } from '../../src/ownership/inner-frame.ts';
import { AttackedGateway } from '../support/attacked-gateway.ts';
import { Attacker, lastingGapMs, paced } from '../support/attacker.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import { elapse, eventually } from '../support/wait.ts';
import type { WebCaller } from '../support/web-caller.ts';

/** The client 192.0.2.9:4000 in a frame. */
const CLIENT = Buffer.from('00000000000000000000ffffc00002090fa0', 'hex');

describe('the inner port', () => {
  let gateway: AttackedGateway;
  let slack: MachineSlack;
  let caller: WebCaller;
  let attacker: Attacker;

  beforeAll(async () => {
    gateway = await AttackedGateway.start();
    slack = new MachineSlack(gateway.process.pid);
    caller = await gateway.webCaller();
    await caller.connected();
    caller.talk();
    attacker = await Attacker.open();
  });

  afterAll(async () => {
    slack.stop();
    attacker.close();
    caller.close();
    await gateway.stop();
  });

  interface FrameOptions {
    readonly keys?: typeof gateway.keys;
    readonly direction?: Direction;
    readonly sender?: number;
    readonly receiver?: number;
    readonly bootId?: number;
    readonly counter?: number;
    readonly kind?: FrameKind;
    readonly payload?: Buffer;
  }

  const boot = Date.now() * 1024;

  /** A datagram as relays and transceivers exchange them. */
  function frame({ keys = gateway.keys, kind = 'data', payload = Buffer.from([0x80, 111]), ...header }: FrameOptions): Buffer {
    const writer = new DatagramWriter();
    writer.add(kind, payload, CLIENT);
    return writer.seal({ direction: 'up', sender: 3, receiver: 1, bootId: boot, counter: 1, ...header }, deriveRelayKeys(keys));
  }

  async function dropped(reason: string): Promise<number> {
    return (await gateway.process.metrics()).sum('ringdown_inner_dropped_total', { reason });
  }

  async function state(): Promise<readonly number[]> {
    const metrics = await gateway.process.metrics();
    return [metrics.value('ringdown_relay_flows'), metrics.value('ringdown_sessions')];
  }

  test('drops what the key did not make, what was made for others, and what it has had, and answers none of it', async () => {
    const from = caller.arrivals.count;
    const before = await state();
    const other = randomClusterKeys();
    const forged = (n: number): Buffer => {
      const good = frame({ counter: 1000 + n });
      switch (n % 5) {
        case 0:
          return randomBytes(60 + (n % 100));
        case 1:
          return frame({ keys: other, counter: 1000 + n });
        case 2:
          good[good.length - 1 - (n % 8)] = (good[good.length - 1 - (n % 8)] as number) ^ 1;
          return good;
        case 3:
          good[25 + (n % 20)] = (good[25 + (n % 20)] as number) ^ 0x40;
          return good;
        default:
          return good.subarray(0, good.length - 1 - (n % 30));
      }
    };
    await paced(2000, 2000, (n) => attacker.send(forged(n), gateway.inner));
    await elapse(200);
    expect(attacker.replies.count).toBe(0);
    expect(await dropped('forged')).toBe(2000);
    expect(await state()).toEqual(before);

    // Who holds the key is answered once: nobody here knows that client.
    const genuine = frame({ counter: 1 });
    attacker.send(genuine, gateway.inner);
    await attacker.replies.reach(1, 1000, 'the word that the session is gone');
    const reply = attacker.replies.last?.datagram ?? Buffer.alloc(0);
    for (let n = 0; n < 100; n++) attacker.send(genuine, gateway.inner);
    // Thrown back at its sender, and sent to somebody else.
    attacker.send(reply, gateway.inner);
    for (let n = 0; n < 20; n++) attacker.send(frame({ counter: 10 + n, receiver: 9 }), gateway.inner);
    // Of a start of that node before the present one.
    for (let n = 0; n < 20; n++) attacker.send(frame({ counter: 100 + n, bootId: boot - 1024 }), gateway.inner);
    await elapse(200);
    const figures = { replayed: await dropped('replayed'), misdirected: await dropped('misdirected'), old_boot: await dropped('old_boot') };
    const gap = lastingGapMs([caller.arrivals.all.slice(from).map(({ at }) => at)]);
    console.log(
      `figures: 2000 forged, ${JSON.stringify(figures)} dropped, ${attacker.replies.count - 1} answered; longest gap of a call ${gap.toFixed(0)} ms`,
    );
    expect(figures).toEqual({ replayed: 100, misdirected: 21, old_boot: 20 });
    expect(attacker.replies.count).toBe(1);
    expect(await state()).toEqual(before);
    expect(gap).toBeLessThan(60 + slack.worstMs);
    expect(gateway.unharmed).toBe(true);
  });

  test('the node door lets nobody in without the key, and a recording is not the key', async () => {
    const url = `ws://127.0.0.1:${gateway.inner.port}/node-door`;
    /** @returns what the door said before it closed */
    const knock = async (answer: (heard: string) => string | Buffer | undefined, first: string | Buffer): Promise<string[]> => {
      const socket = new WebSocket(url);
      const heard: string[] = [];
      socket.on('error', () => undefined);
      socket.on('open', () => socket.send(first));
      socket.on('message', (data: Buffer) => {
        heard.push(data.toString());
        const reply = answer(data.toString());
        if (reply !== undefined) socket.send(reply);
      });
      const closed = once(socket, 'close');
      await Promise.race([closed, elapse(3000)]);
      socket.terminate();
      return heard;
    };
    const self = { nodeId: 5, incarnation: 77 };
    const sessions = (await state())[1];
    const refused = async (): Promise<number> =>
      (await gateway.process.metrics()).sum('ringdown_door_refused_total', { reason: 'unproven' });
    const before = await refused();

    // With another key it cannot even check the door's own proof; it answers all the same.
    const stranger = new DialHandshake(self, 1, deriveDoorKeys({ current: { id: 1, secret: randomBytes(32) } }));
    const proof = JSON.stringify({ proof: randomBytes(32).toString('base64url') });
    expect(await knock(() => proof, stranger.hello())).toHaveLength(1);

    // What a right one once said, word for word.
    const right = new DialHandshake(self, 1, deriveDoorKeys(gateway.keys));
    let recorded = '';
    const socket = new WebSocket(url);
    socket.on('open', () => socket.send(right.hello()));
    const [welcome] = (await once(socket, 'message')) as [Buffer];
    recorded = right.handle(welcome.toString())?.reply ?? '';
    expect(recorded).toContain('proof');
    socket.terminate();
    expect(await knock(() => recorded, right.hello())).toHaveLength(1);
    // The door's own proof given back to it.
    expect(await knock((heard) => JSON.stringify({ proof: (JSON.parse(heard) as { proof: string }).proof }), right.hello())).toHaveLength(
      1,
    );
    // No handshake at all: envelopes, noise, depth, size, properties of objects.
    const noise: readonly (string | Buffer)[] = [
      '{"type":"beat","received":0,"status":{"roles":["sip"],"draining":false,"load":0}}',
      '{"__proto__":{"proof":"x"},"constructor":{"prototype":{}}}',
      '['.repeat(50_000),
      'x'.repeat(300_000),
      '',
      '\u0000',
      randomBytes(500),
    ];
    for (const each of noise) expect(await knock(() => undefined, each)).toEqual([]);
    const refusals = (await refused()) - before;
    console.log(`figures: ${refusals} strangers refused at the node door`);
    // Also the one that left in the middle.
    expect(refusals).toBeGreaterThanOrEqual(3 + noise.length);
    expect((await state())[1]).toBe(sessions);
    expect(gateway.unharmed).toBe(true);
    // The bridge that is in stays in.
    const another = await gateway.webCaller();
    await another.connected();
    another.close();
    await eventually(() => caller.closed.length === 0, 100, 'the call to go on');
  });
});

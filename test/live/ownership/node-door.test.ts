import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { Leg, LegEvent, LegHost, LegOpening, LegWish, OfferedLeg, OpenedLeg } from '../../../src/leg/leg.ts';
import { type ClusterKeys, deriveDoorKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import { DialHandshake } from '../../../src/ownership/door-handshake.ts';
import { DoorLegHost } from '../../../src/ownership/door-leg-host.ts';
import { MemoryDirectory } from '../../../src/ownership/memory-directory.ts';
import { NodeDoor, type NodeDoorOptions } from '../../../src/ownership/node-door.ts';
import { makeIncarnation } from '../../../src/ownership/node-id.ts';
import type { NodeStatus } from '../../../src/ownership/placement.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { LEDGER } from '../../support/turn-ledger.ts';
import { EventLog, eventually } from '../../support/wait.ts';

const opening: LegOpening = {
  origin: { kind: 'phone', from: 'sip:+15550100@192.0.2.1', to: 'sip:agent@192.0.2.2', sipCallId: 'a@b' },
  offer: 'v=0 offer',
};
const log = createLog('silent');
const running: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

/** Time that runs four times as fast: for the tests that wait for a wait to end. */
const quickClock: Clock = {
  now: () => systemClock.now() * 4,
  wallclock: () => systemClock.wallclock(),
  setTimer: (delayMs, callback) => systemClock.setTimer(delayMs / 4, callback),
};

/** A host of sessions that does what the test says. */
class ScriptedHost implements LegHost {
  readonly openings = new EventLog<{ readonly opening: LegOpening; readonly leg: Leg }>();
  readonly events = new EventLog<LegEvent>();
  answer: (leg: Leg) => Promise<Partial<OpenedLeg>> = async () => ({});
  describe: (kind: 'answer' | 'offer', sdp: string) => Promise<string> = async (kind, sdp) => `${kind}: ${sdp}`;

  async open(each: LegOpening, leg: Leg): Promise<OpenedLeg> {
    this.openings.push({ opening: each, leg });
    return {
      sessionId: 'rtc_7_AAAAAAAAAAAAAAAAAAAAAA',
      answer: 'v=0 answer',
      tell: (event) => this.events.push(event),
      reoffer: async (offer) => this.describe('offer', offer),
      ...(await this.answer(leg)),
    };
  }

  async offer(wish: LegWish, leg: Leg): Promise<OfferedLeg> {
    const { answer: offer, ...opened } = await this.open({ ...wish, offer: 'ours' }, leg);
    return { ...opened, offer, accept: async (answer) => void (await this.describe('answer', answer)) };
  }

  get leg(): Leg {
    const last = this.openings.last;
    if (!last) throw new Error('no leg');
    return last.leg;
  }
}

/** A bridge's leg that notes what is asked of it. */
function notedLeg(): { leg: Leg; commands: EventLog<string> } {
  const commands = new EventLog<string>();
  const leg: Leg = {
    answer: () => commands.push('answer'),
    reject: (cause) => commands.push(`reject ${cause}`),
    hangup: (cause) => commands.push(`hangup ${cause}`),
    report: (summary) => commands.push(`report ${summary.turns} ${summary.responseLatencyMs?.p50}`),
  };
  return { leg, commands };
}

async function door(clusterKeys: ClusterKeys, options: Partial<NodeDoorOptions> & { nodeId?: number; at?: Endpoint; clock?: Clock } = {}) {
  const host = new ScriptedHost();
  const metrics = new Metrics();
  const status: NodeStatus = { roles: ['transceiver'], draining: false, load: 0.25 };
  const self = { nodeId: options.nodeId ?? 7, incarnation: makeIncarnation() };
  const deps = { keys: deriveDoorKeys(clusterKeys), host, clock: options.clock ?? systemClock, log, metrics };
  const made = new NodeDoor(deps, { self, status: () => status, ...options });
  const at = await made.listen(options.at ?? { address: '127.0.0.1', port: 0 });
  running.push(() => made.close());
  return { door: made, host, at, metrics, self };
}

function bridge(clusterKeys: ClusterKeys, nodes: Record<number, Endpoint>, clock: Clock = systemClock) {
  const directory = new MemoryDirectory(Object.entries(nodes).map(([id, inner]) => ({ nodeId: Number(id), inner })));
  const deps = { keys: deriveDoorKeys(clusterKeys), clock, log, metrics: new Metrics(), directory };
  const self = { nodeId: 1, incarnation: makeIncarnation() };
  const status = (): NodeStatus => ({ roles: ['sip'], draining: false, load: 0 });
  const made = new DoorLegHost(deps, { self, status });
  running.push(() => made.stop());
  return made;
}

async function joined(options: Parameters<typeof door>[1] = {}) {
  const keys = randomClusterKeys();
  const node = await door(keys, options);
  const proxy = await TcpProxy.to(node.at);
  running.push(() => proxy.close());
  const legs = bridge(keys, { 7: proxy.local }, options.clock);
  await eventually(() => legs.ready, 2000, 'the node to be reached');
  return { keys, node, proxy, legs, host: node.host };
}

async function fault(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'none',
    (error: GatewayError) => error.code,
  );
}

describe('a call through the node door', () => {
  it('is opened, answered, told of keys, and ended', async () => {
    const { legs, host } = await joined();
    const { leg, commands } = notedLeg();
    const opened = await legs.open(opening, leg);
    expect(opened).toMatchObject({ sessionId: 'rtc_7_AAAAAAAAAAAAAAAAAAAAAA', answer: 'v=0 answer' });
    expect(host.openings.all[0]?.opening).toEqual(opening);
    host.leg.answer();
    await commands.find((each) => each === 'answer', 2000, 'the answer');
    opened.tell({ type: 'answered' });
    opened.tell({ type: 'dtmf', digit: '#', durationMs: 120 });
    opened.tell({ type: 'ended', cause: 'remote_hangup' });
    await host.events.reach(3, 2000, 'the events');
    expect(host.events.all).toEqual([
      { type: 'answered' },
      { type: 'dtmf', digit: '#', durationMs: 120 },
      { type: 'ended', cause: 'remote_hangup' },
    ]);
    host.leg.report({
      turns: 3,
      bargeIns: 1,
      responseLatencyMs: { p50: 310.5, p95: 600 },
      concealedFrames: 0,
      uplinkFrames: 900,
      ledger: LEDGER,
    });
    await commands.find((each) => each === 'report 3 310.5', 2000, 'the report, which comes after the end');
  });

  it('may be rejected before the answer to its offer is there', async () => {
    const { legs, host } = await joined();
    host.answer = async (leg) => {
      leg.reject('busy');
      return {};
    };
    const { leg, commands } = notedLeg();
    await legs.open(opening, leg);
    expect(commands.all).toEqual(['reject busy']);
  });

  it('is hung up by its owner, and hears nothing more when it has ended', async () => {
    const { legs, host } = await joined();
    const { leg, commands } = notedLeg();
    const opened = await legs.open(opening, leg);
    host.leg.hangup('agent_hangup');
    await commands.reach(1, 2000, 'the hang-up');
    opened.tell({ type: 'ended', cause: 'agent_hangup' });
    await host.events.reach(1, 2000, 'the end');
    host.leg.answer();
    opened.tell({ type: 'answered' });
    const next = notedLeg();
    await legs.open(opening, next.leg); // everything before it has passed
    expect(commands.all).toEqual(['hangup agent_hangup']);
    expect(host.events.count).toBe(1);
  });

  it.each(['ERR_OVERLOADED', 'ERR_BAD_OFFER', 'ERR_NO_COMMON_CODEC'] as const)('is refused with the code of the host: %s', async (code) => {
    const { legs, host } = await joined();
    host.answer = () => Promise.reject(new GatewayError(code, 'why'));
    await expect(legs.open(opening, notedLeg().leg)).rejects.toMatchObject({ code, message: 'why' });
  });

  it('is refused as an internal error when the host throws something else', async () => {
    const { legs, host } = await joined();
    host.answer = () => Promise.reject(new TypeError('x is undefined'));
    expect(await fault(legs.open(opening, notedLeg().leg))).toBe('ERR_INTERNAL');
  });

  it('waits two seconds for an owner that does not answer; a late one is told that nobody waits', async () => {
    const { legs, host } = await joined({ clock: quickClock });
    let late = () => {};
    host.answer = () =>
      new Promise((resolve) => {
        late = () => resolve({});
      });
    const startedAt = systemClock.now();
    expect(await fault(legs.open(opening, notedLeg().leg))).toBe('ERR_TIMEOUT');
    expect(systemClock.now() - startedAt).toBeLessThan(1500);
    late();
    await host.events.reach(1, 2000, 'the end');
    expect(host.events.all).toEqual([{ type: 'ended', cause: 'signalling_failed' }]);
  });

  it('does not bring an offer, an origin or a key that no call has', async () => {
    const { legs, host } = await joined();
    expect(await fault(legs.open({ ...opening, offer: 'x'.repeat(65_537) }, notedLeg().leg))).toBe('ERR_BAD_OFFER');
    const opened = await legs.open({ ...opening, origin: { kind: 'phone', from: `sip:${'9'.repeat(9000)}@x` } }, notedLeg().leg);
    expect(host.openings.last?.opening.origin.from).toHaveLength(2048);
    opened.tell({ type: 'dtmf', digit: 'emergency', durationMs: 1 });
    opened.tell({ type: 'dtmf', digit: '1', durationMs: 1 });
    await host.events.reach(1, 2000, 'the good key');
    expect(host.events.all).toEqual([{ type: 'dtmf', digit: '1', durationMs: 1 }]);
  });

  it('carries the largest offer there may be', async () => {
    const { legs, host } = await joined();
    const offer = '\r\n'.repeat(32_768);
    await legs.open({ ...opening, offer }, notedLeg().leg);
    expect(host.openings.last?.opening.offer).toBe(offer);
  });

  it('is one of a bounded number', async () => {
    const { legs } = await joined({ maxLegs: 3 });
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => fault(legs.open(opening, notedLeg().leg))));
    expect(outcomes).toEqual(['none', 'none', 'none', 'ERR_OVERLOADED', 'ERR_OVERLOADED']);
  });
});

describe('a browser that is called through the node door', () => {
  it('has an offer of the host, answers it before it is up, and offers again', async () => {
    const { legs, host } = await joined();
    const { origin } = opening;
    const opened = await legs.offer({ origin: { ...origin, media: 'browser' } }, notedLeg().leg);
    expect(opened).toMatchObject({ sessionId: 'rtc_7_AAAAAAAAAAAAAAAAAAAAAA', offer: 'v=0 answer' });
    expect(host.openings.last?.opening.origin.media).toBe('browser');
    await opened.accept('v=0 of the browser');
    opened.tell({ type: 'answered' });
    expect(await opened.reoffer('v=0 hold')).toBe('offer: v=0 hold');
    host.describe = () => Promise.reject(new GatewayError('ERR_BAD_OFFER', 'the fingerprint is another one'));
    await expect(opened.reoffer('v=0')).rejects.toMatchObject({ code: 'ERR_BAD_OFFER', message: 'the fingerprint is another one' });
    await expect(opened.accept('v=0')).rejects.toMatchObject({ code: 'ERR_BAD_OFFER' });
    expect(await fault(opened.reoffer('x'.repeat(65_537)))).toBe('ERR_BAD_OFFER');
    host.describe = async () => 'x'.repeat(65_537);
    expect(await fault(opened.reoffer('v=0'))).toBe('ERR_INTERNAL');
    expect(host.events.all).toEqual([{ type: 'answered' }]);
  });

  it('is not waited for longer than two seconds, nor when its call has ended or its owner is gone', async () => {
    const { legs, host, proxy } = await joined({ clock: quickClock });
    host.describe = () => new Promise(() => undefined);
    const wish = { origin: opening.origin };
    const [one, two] = [await legs.offer(wish, notedLeg().leg), await legs.offer(wish, notedLeg().leg)];
    const startedAt = systemClock.now();
    expect(await fault(one.accept('v=0'))).toBe('ERR_TIMEOUT');
    expect(systemClock.now() - startedAt).toBeLessThan(1500);
    const ended = fault(one.reoffer('v=0'));
    one.tell({ type: 'ended', cause: 'remote_hangup' });
    expect(await ended).toBe('ERR_INVALID_STATE');
    proxy.break();
    expect(['ERR_TIMEOUT', 'ERR_NODE_UNREACHABLE']).toContain(await fault(two.reoffer('v=0')));
    await eventually(() => !legs.ready, 6500, 'the node to be given up');
    expect(await fault(legs.offer(wish, notedLeg().leg))).toBe('ERR_NODE_UNREACHABLE');
  });

  it('answers nothing on a leg that it offered itself', async () => {
    const { legs } = await joined();
    const opened = (await legs.open(opening, notedLeg().leg)) as OpenedLeg & Partial<OfferedLeg>;
    expect(opened.accept).toBeUndefined();
  });
});

describe('a connection that breaks in mid-call', () => {
  it('heals with nothing lost and nothing twice', async () => {
    const { legs, host, proxy } = await joined();
    const { leg, commands } = notedLeg();
    const opened = await legs.open(opening, leg);
    for (let round = 0; round < 5; round += 1) {
      proxy.cut();
      for (const digit of '123') opened.tell({ type: 'dtmf', digit, durationMs: round });
      host.leg.answer();
      await eventually(() => proxy.taken === round + 2 && legs.ready, 2000, 'the connection to be back');
      opened.tell({ type: 'dtmf', digit: '4', durationMs: round });
    }
    await host.events.reach(20, 2000, 'all keys');
    const pressed = host.events.all.map((event) => (event.type === 'dtmf' ? `${event.durationMs}${event.digit}` : event.type));
    expect(pressed).toEqual([0, 1, 2, 3, 4].flatMap((round) => ['1', '2', '3', '4'].map((digit) => `${round}${digit}`)));
    await commands.reach(5, 2000, 'all answers');
    expect(commands.all).toEqual(Array(5).fill('answer'));
    expect(proxy.taken).toBe(6);
  });

  it('makes a new call wait, not fail', async () => {
    const { legs, proxy, host } = await joined();
    proxy.break();
    const waiting = legs.openAt(7, opening, notedLeg().leg);
    proxy.mend();
    expect(await fault(waiting)).toBe('none');
    expect(host.openings.count).toBe(1);
  });

  it('for longer than five seconds ends the call at both ends', async () => {
    const { legs, proxy, host } = await joined({ clock: quickClock });
    const { leg, commands } = notedLeg();
    await legs.open(opening, leg);
    proxy.break();
    await commands.reach(1, 6500, 'the bridge to give up');
    expect(commands.all).toEqual(['hangup owner_lost']);
    await host.events.reach(1, 1500, 'the host to give up');
    expect(host.events.all).toEqual([{ type: 'ended', cause: 'signalling_failed' }]);
    expect(await fault(legs.open(opening, notedLeg().leg))).toBe('ERR_NODE_UNREACHABLE');
  });

  it('to a node that has started again ends the call as owner_lost, at once', async () => {
    const { keys, legs, proxy, node } = await joined();
    const { leg, commands } = notedLeg();
    await legs.open(opening, leg);
    const pendingLeg = notedLeg();
    node.host.answer = () => new Promise(() => {});
    const pending = fault(legs.open(opening, pendingLeg.leg));
    await node.host.openings.reach(2, 2000, 'the second call');
    proxy.break();
    await node.door.close();
    const again = await door(keys);
    proxy.lead(again.at);
    proxy.mend();
    await commands.reach(1, 2000, 'the loss to be noticed');
    expect(commands.all).toEqual(['hangup owner_lost']);
    expect(['ERR_NODE_UNREACHABLE', 'ERR_TIMEOUT']).toContain(await pending);
    await eventually(() => legs.ready, 2000, 'the new node to be reached');
    expect(await fault(legs.open(opening, notedLeg().leg))).toBe('none');
  });

  it('from a bridge that has started again ends its calls at the host', async () => {
    const { keys, legs, proxy, host } = await joined();
    await legs.open(opening, notedLeg().leg);
    proxy.hold(); // the old process is frozen, its connection still stands
    const young = bridge(keys, { 7: proxy.local });
    await host.events.reach(1, 2500, 'the host to notice');
    expect(host.events.all).toEqual([{ type: 'ended', cause: 'signalling_failed' }]);
    await eventually(() => young.ready, 2000, 'the new bridge to be served');
  });

  it('because the other side does not read any more is given up after three seconds', async () => {
    const { legs, proxy, host } = await joined({ clock: quickClock });
    const { leg, commands } = notedLeg();
    const opened = await legs.open(opening, leg);
    proxy.hold();
    opened.tell({ type: 'dtmf', digit: '5', durationMs: 1 });
    await eventually(() => proxy.taken === 2, 4500, 'a second connection');
    await host.events.reach(1, 2000, 'the key');
    expect(commands.all).toEqual([]);
  });
});

describe('several nodes', () => {
  it('get calls by their load, and none while they drain', async () => {
    const keys = randomClusterKeys();
    const status: Record<number, NodeStatus> = {
      7: { roles: ['transceiver'], draining: false, load: 0.5 },
      8: { roles: ['transceiver'], draining: false, load: 0.1 },
      9: { roles: ['relay'], draining: false, load: 0 },
    };
    const of = (nodeId: number) => door(keys, { nodeId, status: () => status[nodeId] ?? { roles: [], draining: true, load: 1 } });
    const [seven, eight, nine] = await Promise.all([of(7), of(8), of(9)]);
    const legs = bridge(keys, { 7: seven.at, 8: eight.at, 9: nine.at });
    await eventually(() => legs.nodes().length === 3, 2000, 'all nodes to be reached');
    await legs.open(opening, notedLeg().leg);
    expect(eight.host.openings.count).toBe(1);
    status[8] = { roles: ['transceiver'], draining: true, load: 0.1 };
    eight.door.statusChanged();
    await eventually(() => legs.nodes().some((each) => each.draining), 500, 'the drain to be known');
    await legs.open(opening, notedLeg().leg);
    expect(seven.host.openings.count).toBe(1);
    status[7] = { roles: ['transceiver'], draining: false, load: 1 };
    seven.door.statusChanged();
    await eventually(() => !legs.ready, 500, 'the node to be full');
    expect(await fault(legs.open(opening, notedLeg().leg))).toBe('ERR_OVERLOADED');
    expect(nine.host.openings.count).toBe(0);
  });

  it('stand in for one that refuses', async () => {
    const keys = randomClusterKeys();
    const [seven, eight] = await Promise.all([door(keys, { nodeId: 7 }), door(keys, { nodeId: 8 })]);
    seven.host.answer = () => Promise.reject(new GatewayError('ERR_OVERLOADED', 'full'));
    const legs = bridge(keys, { 7: seven.at, 8: eight.at });
    await eventually(() => legs.nodes().length === 2, 2000, 'both nodes to be reached');
    expect(await fault(legs.open(opening, notedLeg().leg))).toBe('none');
    expect(eight.host.openings.count).toBe(1);
  });

  it('that nobody has reached are unreachable at once', async () => {
    const legs = bridge(randomClusterKeys(), { 7: { address: '127.0.0.1', port: 1 } });
    const startedAt = systemClock.now();
    expect(await fault(legs.open(opening, notedLeg().leg))).toBe('ERR_NODE_UNREACHABLE');
    expect(await fault(legs.openAt(7, opening, notedLeg().leg))).toBe('ERR_NODE_UNREACHABLE');
    expect(systemClock.now() - startedAt).toBeLessThan(200);
  });
});

describe('whoever else knocks at the node door', () => {
  const url = (at: Endpoint, path = '/node-door') => `ws://127.0.0.1:${at.port}${path}`;

  function knock(
    at: Endpoint,
    path?: string,
    localAddress = '127.0.0.1',
  ): { socket: WebSocket; closed: Promise<void>; messages: EventLog<string> } {
    const socket = new WebSocket(url(at, path), { localAddress });
    const messages = new EventLog<string>();
    socket.on('message', (data: Buffer) => messages.push(data.toString()));
    socket.on('error', () => {});
    running.push(() => socket.terminate());
    return { socket, messages, closed: new Promise((resolve) => socket.on('close', () => resolve())) };
  }

  it('with the wrong key never reaches the host', async () => {
    const node = await door(randomClusterKeys());
    const legs = bridge(randomClusterKeys(), { 7: node.at });
    await eventually(async () => (await node.metrics.text()).includes('reason="unproven"} 2'), 3000, 'two refusals');
    expect(legs.ready).toBe(false);
    expect(node.host.openings.count).toBe(0);
  });

  it('with a recorded handshake is turned away', async () => {
    const keys = randomClusterKeys();
    const node = await door(keys);
    const dial = new DialHandshake({ nodeId: 1, incarnation: 5 }, 7, deriveDoorKeys(keys));
    const first = knock(node.at);
    await eventually(() => first.socket.readyState === WebSocket.OPEN, 1000, 'the socket');
    first.socket.send(dial.hello());
    await first.messages.reach(1, 1000, 'the welcome');
    const proof = dial.handle(first.messages.all[0] ?? '')?.reply ?? '';
    first.socket.send(proof);
    const replay = knock(node.at);
    await eventually(() => replay.socket.readyState === WebSocket.OPEN, 1000, 'the socket');
    replay.socket.send(dial.hello());
    replay.socket.send(proof);
    await eventually(
      replay.closed.then(() => true),
      1000,
      'the replay to be cut',
    );
    expect(await node.metrics.text()).toContain('reason="unproven"} 1');
  });

  it('with garbage is cut, and the calls of others go on', async () => {
    const { legs, node, host } = await joined();
    const opened = await legs.open(opening, notedLeg().leg);
    const garbage = ['', 'x', '{}', '{"version":1}', '[1', '\u0000', 'y'.repeat(200_000), 'z'.repeat(300_000)];
    for (const each of garbage) {
      const { socket, closed } = knock(node.at);
      await eventually(() => socket.readyState === WebSocket.OPEN, 1000, 'the socket');
      socket.send(each);
      await eventually(
        closed.then(() => true),
        1000,
        'the connection to be cut',
      );
    }
    const binary = knock(node.at);
    await eventually(() => binary.socket.readyState === WebSocket.OPEN, 1000, 'the socket');
    binary.socket.send(Buffer.alloc(100));
    await eventually(
      binary.closed.then(() => true),
      1000,
      'the connection to be cut',
    );
    opened.tell({ type: 'dtmf', digit: '1', durationMs: 1 });
    await host.events.reach(1, 1000, 'the key');
  });

  it('and says nothing is cut within seconds', async () => {
    const node = await door(randomClusterKeys(), { clock: quickClock });
    const silent = knock(node.at);
    await eventually(
      silent.closed.then(() => true),
      3000,
      'the silent socket to be cut',
    );
  });

  it('and proves itself, but then talks garbage, is cut and gets nowhere', async () => {
    const keys = randomClusterKeys();
    const node = await door(keys);
    const dial = new DialHandshake({ nodeId: 1, incarnation: 5 }, 7, deriveDoorKeys(keys));
    const insider = knock(node.at);
    await eventually(() => insider.socket.readyState === WebSocket.OPEN, 1000, 'the socket');
    insider.socket.send(dial.hello());
    await insider.messages.reach(1, 1000, 'the welcome');
    const admitted = dial.handle(insider.messages.all[0] ?? '');
    insider.socket.send(admitted?.reply ?? '');
    insider.socket.send(admitted?.channel.seal('{"type":"message","sequence":1,"received":0,"message":{"type":"open"}}') ?? '');
    await eventually(
      insider.closed.then(() => true),
      1000,
      'the insider to be cut',
    );
    expect(node.host.openings.count).toBe(0);
  });

  it('by HTTP finds nothing', async () => {
    const node = await door(randomClusterKeys());
    const base = `http://127.0.0.1:${node.at.port}`;
    expect((await fetch(`${base}/`)).status).toBe(404);
    expect((await fetch(`${base}/node-door`)).status).toBe(404);
    const elsewhere = knock(node.at, '/other');
    await eventually(
      elsewhere.closed.then(() => true),
      1000,
      'the other path to be refused',
    );
    expect(await node.metrics.text()).toContain('reason="path"} 1');
  });

  it('with half a request is cut within seconds', async () => {
    const node = await door(randomClusterKeys());
    const socket = connect(node.at.port, '127.0.0.1');
    running.push(() => socket.destroy());
    socket.write('GET /node-door HTTP/1.1\r\nHost: x\r\n');
    await eventually(new Promise((resolve) => socket.on('close', () => resolve(true)).resume()), 7500, 'the half request to be cut');
  });

  it('is one of at most 64 strangers', async () => {
    const node = await door(randomClusterKeys());
    // From four machines: one alone gets half of the places.
    const many = Array.from({ length: 80 }, (_, n) => knock(node.at, undefined, `127.0.0.${2 + (n % 4)}`));
    await eventually(async () => (await node.metrics.text()).includes('reason="strangers"} 16'), 2000, 'the surplus to be refused');
    for (const each of many) each.socket.terminate();
  });

  it('does not keep others out, however often it comes from one address', async () => {
    const keys = randomClusterKeys();
    const node = await door(keys);
    const many = Array.from({ length: 200 }, () => knock(node.at, undefined, '127.0.0.66'));
    await eventually(() => many.filter(({ socket }) => socket.readyState === WebSocket.CLOSED).length >= 168, 2000, 'most to be cut');
    const legs = bridge(keys, { 7: node.at });
    await eventually(() => legs.ready, 1000, 'the bridge to come in');
    for (const each of many) each.socket.terminate();
  });
});

describe('the door itself', () => {
  it('says which port is taken and what moves it', async () => {
    const keys = randomClusterKeys();
    const node = await door(keys);
    await expect(door(keys, { at: node.at })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      message: expect.stringContaining('--inner-port'),
    });
  });

  it('closes when all that was said before has arrived, though the bridges still talk', async () => {
    const keys = randomClusterKeys();
    const node = await door(keys);
    const legs = bridge(keys, { 7: node.at });
    await eventually(() => legs.ready, 2000, 'the node to be reached');
    const callers = Array.from({ length: 60 }, notedLeg);
    const opened = await Promise.all(callers.map(({ leg }) => legs.open(opening, leg)));
    for (const { tell } of opened) tell({ type: 'dtmf', digit: '1', durationMs: 100 });
    const summary = { turns: 3, bargeIns: 0, responseLatencyMs: undefined, concealedFrames: 0, uplinkFrames: 0, ledger: LEDGER };
    for (const { leg } of node.host.openings.all) {
      leg.hangup('shutdown');
      leg.report(summary);
    }
    await node.door.close();
    expect(callers.map(({ commands }) => commands.all)).toEqual(callers.map(() => ['hangup shutdown', 'report 3 undefined']));
  });

  it('closes soon, even when a bridge does not say goodbye', async () => {
    const { node, legs, proxy } = await joined();
    await legs.open(opening, notedLeg().leg);
    proxy.hold();
    const began = performance.now();
    await node.door.close();
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('closes at once with calls, strangers and half requests before it', async () => {
    const { node, legs, host } = await joined();
    await legs.open(opening, notedLeg().leg);
    const stranger = new WebSocket(`ws://127.0.0.1:${node.at.port}/node-door`);
    stranger.on('error', () => {});
    await eventually(() => stranger.readyState === WebSocket.OPEN, 1000, 'the stranger');
    const half = connect(node.at.port, '127.0.0.1').on('error', () => {});
    half.write('GET');
    const startedAt = systemClock.now();
    await node.door.close();
    await node.door.close();
    expect(systemClock.now() - startedAt).toBeLessThan(500);
    expect(host.events.all).toEqual([{ type: 'ended', cause: 'signalling_failed' }]);
  });
});

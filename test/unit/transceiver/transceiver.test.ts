import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { liveOpusCodecs, loadOpus } from '../../../src/audio/opus.ts';
import type { TransportAddress } from '../../../src/base/addresses.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { Tick, Ticker } from '../../../src/base/ticker.ts';
import type { EndCause, Leg, OpenedLeg, SessionSummary } from '../../../src/leg/leg.ts';
import { deriveNodeKeys, randomClusterKeys } from '../../../src/ownership/cluster-keys.ts';
import type { RelayedPath, RelayLink } from '../../../src/ownership/relay-link.ts';
import type { ModelConnection, RealtimeModel } from '../../../src/realtime/model.ts';
import { createSessionMetrics } from '../../../src/realtime/session-metrics.ts';
import { parseWebRtcAnswer, writeWebRtcOffer } from '../../../src/sdp/webrtc.ts';
import { Transceiver } from '../../../src/transceiver/transceiver.ts';
import { createIdentity } from '../../../src/webrtc/dtls/identity.ts';
import { Peer } from '../../../src/webrtc/peer.ts';
import { writeStun } from '../../../src/webrtc/stun/write-stun.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryNetwork } from '../../support/memory-network.ts';
import { MetricsText } from '../../support/metrics-text.ts';

beforeAll(loadOpus);

const RELAY: TransportAddress = { address: '192.0.2.9', port: 3478, transport: 'udp' } as TransportAddress;
const RELAY_HOST = '192.0.2.9:3478';
const NODE = 7;

class FakeTicker implements Ticker {
  readonly ticks = new Set<Tick>();

  add(tick: Tick): () => void {
    this.ticks.add(tick);
    return () => void this.ticks.delete(tick);
  }

  takeWorstLatenessMs(): number {
    return 0;
  }

  async stop(): Promise<void> {}
}

/** A model that says nothing and counts its conversations. */
class SilentModel implements RealtimeModel {
  readonly name = 'silent';
  readonly keys: string[] = [];
  open = 0;
  started = 0;

  connect(): ModelConnection {
    this.open += 1;
    return {
      appendAudio: () => undefined,
      start: () => void this.started++,
      speechStarted: () => undefined,
      commitTurn: () => undefined,
      dtmf: (digit) => void this.keys.push(digit),
      cancelResponse: () => undefined,
      truncate: () => undefined,
      close: () => void this.open--,
    };
  }
}

/** A leg that notes what the session commands. */
class FakeLeg implements Leg {
  readonly commands: string[] = [];
  summary: SessionSummary | undefined;

  answer(): void {
    this.commands.push('answer');
  }

  reject(cause: string): void {
    this.commands.push(`reject ${cause}`);
  }

  hangup(cause: EndCause): void {
    this.commands.push(`hangup ${cause}`);
  }

  report(summary: SessionSummary): void {
    this.summary = summary;
  }
}

/** A transceiver behind a relay in memory, and clients that come through it. */
class Bench {
  readonly clock = new FakeClock();
  readonly network = new MemoryNetwork(this.clock, { delayMs: 1 });
  readonly ticker = new FakeTicker();
  readonly model = new SilentModel();
  readonly metrics = new Metrics();
  readonly gone: string[] = [];
  detectors = 0;
  readonly link: RelayLink;
  readonly transceiver: Transceiver;
  #clients = 0;

  constructor({ candidates = [RELAY], maxSessions = 3 }: { candidates?: readonly TransportAddress[]; maxSessions?: number } = {}) {
    this.link = {
      onDatagram: undefined,
      candidates,
      gone: (path) => void this.gone.push(path.key),
      close: () => undefined,
    };
    this.network.listen(RELAY_HOST, (datagram, path) => this.link.onDatagram?.(datagram, path as RelayedPath));
    this.transceiver = new Transceiver(
      {
        clock: this.clock,
        log: createLog('silent'),
        metrics: this.metrics,
        ticker: this.ticker,
        identity: createIdentity(this.clock.wallclock()),
        keys: deriveNodeKeys(randomClusterKeys()),
        link: this.link,
        model: this.model,
        createVoiceDetector: () => {
          this.detectors += 1;
          return { process: () => ({ voiced: false, levelDb: -70 }), free: () => void this.detectors-- };
        },
        sessionMetrics: createSessionMetrics(this.metrics),
      },
      { nodeId: NODE, maxSessions },
    );
  }

  /** Opens a session; it is pending. */
  async open(kind: 'phone' | 'browser' = 'phone'): Promise<Client> {
    this.#clients += 1;
    const client = new Client(this, `192.0.2.20:${4000 + this.#clients}`);
    client.opened = await this.transceiver.open({ origin: { kind }, offer: client.offer }, client.leg);
    return client;
  }

  async metric(name: string, labels = {}): Promise<number> {
    return new MetricsText(await this.metrics.text()).sum(`ringdown_${name}`, labels);
  }
}

class Client {
  readonly leg = new FakeLeg();
  readonly identity = createIdentity(0);
  readonly closed: string[] = [];
  readonly heard: Buffer[] = [];
  opened!: OpenedLeg;
  readonly host: string;
  readonly #bench: Bench;
  readonly #local = { ufrag: 'clie', pwd: 'client-password-22-ice' };
  #peer: Peer | undefined;

  constructor(bench: Bench, host: string) {
    this.#bench = bench;
    this.host = host;
  }

  get offer(): string {
    return writeWebRtcOffer({ ...this.#local, fingerprint: this.identity.fingerprint, setup: 'actpass', dataChannel: false });
  }

  get peer(): Peer {
    if (!this.#peer) throw new Error('not connecting');
    return this.#peer;
  }

  connect(): void {
    const answer = parseWebRtcAnswer(this.opened.answer);
    if ('fault' in answer) throw new Error(answer.fault.detail);
    const { clock, network } = this.#bench;
    const peer = new Peer(
      { clock, identity: this.identity },
      {
        ice: {
          type: 'client',
          local: this.#local,
          remote: { ufrag: answer.ice.ufrag, pwd: answer.ice.pwd },
          candidates: [network.path(this.host, RELAY_HOST)],
        },
        dtlsRole: answer.setup === 'active' ? 'server' : 'client',
        remoteFingerprints: answer.fingerprints,
        handlers: { onRtp: (packet) => this.heard.push(packet), onClosed: (reason) => this.closed.push(reason) },
      },
    );
    network.listen(this.host, (datagram, path) => peer.handleDatagram(datagram, path, clock.now()));
    this.#peer = peer;
    peer.start();
    clock.advance(200);
  }
}

describe('a transceiver', () => {
  test('opens a pending session whose answer names it and its relays, and then takes the leg', async () => {
    const bench = new Bench();
    const client = await bench.open();
    expect(client.opened.sessionId).toMatch(/^rtc_7_[\w-]{22}$/);
    expect(client.opened.answer).toContain('192.0.2.9 3478 typ host');
    expect(bench.transceiver.sessions).toBe(1);
    await nextTurn();
    expect(client.leg.commands).toEqual(['answer']);
  });

  test('commands a leg only when whoever opened it has the answer', async () => {
    const bench = new Bench();
    const order: string[] = [];
    const leg = new FakeLeg();
    leg.answer = () => void order.push('answer wanted');
    const { offer } = new Client(bench, '192.0.2.20:1');
    const passOn = async () => {
      const opened = await bench.transceiver.open({ origin: { kind: 'phone' }, offer }, leg);
      return opened.answer;
    };
    await passOn().then(() => order.push('opened'));
    await nextTurn();
    expect(order).toEqual(['opened', 'answer wanted']);
  });

  test('connects, and begins to talk when the leg is answered: not before', async () => {
    const bench = new Bench();
    const client = await bench.open();
    client.connect();
    expect(client.peer.state).toBe('connected');
    expect(bench.ticker.ticks.size).toBe(0);
    expect(bench.model.started).toBe(0);
    client.opened.tell({ type: 'answered' });
    expect(bench.model.started).toBe(1);
    expect(bench.ticker.ticks.size).toBe(1);
    for (const tick of bench.ticker.ticks) tick(bench.clock.now());
    bench.clock.advance(5);
    expect(client.heard).toHaveLength(1);
  });

  test('refuses whoever comes while its audio leaves late, and lets go of nobody', async () => {
    const legs = 100;
    const bench = new Bench({ maxSessions: 200 });
    const clients: Client[] = [];
    for (let n = 0; n < legs; n++) {
      const client = await bench.open();
      client.connect();
      client.opened.tell({ type: 'answered' });
      clients.push(client);
    }
    for (let beat = 0; beat < 60; beat++) {
      const dueAt = bench.clock.now();
      bench.clock.advance(21);
      for (const tick of bench.ticker.ticks) tick(dueAt);
    }
    await expect(bench.open()).rejects.toMatchObject({ code: 'ERR_OVERLOADED', message: 'audio leaves late' });
    expect(await bench.metric('audio_overloaded')).toBe(1);
    expect(bench.transceiver.sessions).toBe(legs);
    bench.clock.advance(4000);
    for (const client of clients) expect(client.heard).toHaveLength(60);
    await expect(bench.open()).resolves.toBeDefined();
  });

  test.each([
    ['phone', 'only CELT, which its bridge hears without loss', true],
    ['browser', 'SILK, which has FEC', false],
  ] as const)('sends a %s %s', async (kind, _coding, onlyCelt) => {
    const bench = new Bench();
    const client = await bench.open(kind);
    client.connect();
    client.opened.tell({ type: 'answered' });
    for (const tick of bench.ticker.ticks) tick(bench.clock.now());
    bench.clock.advance(5);
    // RFC 6716 §3.1: the upper bit of the first byte is set for CELT alone.
    expect(client.heard.map((packet) => (packet[12] ?? 0) >= 0x80)).toEqual([onlyCelt]);
  });

  test('begins to talk when the media comes after the answer', async () => {
    const bench = new Bench();
    const client = await bench.open();
    client.opened.tell({ type: 'answered' });
    expect(bench.ticker.ticks.size).toBe(0);
    client.connect();
    expect(bench.ticker.ticks.size).toBe(1);
  });

  test('hands keys to the session', async () => {
    const bench = new Bench();
    const client = await bench.open();
    client.opened.tell({ type: 'answered' });
    client.opened.tell({ type: 'dtmf', digit: '5', durationMs: 80 });
    expect(bench.model.keys).toEqual(['5']);
  });

  test.each<[string, (client: Client, bench: Bench) => void, EndCause]>([
    ['the leg', (client) => client.opened.tell({ type: 'ended', cause: 'remote_hangup' }), 'remote_hangup'],
    ['the peer', (client) => client.peer.close(), 'remote_hangup'],
    ['silence of the peer', (client, bench) => silence(client, bench), 'media_failed'],
    ['a shutdown', (_, bench) => bench.transceiver.hangUpAll('shutdown'), 'shutdown'],
  ])('frees everything of a session that is ended by %s, and reports it', async (_, end, cause) => {
    const codecs = liveOpusCodecs();
    const bench = new Bench();
    const client = await bench.open();
    client.connect();
    client.opened.tell({ type: 'answered' });
    end(client, bench);
    bench.clock.advance(100);
    expect(bench.transceiver.sessions).toBe(0);
    expect(client.leg.summary).toMatchObject({ turns: 0, bargeIns: 0, uplinkFrames: 0 });
    expect(await bench.metric('sessions_ended_total', { cause })).toBe(1);
    expect([bench.model.open, bench.detectors, bench.ticker.ticks.size, liveOpusCodecs() - codecs]).toEqual([0, 0, 0, 0]);
    // What still comes is told to be nobody's.
    bench.network.send(client.host, RELAY_HOST, Buffer.from([0x80, 0, 0, 1]));
    bench.clock.advance(10);
    expect(bench.gone.at(-1)).toBe(client.host);
  });

  test('ends a session whose peer never comes', async () => {
    const bench = new Bench();
    const client = await bench.open();
    await nextTurn();
    bench.clock.advance(10_000);
    expect(client.leg.commands).toEqual(['answer', 'hangup media_failed']);
    expect(bench.transceiver.sessions).toBe(0);
    expect(bench.detectors).toBe(0);
  });

  test('ends a session whose leg goes before its peer has come', async () => {
    const bench = new Bench();
    const client = await bench.open();
    client.opened.tell({ type: 'ended', cause: 'cancelled' });
    await nextTurn();
    expect(client.leg.commands, 'nothing is asked of a leg that is over').toEqual([]);
    expect(client.leg.summary).toBeDefined();
    expect(bench.transceiver.sessions).toBe(0);
  });

  test('refuses what it cannot take, and says why', async () => {
    const bench = new Bench({ maxSessions: 1 });
    const leg = new FakeLeg();
    const open = (offer: string) => bench.transceiver.open({ origin: { kind: 'phone' }, offer }, leg);
    await expect(open('nonsense')).rejects.toMatchObject({ code: 'ERR_BAD_OFFER' });
    const { offer } = new Client(bench, '192.0.2.20:1');
    await expect(open(offer.replace(/opus/g, 'speex'))).rejects.toMatchObject({ code: 'ERR_NO_COMMON_CODEC' });
    const together = await Promise.allSettled([open(offer), open(offer)]);
    expect(together.map((each) => each.status)).toEqual(['fulfilled', 'rejected']);
    await expect(open(offer)).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    const lonely = new Bench({ candidates: [] });
    expect(lonely.transceiver.ready).toBe(false);
    await expect(lonely.open()).rejects.toMatchObject({ code: 'ERR_NODE_UNREACHABLE' });
  });

  test('drains: takes nothing new and is done when the last session has ended, one that is being opened included', async () => {
    const bench = new Bench();
    const opening = bench.open();
    const drained = bench.transceiver.drain();
    let done = false;
    void drained.then(() => {
      done = true;
    });
    const client = await opening;
    await Promise.resolve();
    expect(done).toBe(false);
    await expect(bench.open()).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    client.opened.tell({ type: 'ended', cause: 'remote_hangup' });
    await drained;
    await bench.transceiver.drain();
  });

  test('leaves no session that was being opened while everybody was hung up on', async () => {
    const bench = new Bench();
    const opening = bench.open();
    bench.transceiver.close();
    await expect(opening).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    expect(bench.transceiver.sessions).toBe(0);
    expect([bench.model.open, bench.detectors]).toEqual([0, 0]);
  });

  test('shows its sessions to people who look', async () => {
    const bench = new Bench();
    const client = await bench.open();
    expect(bench.transceiver.snapshot()).toEqual([expect.objectContaining({ id: client.opened.sessionId })]);
  });
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The network is cut: nobody says goodbye. */
function silence(client: Client, bench: Bench): void {
  bench.network.loss = 1;
  client.peer.close();
  bench.clock.advance(31_000);
  bench.network.loss = 0;
}

describe('an ICE restart of a browser', () => {
  const ACCESS = { project: 'default', ephemeral: false };
  const pwdOf = (ufrag: string) => `${ufrag}-password-of-22-and-more`;

  const offerOf = (client: Client, ufrag: string, change: { fingerprint?: Client['identity']['fingerprint'] } = {}) =>
    writeWebRtcOffer({
      ...{ ufrag, pwd: pwdOf(ufrag), fingerprint: client.identity.fingerprint, setup: 'actpass' as const, dataChannel: false },
      ...change,
    });

  async function talking(kind: 'phone' | 'browser' = 'browser') {
    const bench = new Bench();
    const client = await bench.open(kind);
    client.connect();
    client.opened.tell({ type: 'answered' });
    const iceOf = () => (bench.transceiver.snapshot()[0] as { peer: { ice: { selected: string; paths: number } } }).peer.ice;
    /** A check from an address, under the credentials of an answer. */
    const check = (from: string, answer: string, ufrag: string) => {
      const parsed = parseWebRtcAnswer(answer);
      if ('fault' in parsed) throw new Error(parsed.fault.detail);
      const request = { class: 'request' as const, transactionId: randomBytes(12), username: `${parsed.ice.ufrag}:${ufrag}`, priority: 1 };
      bench.network.send(from, RELAY_HOST, writeStun({ ...request, iceControlling: 1n, useCandidate: true }, parsed.ice.pwd));
      bench.clock.advance(10);
    };
    const restart = (ufrag: string) => bench.transceiver.restart(client.opened.sessionId, ACCESS, offerOf(client, ufrag));
    return { bench, client, iceOf, check, restart };
  }

  test('moves the media to where the new credentials are used; the audio goes on, and its keys', async () => {
    const { bench, client, iceOf, check, restart } = await talking();
    const answer = await restart('again');
    expect(iceOf().selected).toBe(client.host);
    bench.network.listen('198.51.100.9:5000', (datagram, path) => client.peer.handleDatagram(datagram, path, bench.clock.now()));
    check('198.51.100.9:5000', answer, 'again');
    expect(iceOf()).toMatchObject({ selected: '198.51.100.9:5000', paths: 2 });
    const sent: number[] = [];
    bench.network.listen('198.51.100.9:5000', (datagram) => void sent.push(datagram[0] ?? 0));
    for (const tick of bench.ticker.ticks) tick(bench.clock.now());
    bench.clock.advance(5);
    expect(sent).toEqual([0x80]);
    expect(bench.transceiver.sessions).toBe(1);
  });

  test('whose answer got lost leaves the old credentials good; the first check under new ones makes them void', async () => {
    const { client, iceOf, check, restart } = await talking();
    await restart('lost');
    check('198.51.100.9:1', client.opened.answer, 'clie');
    expect(iceOf().selected).toBe('198.51.100.9:1');
    check('198.51.100.9:2', await restart('again'), 'again');
    expect(iceOf().selected).toBe('198.51.100.9:2');
    check('198.51.100.9:3', client.opened.answer, 'clie');
    expect(iceOf()).toMatchObject({ selected: '198.51.100.9:2', paths: 3 });
  });

  test('cannot be had for a phone, for a call of another project, or for one that is over', async () => {
    const { bench, client, restart } = await talking();
    const { sessionId } = client.opened;
    const other = { project: 'other', ephemeral: false };
    await expect(bench.transceiver.restart(sessionId, other, offerOf(client, 'again'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    const phone = await talking('phone');
    await expect(phone.restart('again')).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
    client.peer.close();
    bench.clock.advance(10);
    await expect(restart('again')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  test('with another fingerprint changes nothing: neither path nor keys', async () => {
    const { bench, client, iceOf, check } = await talking();
    const stolen = offerOf(client, 'thief', { fingerprint: createIdentity(1).fingerprint });
    await expect(bench.transceiver.restart(client.opened.sessionId, ACCESS, stolen)).rejects.toMatchObject({ code: 'ERR_BAD_OFFER' });
    check('203.0.113.66:6', client.opened.answer, 'thief');
    expect(iceOf()).toMatchObject({ selected: client.host, paths: 1 });
  });

  test('comes eight times at once and then every other second; a flood is refused, and leaves nothing behind', async () => {
    const { bench, client, iceOf, check, restart } = await talking();
    const answers: string[] = [];
    for (let n = 0; n < 8; n += 1) answers.push(await restart(`again${n}`));
    for (let n = 0; n < 100; n += 1) await expect(restart(`flood${n}`)).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    bench.clock.advance(2000);
    answers.push(await restart('again8'));
    await expect(restart('again9')).rejects.toMatchObject({ code: 'ERR_OVERLOADED' });
    // Of all these only the last is good, and the one that was proven.
    for (const [n, answer] of answers.slice(0, 8).entries()) check('203.0.113.66:6', answer, `again${n}`);
    expect(iceOf()).toMatchObject({ selected: client.host, paths: 1 });
    expect(bench.gone).toHaveLength(8);
    check('198.51.100.9:5000', answers[8] ?? '', 'again8');
    expect(iceOf().selected).toBe('198.51.100.9:5000');
  });
});

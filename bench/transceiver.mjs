import { setTimeout as elapse } from 'node:timers/promises';
import { built } from './built.mjs';
import { Core } from './core.mjs';
import { median, table } from './figures.mjs';
import { cpuBetween } from './gateway.mjs';
import { withYardstick } from './yardstick.mjs';

const { systemClock: clock } = await built('base/clock.js');
const { WorkerTicker } = await built('base/ticker.js');
const { bindUdp } = await built('base/udp.js');
const { RtpSender } = await built('rtp/rtp-sender.js');
const { createIdentity } = await built('webrtc/dtls/identity.js');
const { Peer } = await built('webrtc/peer.js');

/** 20 ms of Opus at 48 kb/s, which is what the inner leg carries. */
const PAYLOAD = Buffer.alloc(120, 0x42);

/** Sessions without codecs: each echoes 50 packets a second through ICE, SRTP and the relay. */
export async function benchTransceiver({ quick }) {
  const rows = [];
  const rounds = quick ? 2 : 5;
  for (const [kind, sessions] of quick
    ? [['direct', 100]]
    : [
        ['direct', 100],
        ['direct', 200],
        ['udp', 100],
        ['udp', 200],
      ])
    rows.push(await measure(kind, sessions, rounds, quick ? 3000 : 6000));
  return {
    title: 'A session of the transceiver without codecs: 50 packets a second each way (target 0.11 % of a core)',
    text: table(
      [
        ...['relay', 'sessions', 'transceiver % of a core a session', 'relay process % of a core a session', 'heap kB a session'],
        ...['RSS kB a session', 'set-up CPU ms a session', 'echoed', 'fixed calculation ms'],
      ],
      rows,
    ),
  };
}

async function measure(kind, count, rounds, roundMs) {
  const core = await Core.start(kind);
  const identity = createIdentity(clock.wallclock());
  const clients = [await Client.connect(core, identity)]; // compiles the set-up
  const empty = await core.transceiver.ask({ ask: 'figures', gc: true });
  for (let n = 0; n < count; n++) clients.push(await Client.connect(core, identity));
  const connected = await core.transceiver.ask({ ask: 'figures', gc: false });
  const ticker = new WorkerTicker(clock);
  const stops = clients.map((client) => ticker.add(() => client.send()));
  await elapse(3000);
  const shares = [];
  const relayShares = [];
  const yards = [];
  let sent = 0;
  let received = 0;
  for (let round = 0; round < rounds; round++) {
    for (const client of clients) client.sent = client.received = 0;
    const { value, yardMs } = await withYardstick(() => shareOf(core, roundMs));
    sent += clients.reduce((sum, client) => sum + client.sent, 0);
    received += clients.reduce((sum, client) => sum + client.received, 0);
    shares.push((value.transceiver / clients.length) * 100);
    relayShares.push((value.relay / clients.length) * 100);
    yards.push(yardMs);
  }
  const full = await core.transceiver.ask({ ask: 'figures', gc: true });
  for (const stop of stops) stop();
  for (const client of clients) client.close();
  await ticker.stop();
  await core.stop();
  const kB = (figure) => (full.memory[figure] - empty.memory[figure]) / 1000 / count;
  return [
    ...[kind === 'direct' ? 'same process' : 'UDP frames', count, median(shares), kind === 'direct' ? '–' : median(relayShares)],
    ...[kB('heapUsed'), kB('rss'), cpuBetween(empty, connected) / count, `${((received / sent) * 100).toFixed(1)} %`, median(yards)],
  ];
}

async function shareOf(core, ms) {
  const ask = (child) => child.ask({ ask: 'figures', gc: false });
  const before = [await ask(core.transceiver), await ask(core.relay)];
  const startedAt = performance.now();
  await elapse(ms);
  const after = [await ask(core.transceiver), await ask(core.relay)];
  const elapsedMs = performance.now() - startedAt;
  return { transceiver: cpuBetween(before[0], after[0]) / elapsedMs, relay: cpuBetween(before[1], after[1]) / elapsedMs };
}

/** The bridge's kind of client: one socket, one peer. */
class Client {
  sent = 0;
  received = 0;
  #peer;
  #socket;
  #sender = new RtpSender({ payloadType: 111 });

  static async connect(core, identity) {
    const client = new Client();
    const socket = await bindUdp({ address: '127.0.0.1', port: 0 });
    const path = { key: 'relay', ...core.at, send: (datagram) => socket.send(datagram, core.at) };
    const local = { ufrag: 'benchclient', pwd: 'bench-client-password-22' };
    const remote = await core.transceiver.ask({ ask: 'open', client: { ufrag: local.ufrag, fingerprint: identity.fingerprint } });
    await new Promise((resolve, reject) => {
      client.#peer = new Peer(
        { clock, identity },
        {
          ice: { type: 'client', local, remote, candidates: [path], checkIntervalMs: 2500 },
          dtlsRole: 'server',
          remoteFingerprints: [remote.fingerprint],
          handlers: {
            onConnected: resolve,
            onRtp: () => {
              client.received += 1;
            },
            onClosed: (reason) => reject(new Error(reason)),
          },
        },
      );
      socket.onDatagram = (datagram) => client.#peer.handleDatagram(datagram, path, clock.now());
      client.#peer.start();
    });
    client.#socket = socket;
    return client;
  }

  send() {
    this.sent += 1;
    this.#peer.sendRtp(this.#sender.next(PAYLOAD, 960));
  }

  close() {
    this.#peer.close();
    this.#socket.close();
  }
}

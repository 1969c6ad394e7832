import { randomBytes } from 'node:crypto';
import { setTimeout as elapse } from 'node:timers/promises';
import { built } from './built.mjs';
import { Core } from './core.mjs';
import { median, short, table } from './figures.mjs';
import { cpuBetween } from './gateway.mjs';
import { yardstickMs } from './yardstick.mjs';

const { systemClock: clock } = await built('base/clock.js');
const { WorkerTicker } = await built('base/ticker.js');
const { bindUdp } = await built('base/udp.js');
const { writeStun } = await built('webrtc/stun/write-stun.js');

/** An SRTP packet of the inner leg is 142 B, a browser's with FEC and extensions 180. */
const PACKET = Buffer.alloc(180, 0x80);

/** What it costs to pass a datagram on: by a call in one process, and as MACed frames to another. */
export async function benchRelay({ quick }) {
  const rows = [];
  const rounds = quick ? 2 : 5;
  const roundMs = quick ? 2000 : 4000;
  for (const flows of quick ? [50] : [50, 200]) {
    const socket = await cost('socket', flows, rounds, roundMs);
    const direct = await cost('direct', flows, rounds, roundMs);
    const udp = await cost('udp', flows, rounds, roundMs);
    const perSecond = `${short(flows * 50)}`;
    rows.push([perSecond, 'bare socket, echo', socket.relay, `${short(socket.relay)} an echo`]);
    rows.push([
      perSecond,
      'relay and link in one process',
      direct.relay,
      `${short((direct.relay - socket.relay) / 2)} beyond the socket's`,
    ]);
    rows.push([perSecond, 'relay, MACed UDP frames', udp.relay, `${short(udp.relay / 2)} a forwarded packet, kernel included`]);
    rows.push([perSecond, "the transceiver's end of the frames", udp.transceiver, `${short(udp.transceiver / 2)} a packet`]);
  }
  return {
    title: `Relay: µs of CPU a datagram of ${PACKET.length} B there and back (fixed calculation ${short(yardstickMs())} ms)`,
    text: table(['datagrams/s each way', 'what', 'µs there and back', ''], rows),
  };
}

/** CPU of the relay and of the transceiver for one datagram there and back. */
async function cost(kind, flows, rounds, roundMs) {
  const core = await Core.start(kind, 'datagrams');
  const ticker = new WorkerTicker(clock);
  const clients = [];
  for (let n = 0; n < flows; n++) {
    const socket = await bindUdp({ address: '127.0.0.1', port: 0 });
    const client = { socket, received: 0 };
    socket.onDatagram = () => {
      client.received += 1;
    };
    if (kind !== 'socket') socket.send(await checkFor(core), core.at);
    clients.push(client);
  }
  const stops = clients.map(({ socket }) => ticker.add(() => socket.send(PACKET, core.at)));
  await elapse(2000);
  const ask = (child) => child.ask({ ask: 'figures', gc: false });
  const seen = { relay: [], transceiver: [] };
  for (let round = 0; round < rounds; round++) {
    for (const client of clients) client.received = 0;
    const before = [await ask(core.relay), await ask(core.transceiver)];
    await elapse(roundMs);
    const after = [await ask(core.relay), await ask(core.transceiver)];
    const echoed = clients.reduce((sum, { received }) => sum + received, 0);
    seen.relay.push((cpuBetween(before[0], after[0]) * 1000) / echoed);
    seen.transceiver.push((cpuBetween(before[1], after[1]) * 1000) / echoed);
  }
  for (const stop of stops) stop();
  for (const { socket } of clients) socket.close();
  await ticker.stop();
  await core.stop();
  return { relay: median(seen.relay), transceiver: median(seen.transceiver) };
}

/** A check that makes the relay know the client. */
async function checkFor(core) {
  const ufrag = await core.transceiver.ask({ ask: 'ufrag' });
  return writeStun({ class: 'request', transactionId: randomBytes(12), username: `${ufrag}:client` }, 'password-of-22-characters');
}

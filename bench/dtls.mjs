import { built } from './built.mjs';
import { median, short, table } from './figures.mjs';
import { withYardstick } from './yardstick.mjs';

const { DtlsConnection } = await built('webrtc/dtls/dtls-connection.js');
const { createIdentity } = await built('webrtc/dtls/identity.js');

const HANDSHAKES = 200;

/** A DTLS 1.2 handshake, both sides in this process, everything verified on both. */
export async function benchDtls({ quick }) {
  const server = createIdentity(Date.now());
  const client = createIdentity(Date.now());
  for (let n = 0; n < 100; n++) handshake(server, client);
  const { value, yardMs } = await withYardstick(() => Array.from({ length: quick ? 3 : 9 }, () => round(server, client)));
  const least = Math.min(...value);
  return {
    title: 'DTLS handshake, both sides (target 1 ms of CPU)',
    text: table(
      ['ms of CPU, median of rounds', 'least', 'fixed calculation ms', 'ratio'],
      [[median(value), least, yardMs, short(median(value) / yardMs)]],
    ),
  };
}

function round(server, client) {
  const before = process.cpuUsage();
  for (let n = 0; n < HANDSHAKES; n++) handshake(server, client);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / HANDSHAKES;
}

function handshake(serverIdentity, clientIdentity) {
  const server = new DtlsConnection({ role: 'server', identity: serverIdentity, remoteFingerprints: [clientIdentity.fingerprint] });
  const client = new DtlsConnection({ role: 'client', identity: clientIdentity, remoteFingerprints: [serverIdentity.fingerprint] });
  server.start(0);
  client.start(0);
  let connected = 0;
  for (let moved = true; moved; ) {
    moved = false;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      for (let output = from.pollOutput(); output; output = from.pollOutput()) {
        moved = true;
        if (output.type === 'datagram') to.handleDatagram(output.bytes, 0);
        if (output.type === 'connected') connected += 1;
      }
    }
  }
  if (connected !== 2) throw new Error('the handshake did not come to its end');
}

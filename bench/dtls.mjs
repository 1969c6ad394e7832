import { built } from './built.mjs';
import { median, short, table } from './figures.mjs';
import { withYardstick } from './yardstick.mjs';

const { DtlsConnection } = await built('webrtc/dtls/dtls-connection.js');
const { createIdentity } = await built('webrtc/dtls/identity.js');

const HANDSHAKES = 200;

/** A DTLS handshake of either version, both sides in this process, everything verified on both. */
export async function benchDtls({ quick }) {
  const server = createIdentity(Date.now());
  const client = createIdentity(Date.now());
  const rows = [];
  for (const version of ['1.3', '1.2']) {
    for (let n = 0; n < 100; n++) handshake(server, client, version);
    const { value, yardMs } = await withYardstick(() => Array.from({ length: quick ? 3 : 9 }, () => round(server, client, version)));
    const { bytes, datagrams } = handshake(server, client, version);
    rows.push([version, median(value), Math.min(...value), yardMs, short(median(value) / yardMs), bytes, datagrams]);
  }
  return {
    title: 'DTLS handshake, both sides (target 1 ms of CPU)',
    text: table(['version', 'ms of CPU, median of rounds', 'least', 'fixed calculation ms', 'ratio', 'bytes', 'datagrams'], rows),
  };
}

function round(server, client, version) {
  const before = process.cpuUsage();
  for (let n = 0; n < HANDSHAKES; n++) handshake(server, client, version);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / HANDSHAKES;
}

function handshake(serverIdentity, clientIdentity, version) {
  const options = { versions: version === '1.3' ? ['1.3', '1.2'] : ['1.2'] };
  const server = new DtlsConnection({
    ...options,
    role: 'server',
    identity: serverIdentity,
    remoteFingerprints: [clientIdentity.fingerprint],
  });
  const client = new DtlsConnection({
    ...options,
    role: 'client',
    identity: clientIdentity,
    remoteFingerprints: [serverIdentity.fingerprint],
  });
  server.start(0);
  client.start(0);
  let connected = 0;
  let bytes = 0;
  let datagrams = 0;
  for (let moved = true; moved; ) {
    moved = false;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      for (let output = from.pollOutput(); output; output = from.pollOutput()) {
        moved = true;
        if (output.type === 'datagram') {
          bytes += output.bytes.length;
          datagrams += 1;
          to.handleDatagram(output.bytes, 0);
        }
        if (output.type === 'connected') connected += 1;
      }
    }
  }
  if (connected !== 2 || client.snapshot().version !== version) throw new Error('the handshake did not come to its end');
  return { bytes, datagrams };
}

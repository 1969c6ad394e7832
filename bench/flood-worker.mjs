// Somebody who sends requests as fast as told, each another one, and counts what comes back.
import { createSocket } from 'node:dgram';
import { setTimeout as elapse } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';

/** `methods` in turns; OPTIONS alone unless given. */
const { to, perSecond, seconds, methods = ['OPTIONS'] } = workerData;
const FROM = '127.0.0.66';

const socket = createSocket({ type: 'udp4', lookup: (name, _options, done) => done(null, name, 4) });
await new Promise((resolve) => socket.bind(0, FROM, resolve));
const { port } = socket.address();
let answered = 0;
let sent = 0;
socket.on('message', () => {
  answered += 1;
});

const request = (n) => {
  const method = methods[n % methods.length];
  return Buffer.from(
    [
      `${method} sip:${n}@${to.address} SIP/2.0`,
      `Via: SIP/2.0/UDP ${FROM}:${port};branch=z9hG4bK${n};rport`,
      'Max-Forwards: 70',
      `From: <sip:flood@${FROM}>;tag=${n}`,
      `To: <sip:${n}@${to.address}>`,
      `Call-ID: ${n}@${FROM}`,
      `CSeq: 1 ${method}`,
      `Contact: <sip:flood@${FROM}:${port}>`,
      'User-Agent: flood',
      'Accept: application/sdp',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
};

const startAt = performance.now();
while (sent < perSecond * seconds) {
  const due = Math.min(perSecond * seconds, ((performance.now() - startAt) * perSecond) / 1000);
  while (sent < due) socket.send(request(sent++), to.port, to.address);
  await elapse(1);
}
await elapse(500);
parentPort.postMessage({ sent, answered });
socket.close();

// A program on drachtio-srf that answers every call at once, beside a drachtio-server: what the SIP engine is compared with. Its figures are those of both.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Srf from 'drachtio-srf';
import { goFirst } from './priority.mjs';

const SECRET = 'bench';
const TICK_MS = 10;
const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n';

/** A port that was free a moment ago: the server takes none of its own. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

goFirst(); // the server inherits it
const [sip, door] = [await freePort(), await freePort()];
const folder = mkdtempSync(join(tmpdir(), 'drachtio-'));
const file = join(folder, 'drachtio.conf.xml');
writeFileSync(
  file,
  `<drachtio>
  <admin port="${door}" secret="${SECRET}">127.0.0.1</admin>
  <logging><console/><loglevel>error</loglevel></logging>
  <sip><contacts><contact>sip:127.0.0.1:${sip};transport=udp</contact></contacts></sip>
</drachtio>
`,
);
const server = spawn(process.env.DRACHTIO_SERVER, ['--file', file], { stdio: 'ignore' });
process.on('exit', () => {
  server.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});
process.on('disconnect', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));

const srf = new Srf();
srf.on('error', () => setTimeout(connect, 200)); // not up yet
srf.invite((req, res) => {
  srf
    .createUAS(req, res, { localSdp: SDP })
    .then((dialog) => dialog.on('destroy', () => undefined))
    .catch(() => undefined); // sipp has given up
});
srf.once('connect', () => console.log(`ready ${sip}`));
connect();

function connect() {
  void srf.connect({ host: '127.0.0.1', port: door, secret: SECRET });
}

/** User and system time of the server in microseconds (proc(5)). */
function serverCpu() {
  const stat = readFileSync(`/proc/${server.pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { user: Number(fields[11]) * TICK_MS * 1000, system: Number(fields[12]) * TICK_MS * 1000 };
}

process.on('message', () => {
  const [own, its] = [process.cpuUsage(), serverCpu()];
  process.send({ cpu: { user: own.user + its.user, system: own.system + its.system }, memory: process.memoryUsage() });
});

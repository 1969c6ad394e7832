import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { CertificateFiles } from '../../src/base/certificate-files.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { issueCertificate } from '../../src/control/x509.ts';
import { TrunkCertificates } from '../../src/sip/trunk-certificates.ts';
import { createIdentity } from '../../src/webrtc/dtls/identity.ts';
import { AnsweringEngine } from '../support/answering-engine.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { elapse, eventually } from '../support/wait.ts';

/* What strangers may do to the doors for TLS and WebSockets, while somebody is on the phone. */

const folder = tempFolder('edge-attack');
const sockets: (Socket | WebSocket)[] = [];
let gateway: GatewayUnderTest;
let lateness: Lateness;
let phone: SipPhone;
let call: PhoneCall;
let ca: string;

const OPTIONS = [
  'OPTIONS sip:agent@127.0.0.1 SIP/2.0',
  'Via: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bKattack;rport',
  'Max-Forwards: 70',
  'From: <sip:a@127.0.0.1>;tag=1',
  'To: <sip:agent@127.0.0.1>',
  'Call-ID: attack',
  'CSeq: 1 OPTIONS',
  'Content-Length: 0',
  '',
  '',
].join('\r\n');

beforeAll(async () => {
  const issued = issueCertificate(['localhost', '127.0.0.1'], Date.now());
  ca = issued.ca;
  for (const [name, text] of Object.entries(issued)) writeFileSync(join(folder, `${name}.pem`), text);
  lateness = new Lateness();
  const files = ['--sip-tls-cert', join(folder, 'certificate.pem'), '--sip-tls-key', join(folder, 'privateKey.pem')];
  gateway = await gatewayUnderTest({ flags: [...files, '--sip-tls-port', '0'] });
  phone = await SipPhone.open();
  call = await phone.dial(gateway.sip);
  await call.answered();
});

afterAll(async () => {
  for (const socket of sockets) if ('terminate' in socket) socket.terminate();
  for (const socket of sockets) if ('destroy' in socket) socket.destroy();
  phone.close();
  await gateway.stop();
  lateness.stop();
  removeFolder(folder);
});

function open(localAddress: string): Promise<Socket> {
  const socket = connectTcp({ host: '127.0.0.1', port: gateway.sips.port, localAddress });
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.resume();
  return new Promise((resolve) => {
    for (const event of ['connect', 'close']) socket.once(event, () => resolve(socket));
  });
}

/** How it ends, or that it is up. */
function secure(
  options: ConnectionOptions & { readonly localAddress?: string },
  port = gateway.sips.port,
): Promise<{ readonly socket: TLSSocket; readonly end: string | undefined }> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost', ...options });
  sockets.push(socket);
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve({ socket, end: error.code ?? error.message }));
    socket.once('secureConnect', () => resolve({ socket, end: undefined }));
  });
}

async function answer(socket: TLSSocket): Promise<string> {
  const data = once(socket, 'data') as Promise<[Buffer]>;
  socket.write(OPTIONS);
  return (await data)[0].toString();
}

function closed(socket: Socket): Promise<void> {
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()));
}

/** The status an upgrade is refused with, or 101. */
function upgrade(
  path: string,
  protocols: string[],
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly socket: WebSocket }> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.http.port}${path}`, protocols, { headers });
  sockets.push(socket);
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    socket.once('unexpected-response', (_request, response) => resolve({ status: response.statusCode ?? 0, socket }));
    socket.once('open', () => resolve({ status: 101, socket }));
  });
}

async function closeCode(socket: WebSocket): Promise<number> {
  const [code] = (await once(socket, 'close')) as [number];
  return code;
}

describe('the door for SIP over TLS', () => {
  test('has room for others when one source opens 500 connections and says nothing, or half a handshake', async () => {
    const mine = await Promise.all(Array.from({ length: 500 }, () => open('127.0.0.66')));
    for (const [index, socket] of mine.entries()) if (index % 2 === 0) socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]));
    // Those that are let in go after ten seconds, so those that were not are counted.
    const refused = async (): Promise<number> =>
      (await gateway.metrics()).sum('ringdown_sip_dropped_total', { reason: 'too_many_connections' });
    await eventually(async () => (await refused()) >= 244, 15_000, '244 connections to be refused');
    expect((await gateway.metrics()).sum('ringdown_sip_tls_connections')).toBeLessThanOrEqual(256);
    const { socket } = await secure({ localAddress: '127.0.0.67' });
    expect(await answer(socket)).toMatch(/^SIP\/2\.0 200 /);
    for (const each of mine) each.destroy();
    await eventually(async () => (await gateway.metrics()).sum('ringdown_sip_tls_connections') === 1, 5000, 'them to be gone');
  });

  test('closes at once on garbage, on SIP and HTTP in the clear, and on a client that knows only what is too old', async () => {
    const bytes = [OPTIONS, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', Buffer.alloc(2000, 0xff)];
    await Promise.all(
      bytes.map(async (each) => {
        const socket = await open('127.0.0.68');
        socket.write(each);
        await closed(socket);
      }),
    );
    const old = await secure({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' });
    expect(old.end).toMatch(/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/);
    const failed = gateway.log.all.filter(({ msg }) => msg === 'tls handshake failed').map(({ reason }) => reason);
    expect(failed).toEqual(expect.arrayContaining(['it does not speak TLS', 'no TLS version in common: 1.2 is the oldest taken']));
  });

  test('does no renegotiation, and takes no endless head', async () => {
    const { socket } = await secure({ maxVersion: 'TLSv1.2' });
    const refused = new Promise<string>((resolve) => {
      socket.once('error', () => resolve('refused'));
      socket.renegotiate({}, (error) => resolve(error ? 'refused' : 'done'));
    });
    expect(await refused).toBe('refused');
    const endless = await secure({});
    const end = closed(endless.socket);
    endless.socket.on('error', () => undefined);
    endless.socket.resume();
    endless.socket.write(`OPTIONS sip:a@b SIP/2.0\r\n${'X: y\r\n'.repeat(20_000)}`);
    await end;
  });

  test('that wants certificates lets nobody in without one of its authority', async () => {
    const client = signedByItself();
    writeFileSync(join(folder, 'clients.pem'), client.cert);
    const deps = { clock: systemClock, log: createLog('silent') };
    const paths = {
      certificateFile: join(folder, 'certificate.pem'),
      keyFile: join(folder, 'privateKey.pem'),
      caFile: join(folder, 'clients.pem'),
    };
    const certificate = new CertificateFiles(deps, 'sip', paths);
    await certificate.start();
    const trunks = new TrunkCertificates(deps);
    const engine = await AnsweringEngine.start(
      {},
      { server: { certificate, clients: true, port: 0 }, contextOf: (name) => trunks.contextOf(name) },
    );
    const known = await secure(client, engine.sips.port);
    expect(await answer(known.socket)).toMatch(/^SIP\/2\.0 200 /);
    for (const material of [{}, signedByItself()]) {
      const { socket } = await secure(material, engine.sips.port);
      socket.on('error', () => undefined);
      socket.resume();
      await closed(socket);
    }
    expect(await engine.count('sip_tls_connections')).toBe(1);
    certificate.stop();
    await engine.stop();
  });
});

/** A certificate that is its own authority, and its key. */
function signedByItself(): { readonly cert: string; readonly key: string } {
  const { certificate, privateKey } = createIdentity(Date.now());
  const body = Buffer.from(certificate)
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n');
  const cert = `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

describe('the door for SIP over WebSocket', () => {
  test('opens to programs and pages of this machine that want SIP, and to nobody else', async () => {
    const own = `http://127.0.0.1:${gateway.http.port}`;
    expect((await upgrade('/sip', ['sip'])).status).toBe(101);
    expect((await upgrade('/sip', ['other', 'sip'], { origin: own })).status).toBe(101);
    expect((await upgrade('/sip', [])).status).toBe(400);
    expect((await upgrade('/sip', ['xmpp'])).status).toBe(400);
    expect((await upgrade('/sip', ['sip'], { origin: 'https://evil.example' })).status).toBe(403);
    expect((await upgrade('/sip', ['sip'], { 'x-forwarded-for': '192.0.2.1' })).status).toBe(401);
    expect((await upgrade('/sip', ['sip'], { host: 'rebound.example' })).status).toBe(401);
    expect((await upgrade('/sip?client_secret=ek_0000000000000000', ['sip'])).status).toBe(401);
  });

  test('bounds what a message may be: giant frames, endless pieces, garbage, half a message and away', async () => {
    const giant = (await upgrade('/sip', ['sip'])).socket;
    giant.send('x'.repeat(100_000));
    expect(await closeCode(giant)).toBe(1009);
    const pieces = (await upgrade('/sip', ['sip'])).socket;
    for (let index = 0; index < 100; index += 1) pieces.send('x', { fin: false });
    expect(await closeCode(pieces)).toBeGreaterThan(1000);
    const garbage = (await upgrade('/sip', ['sip'])).socket;
    for (const each of ['', '\r\n\r\n', 'OPTIONS', Buffer.alloc(3000, 0xff), readFileSync(join(folder, 'certificate.pem'))])
      garbage.send(each);
    const [pong] = (await once(garbage, 'message')) as [Buffer];
    expect(pong.toString()).toBe('\r\n');
    const half = (await upgrade('/sip', ['sip'])).socket;
    half.send(OPTIONS.slice(0, 60), { fin: false });
    half.terminate();
    garbage.send(OPTIONS.replace('/TLS', '/WS'));
    const [answered] = (await once(garbage, 'message')) as [Buffer];
    expect(answered.toString()).toMatch(/^SIP\/2\.0 200 /);
  });

  test('slows down who sends faster than he may, and cuts who goes on', async () => {
    const { socket } = await upgrade('/sip', ['sip']);
    const code = closeCode(socket);
    for (let index = 0; index < 2000; index += 1) socket.send(OPTIONS.replace('z9hG4bKattack', `z9hG4bK${index}`));
    expect(await code).toBe(1008);
  });

  test('is nobody else’s trouble: the call that was up has been clean all the while', async () => {
    await elapse(200);
    expect(call.over).toBe(false);
    expect((await call.bye()).status).toBe(200);
    await eventually(async () => (await gateway.metrics()).sum('ringdown_sip_dialogs') === 0, 5000, 'no call');
    expect(await lateness.soFar()).toBeLessThan(2000);
  });
});

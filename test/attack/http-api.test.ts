import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ATTACKER_ADDRESS } from '../support/attacker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { Lateness } from '../support/lateness.ts';
import { elapse, eventually } from '../support/wait.ts';

const KEY = 'canary-key-0123456789';

describe('the HTTP door', () => {
  let open: GatewayProcess;
  let keyed: GatewayProcess;
  let late: Lateness;

  beforeAll(async () => {
    open = await GatewayProcess.start();
    keyed = await GatewayProcess.start({ env: { RINGDOWN_API_KEY: KEY } });
    late = new Lateness(open, keyed);
  });

  afterAll(async () => {
    late.stop();
    expect([open, keyed].flatMap(({ log }) => log.all.filter(({ level }) => level >= 50))).toEqual([]);
    expect([open, keyed].map(({ running }) => running)).toEqual([true, true]);
    await Promise.all([open.stop(), keyed.stop()]);
  });

  const ca = (gateway: GatewayProcess): string => readFileSync(join(gateway.dataDir, 'certificates', 'ca.pem'), 'utf8');

  /** A connection, plain or under TLS, that has said nothing yet. */
  async function dial(gateway: GatewayProcess, tls: boolean): Promise<Socket | TLSSocket> {
    const { port } = gateway.http;
    if (!tls) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    }
    const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca: ca(gateway) });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  }

  /** Sends text as it is. @returns what comes back until the server closes */
  async function raw(gateway: GatewayProcess, bytes: string, tls = false): Promise<string> {
    const socket = await dial(gateway, tls);
    socket.end(bytes);
    return text(socket);
  }

  const statusOf = (answer: string): number => Number(answer.split(' ')[1] ?? 0);
  const request = (lines: readonly string[], body = ''): string => `${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`;
  const OFFER = 'v=0\r\n';
  const FORM = `--b\r\nContent-Disposition: form-data; name="sdp"\r\n\r\n${OFFER}\r\n--b--\r\n`;
  const postForm = (headers: readonly string[]): string =>
    request(
      ['POST /v1/realtime/calls HTTP/1.1', ...headers, 'Content-Type: multipart/form-data; boundary=b', `Content-Length: ${FORM.length}`],
      FORM,
    );
  const upgrade = (headers: readonly string[]): string =>
    [
      'GET /v1/realtime?model=m HTTP/1.1',
      ...headers,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
      '\r\n',
    ].join('\r\n');

  const strangers = [
    ['a name that points here (DNS rebinding)', ['Host: attacker.example']],
    ['a name that begins like us', ['Host: 127.0.0.1.attacker.example']],
    ['two hosts', ['Host: 127.0.0.1', 'Host: attacker.example']],
    ['another page', ['Host: 127.0.0.1', 'Origin: https://attacker.example']],
    ['a sandboxed page or a file', ['Host: 127.0.0.1', 'Origin: null']],
    ['our page by another scheme', ['Host: 127.0.0.1', 'Origin: ftp://127.0.0.1']],
    ['an image of another site', ['Host: 127.0.0.1', 'Sec-Fetch-Site: cross-site']],
    ['a proxy', ['Host: 127.0.0.1', 'X-Forwarded-For: 127.0.0.1']],
    ['a proxy that names itself', ['Host: 127.0.0.1', 'Via: 1.1 proxy']],
  ] as const;

  test.each(strangers)('lets nobody in by %s: not to calls, not by a form without preflight, not to a WebSocket', async (_, headers) => {
    for (const tls of [false, true]) {
      const answers = await Promise.all([
        raw(open, request(['GET /v1/realtime/calls HTTP/1.1', ...headers]), tls),
        raw(open, postForm(headers), tls),
        raw(open, request(['POST /v1/realtime/calls/rtc_0_1/hangup HTTP/1.1', ...headers, 'Content-Length: 0']), tls),
        raw(open, upgrade(headers), tls),
      ]);
      for (const answer of answers) expect([400, 401]).toContain(statusOf(answer));
    }
    expect((await open.metrics()).sum('ringdown_sessions')).toBe(0);
  });

  test('trusts this machine by both ways, and says how to set a key to who is not trusted', async () => {
    const host = ['Host: 127.0.0.1'];
    for (const tls of [false, true]) {
      const origin = `Origin: ${tls ? 'https' : 'http'}://127.0.0.1`;
      expect(statusOf(await raw(open, request(['GET /v1/realtime/calls HTTP/1.1', ...host, origin]), tls))).toBe(200);
      expect(statusOf(await raw(open, postForm([...host, origin]), tls))).toBe(400); // its SDP is none
      const wrong = `Origin: ${tls ? 'http' : 'https'}://127.0.0.1`;
      const refused = await raw(open, request(['GET /v1/realtime/calls HTTP/1.1', ...host, wrong]), tls);
      expect(refused).toContain('RINGDOWN_API_KEY');
    }
  });

  test('with a key configured wants it from everybody, and gives nothing away', async () => {
    const host = ['Host: 127.0.0.1'];
    for (const key of [[], ['Authorization: Bearer wrong-key-0123456789'], ['Authorization: Basic YTpi'], [`Authorization: ${KEY}`]]) {
      for (const bytes of [
        request(['GET /v1/realtime/calls HTTP/1.1', ...host, ...key]),
        postForm([...host, ...key]),
        upgrade([...host, ...key]),
      ]) {
        const answer = await raw(keyed, bytes);
        expect(statusOf(answer)).toBe(401);
        expect(answer).not.toContain('canary');
      }
    }
    const proxied = ['Host: gateway.example', 'X-Forwarded-For: 192.0.2.1', 'Origin: https://shop.example', `Authorization: Bearer ${KEY}`];
    expect(statusOf(await raw(keyed, request(['GET /v1/realtime/calls HTTP/1.1', ...proxied])))).toBe(200);
  });

  test.each([
    ['a path that climbs', 'GET /v1/realtime/calls/../../../etc/passwd HTTP/1.1'],
    ['a path that climbs in disguise', 'GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1'],
    ['a path with a zero', 'GET /index.html%00.js HTTP/1.1'],
    ['an escape that is none', 'GET /%zz HTTP/1.1'],
    ['a path of two slashes', 'GET //v1/realtime/calls HTTP/1.1'],
    ['a path in other letters', 'GET /V1/Realtime/Calls HTTP/1.1'],
    ['a path with a slash at its end', 'GET /v1/realtime/calls/ HTTP/1.1'],
    ['a property of objects', 'GET /__proto__ HTTP/1.1'],
    ['an absolute URI', 'GET http://attacker.example/v1/realtime/calls HTTP/1.1'],
    ['a very long path', `GET /${'a'.repeat(9000)} HTTP/1.1`],
    ['a very long id', `GET /v1/realtime/calls/${'r'.repeat(5000)} HTTP/1.1`],
  ])('finds nothing by %s', async (_, line) => {
    const answer = await raw(open, request([line, 'Host: 127.0.0.1']));
    expect([400, 404]).toContain(statusOf(answer));
    expect(answer).not.toMatch(/root:|"object":"list"/);
  });

  test.each([
    ['two lengths', ['Content-Length: 5', 'Content-Length: 6']],
    ['a length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['chunks in disguise', ['Transfer-Encoding: xchunked']],
    ['chunks and something else', ['Transfer-Encoding: chunked, identity']],
    ['a header with a space before its colon', ['X-A : 1']],
    ['a header with a bare line feed', ['X-A: 1\nContent-Length: 5']],
    ['a folded header', ['X-A: 1', ' Content-Length: 5']],
    ['a negative length', ['Content-Length: -1']],
  ])('takes no request with %s for two', async (_, headers) => {
    const smuggled = 'GET /v1/realtime/calls HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n';
    for (const tls of [false, true]) {
      const answer = await raw(
        open,
        `POST /v1/realtime/calls HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers.join('\r\n')}\r\n\r\n0\r\n\r\n${smuggled}`,
        tls,
      );
      expect(statusOf(answer)).toBeGreaterThanOrEqual(400);
      expect(answer).not.toContain('"object":"list"');
    }
  });

  test('refuses bodies that are too large before they are there', async () => {
    const post = (type: string, length: number): string =>
      `POST /v1/realtime/calls HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`;
    expect(statusOf(await raw(open, post('application/json', 1_100_000)))).toBe(413);
    expect(statusOf(await raw(open, post('application/sdp', 66_000)))).toBe(413);
    const part = `--b\r\nContent-Disposition: form-data; name="session"; filename="s"\r\n\r\n${'x'.repeat(1_200_000)}\r\n--b--\r\n`;
    const body = new Blob([part]);
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    const answer = await fetch(`http://127.0.0.1:${open.http.port}/v1/realtime/calls`, { method: 'POST', body, headers });
    expect([400, 413]).toContain(answer.status);
    const deep = `{"session":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const poisoned = '{"__proto__":{"polluted":1},"session":{"type":"realtime","constructor":{"prototype":{"polluted":1}}}}';
    for (const json of [deep, poisoned]) {
      const told = await fetch(`http://127.0.0.1:${open.http.port}/v1/realtime/client_secrets`, {
        method: 'POST',
        body: json,
        headers: { 'content-type': 'application/json' },
      });
      expect(told.status).toBe(400);
    }
  });

  test('cuts off, with TLS and without: who says nothing, who drips, who stops in the middle', { timeout: 60_000 }, async () => {
    const startedAt = performance.now();
    const plain = async (): Promise<Socket> => dial(open, false);
    const begun = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n';
    const hello = Buffer.from('160301020001', 'hex'); // a ClientHello of 512 bytes, of which there is the head
    const cases: readonly (readonly [string, number, Promise<Socket>, ((socket: Socket) => void)?])[] = [
      ['says nothing', 5000, plain()],
      ['says nothing within TLS', 5000, dial(open, true)],
      ['begins and stops', 5500, plain(), (socket) => socket.write(begun)],
      ['begins and stops within TLS', 5500, dial(open, true), (socket) => socket.write(begun)],
      ['drips headers', 5500, plain(), (socket) => drip(socket, begun, 'X: y\r\n')],
      ['drips headers within TLS', 5500, dial(open, true), (socket) => drip(socket, begun, 'X: y\r\n')],
      ['sends half a ClientHello', 10_000, plain(), (socket) => socket.write(hello)],
      ['drips a ClientHello', 10_000, plain(), (socket) => drip(socket, hello, Buffer.of(1))],
      ['drips a body', 11_000, plain(), (socket) => drip(socket, body(), 'x')],
      ['drips a body within TLS', 11_000, dial(open, true), (socket) => drip(socket, body(), 'x')],
    ];
    function body(): string {
      return 'POST /v1/realtime/calls HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/sdp\r\nContent-Length: 1000\r\n\r\n';
    }
    function drip(socket: Socket, first: string | Buffer, next: string | Buffer): void {
      socket.write(first);
      const timer = setInterval(() => socket.write(next), 300);
      socket.once('close', () => clearInterval(timer));
    }
    const lasted = await Promise.all(
      cases.map(async ([name, limit, dialling, act]) => {
        const socket = await dialling;
        socket.resume();
        act?.(socket);
        socket.once('end', () => socket.destroy());
        await once(socket, 'close');
        return { name, limit, ms: performance.now() - startedAt };
      }),
    );
    const slack = 1500 + (await late.soFar());
    console.log(`figures: ${lasted.map(({ name, ms }) => `${name} ${ms.toFixed(0)} ms`).join(', ')}`);
    for (const { name, limit, ms } of lasted) expect([name, ms < limit + slack], `${ms} ms`).toEqual([name, true]);
  });

  test('keeps room for others when one address floods it, with TLS and without', async () => {
    const { port } = open.http;
    const sockets: Socket[] = [];
    let cut = 0;
    for (let n = 0; n < 300; n++) {
      const socket = connect({ port, host: '127.0.0.1', localAddress: ATTACKER_ADDRESS });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        cut += 1;
      });
      if (n % 2 === 0) socket.write(Buffer.from('1603010200', 'hex'));
      sockets.push(socket);
    }
    await eventually(() => cut >= 300 - 64, 4000 + (await late.soFar()), 'the flood to be cut');
    expect(statusOf(await raw(open, request(['GET /healthz HTTP/1.1', 'Host: 127.0.0.1'])))).toBe(200);
    expect(statusOf(await raw(open, request(['GET /healthz HTTP/1.1', 'Host: 127.0.0.1']), true))).toBe(200);
    for (const socket of sockets) socket.destroy();
  });

  test('is not brought down by garbage at its first byte', async () => {
    const garbage = [
      '\x16',
      '\x16\x03\x01\x00\x05hello',
      '\x80\x2e\x01\x00\x02',
      '\x00',
      '\xff'.repeat(100),
      'INVITE sip:x SIP/2.0\r\n\r\n',
      '\n\n\n',
    ];
    await Promise.all(
      garbage.map(async (bytes) => {
        const socket = await dial(open, false);
        socket.end(Buffer.from(bytes, 'latin1'));
        // Half a handshake is waited for; it is left alone in the middle of it.
        await Promise.race([text(socket).catch(() => ''), elapse(300)]);
        socket.destroy();
      }),
    );
    expect(statusOf(await raw(open, request(['GET /healthz HTTP/1.1', 'Host: 127.0.0.1']), true))).toBe(200);
  });

  test('speaks no old TLS', async () => {
    const { port } = open.http;
    const old = connectTls({
      port,
      host: '127.0.0.1',
      ca: ca(open),
      servername: 'localhost',
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL@SECLEVEL=0',
    });
    const outcome = await Promise.race([
      once(old, 'secureConnect').then(() => 'connected'),
      once(old, 'error').then(() => 'refused'),
    ]).catch(() => 'refused');
    expect(outcome).toBe('refused');
    old.destroy();
  });
});

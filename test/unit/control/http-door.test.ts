import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { Readiness } from '../../../src/control/health-routes.ts';
import { HttpDoor } from '../../../src/control/http-door.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const clock = new FakeClock();
const log = createLog('silent');
let readiness: Readiness;
let server: HttpDoor;
let metrics: Metrics;
let at: Endpoint;

beforeEach(async () => {
  readiness = { ready: true };
  metrics = new Metrics();
  server = new HttpDoor({ clock, log, metrics, readiness: () => readiness }, { bind: '127.0.0.1', port: 0 });
  at = await server.start();
});
afterEach(() => server.stop());

const get = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${at.port}${path}`, init);

/** Sends raw bytes and reads until the server closes. */
async function raw(bytes: string): Promise<string> {
  const socket = connect(at.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.end(bytes);
  return text(socket);
}

describe('/healthz and /readyz', () => {
  test('the process is alive', async () => {
    clock.advance(2500);
    const response = await get('/healthz?from=probe');
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8']);
    expect(await response.json()).toEqual({ alive: true, uptime_s: 2 });
  });

  test('ready, and not ready with the reason', async () => {
    expect(await (await get('/readyz')).json()).toEqual({ ready: true });
    readiness = { ready: false, reason: 'draining' };
    const response = await get('/readyz');
    expect([response.status, await response.json()]).toEqual([503, { ready: false, reason: 'draining' }]);
  });

  test('are open to callers that are not trusted', async () => {
    for (const path of ['/healthz', '/readyz']) expect((await get(path, { headers: { 'x-forwarded-for': '192.0.2.1' } })).status).toBe(200);
  });

  test('HEAD has the headers alone', async () => {
    const response = await get('/healthz', { method: 'HEAD' });
    expect([response.status, Number(response.headers.get('content-length')) > 0, await response.text()]).toEqual([200, true, '']);
  });
});

describe('/metrics', () => {
  test('has Prometheus text for this machine', async () => {
    await get('/healthz');
    const response = await get('/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await response.text()).toContain('ringdown_http_requests_total{path="/healthz",status="200"} 1');
  });

  test('is refused with a reason to what a proxy forwards', async () => {
    const response = await get('/metrics', { headers: { 'x-forwarded-for': '192.0.2.1' } });
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({
      error: { type: 'permission_error', code: 'not_trusted', param: null, message: expect.stringContaining('a proxy forwarded it') },
    });
  });
});

describe('everything else', () => {
  test('is a JSON error and does not make new metrics', async () => {
    for (const path of ['/', '/nothing', '/__proto__', '/constructor', '/healthz/', '//healthz']) {
      const response = await get(path);
      expect([path, response.status]).toEqual([path, 404]);
      expect(await response.json()).toEqual({
        error: { type: 'invalid_request_error', code: 'not_found', param: null, message: 'There is no such path.' },
      });
    }
    expect(await metrics.text()).toContain('ringdown_http_requests_total{path="other",status="404"} 6');
  });

  test('other methods are refused and told which are allowed; a body is not waited for', async () => {
    const response = await get('/healthz', { method: 'POST', body: 'x'.repeat(100_000) });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  test('what is not HTTP, or has too long headers, gets an error and the connection is closed', async () => {
    expect(await raw('INVITE sip:agent@127.0.0.1 SIP/2.0\r\n\r\n')).toContain('400 Bad Request');
    expect(await raw(`GET /healthz HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(17_000)}\r\n\r\n`)).toContain('431');
    expect(await raw('GET /healthz HTTP/1.1\r\n\r\n')).toContain('400 Bad Request'); // no Host
    expect((await get('/healthz')).status).toBe(200);
  });
});

describe('the port', () => {
  test('in use: says which one and what moves it', async () => {
    const second = new HttpDoor({ clock, log, metrics: new Metrics(), readiness: () => readiness }, { bind: '127.0.0.1', port: at.port });
    const error = await second.start().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GatewayError);
    expect((error as GatewayError).message).toBe(`TCP 127.0.0.1:${at.port} is in use; choose another with --http-port`);
    await second.stop();
  });

  test('is free again after stop, which may come twice', async () => {
    await get('/healthz'); // leaves an idle connection open
    await server.stop();
    await server.stop();
    await expect(get('/healthz')).rejects.toThrow();
  });

  test('stop cuts a connection that is in the middle of a request', async () => {
    const socket = connect(at.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0');
    await get('/healthz'); // the server has seen the socket before
    const stopped = server.stop();
    clock.advance(500);
    await stopped;
    await (socket.closed ? undefined : once(socket, 'close'));
  });
});

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { Certificates } from '../../../src/control/certificates.ts';
import { HttpDoor } from '../../../src/control/http-door.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeSessionHost } from '../../support/fake-session-host.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';
import { eventually } from '../../support/wait.ts';

const KEY = 'sk-shop-0123456789';
const OTHER = 'sk-bank-0123456789';
const digest = (key: string): string => createHash('sha256').update(key).digest('hex');
const bearer = { authorization: `Bearer ${KEY}` };

let folder: string;
let clock: FakeClock;
let host: FakeSessionHost;
let door: HttpDoor;
let at: Endpoint;
const sockets: WebSocket[] = [];

async function start(projects: readonly { name: string; keyDigests: readonly string[] }[]): Promise<void> {
  clock = new FakeClock(0, Date.now());
  host = new FakeSessionHost();
  const log = createLog('silent');
  const certificates = new Certificates({ clock, log }, { folder, names: ['localhost', '127.0.0.1'] });
  const deps = { clock, log, metrics: new Metrics(), readiness: () => ({ ready: true }) };
  door = new HttpDoor(deps, { bind: '127.0.0.1', port: 0, api: { projects, host: () => host, certificates } });
  at = await door.start();
}

beforeEach(async () => {
  folder = tempFolder('sockets');
  await start([
    { name: 'shop', keyDigests: [digest(KEY)] },
    { name: 'bank', keyDigests: [digest(OTHER)] },
  ]);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  const stopped = door.stop();
  clock.advance(500);
  await stopped;
  removeFolder(folder);
});

interface Opening {
  readonly query?: string;
  readonly protocols?: readonly string[];
  readonly headers?: Record<string, string>;
  readonly path?: string;
}

function dial({ query = '?model=m', protocols = [], headers = bearer, path = '/v1/realtime' }: Opening = {}): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${at.port}${path}${query}`, [...protocols], { headers });
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

/** Opens one. @returns it and its first event */
async function open(opening: Opening = {}): Promise<{ readonly socket: WebSocket; readonly first: Record<string, unknown> }> {
  const socket = dial(opening);
  const [data] = (await once(socket, 'message')) as [Buffer];
  return { socket, first: JSON.parse(data.toString()) };
}

/** The answer of a server that does not open one. */
async function refusal(opening: Opening): Promise<{ readonly status: number; readonly error: Record<string, unknown> }> {
  const socket = dial(opening);
  const [, response] = await once(socket, 'unexpected-response');
  return { status: response.statusCode, error: JSON.parse(await text(response)).error };
}

const closing = async (socket: WebSocket): Promise<[number, string]> => {
  const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
  return [code, reason.toString()];
};

describe('a WebSocket', () => {
  test('is a session of its own', async () => {
    const { socket, first } = await open();
    expect(first).toMatchObject({ type: 'session.created', session: { id: 'rtc_0_1' } });
    expect(host.channels[0]?.opening).toEqual({ access: { project: 'shop', ephemeral: false }, session: { type: 'realtime', model: 'm' } });
    socket.send('{"type":"response.create"}');
    expect(await host.channels[0]?.received.find((each) => each.includes('response.create'), 2000, 'the event')).toBe(
      '{"type":"response.create"}',
    );
    socket.close();
    await host.channels[0]?.closed.find(() => true, 2000, 'the end');
  });

  test('for writing down, or beside a call', async () => {
    await open({ query: '?intent=transcription' });
    expect(host.channels[0]?.opening).toMatchObject({ session: { type: 'transcription' } });
    for (let n = 0; n < 3; n++) await open({ query: '?call_id=rtc_0_1&model=whatever' });
    expect(host.channels.slice(1).map(({ opening }) => opening)).toEqual(
      Array(3).fill({ sessionId: 'rtc_0_1', access: { project: 'shop', ephemeral: false } }),
    );
  });

  test.each([
    [['realtime', `openai-insecure-api-key.${KEY}`], 'realtime'],
    [['realtime', `openai-insecure-api-key.${KEY}`, 'openai-agents-sdk.0.20.0', 'openai-beta.realtime-v1'], 'realtime'],
    [[`openai-insecure-api-key.${KEY}`], ''],
  ])('takes its key from the subprotocols %j and selects "%s"', async (protocols, selected) => {
    // A client that offers no `realtime` is answered with none, which ws takes for a fault of the server: it is opened by hand.
    if (selected === '') {
      const raw = connect(at.port, '127.0.0.1');
      raw.write(
        `GET /v1/realtime?model=m HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ${protocols.join(', ')}\r\n\r\n`,
      );
      const [data] = (await once(raw, 'data')) as [Buffer];
      expect(data.toString()).toMatch(/^HTTP\/1\.1 101 /);
      expect(data.toString().toLowerCase()).not.toContain('sec-websocket-protocol');
      raw.destroy();
      return;
    }
    const { socket } = await open({ protocols, headers: { origin: 'https://shop.example' } });
    expect(socket.protocol).toBe(selected);
  });

  test.each([
    ['?', 400, 'model'],
    ['?model=a&model=b', 400, 'model'],
    ['?model=', 400, 'model'],
    ['?intent=other', 400, 'intent'],
    ['?intent=transcription&model=m', 400, 'model'],
    ['?call_id=rtc_0_1&intent=transcription', 400, 'model'],
    ['?call_id=rtc_0_404', 404, null],
    ['?call_id=%00', 404, null],
  ])('with %s is refused with %i', async (query, status, param) => {
    const answer = await refusal({ query });
    expect([answer.status, answer.error['param']]).toEqual([status, param]);
    expect(host.channels).toEqual([]);
  });

  test('needs a key, whatever page it comes from, and reaches its own project', async () => {
    for (const headers of [{}, { authorization: 'Bearer sk-wrong' }, { origin: 'https://attacker.example' }] as Record<string, string>[]) {
      expect((await refusal({ headers })).status).toBe(401);
    }
    await open();
    const other = { authorization: `Bearer ${OTHER}` };
    expect((await refusal({ query: '?call_id=rtc_0_1', headers: other })).status).toBe(404);
    expect(await refusal({ path: '/v1/other' })).toMatchObject({ status: 404, error: { code: 'not_found' } });
  });

  test('without any key configured is for this machine, not for pages of others', async () => {
    await door.stop();
    await start([]);
    await open({ headers: {} });
    await open({ headers: { origin: `http://127.0.0.1:${at.port}` } });
    for (const headers of [
      { origin: 'https://attacker.example' },
      { origin: 'null' },
      { host: 'attacker.example' },
      { 'x-forwarded-for': '127.0.0.1' },
      { 'sec-fetch-site': 'cross-site' },
    ] as Record<string, string>[]) {
      expect((await refusal({ headers })).status).toBe(401);
    }
    expect(host.channels).toHaveLength(2);
  });

  test('of a client secret has its session, and reaches no other call', async () => {
    const minted = await fetch(`http://127.0.0.1:${at.port}/v1/realtime/client_secrets`, {
      method: 'POST',
      headers: { ...bearer, 'content-type': 'application/json' },
      body: '{"session":{"type":"realtime","instructions":"only this"}}',
    });
    const { value } = (await minted.json()) as { value: string };
    const protocols = ['realtime', `openai-insecure-api-key.${value}`];
    await open({ protocols, headers: { origin: 'https://shop.example' } });
    expect(host.channels[0]?.opening).toMatchObject({
      access: { project: 'shop', ephemeral: true },
      session: { model: 'm', instructions: 'only this' },
    });
    await open();
    expect((await refusal({ query: '?call_id=rtc_0_2', protocols, headers: {} })).status).toBe(404);
    await open({ query: '?call_id=rtc_0_1', protocols, headers: {} });
  });

  test('that cannot be had is refused as any request', async () => {
    host.failure = new GatewayError('ERR_OVERLOADED', 'all sessions are taken');
    expect(await refusal({})).toMatchObject({ status: 503, error: { code: 'overloaded' } });
    host.failure = undefined;
    host.gate = new Promise(() => undefined);
    const late = refusal({});
    await eventually(() => host.arrived > 0, 2000, 'the wait for the owner');
    clock.advance(10_000);
    expect((await late).status).toBe(504);
  });

  test('whose client goes before it is open ends', async () => {
    let go: () => void = () => undefined;
    host.gate = new Promise((resolve) => {
      go = resolve;
    });
    const raw = connect(at.port, '127.0.0.1');
    raw.write(
      `GET /v1/realtime?model=m HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${KEY}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    );
    await once(raw, 'connect');
    await eventually(() => host.arrived > 0, 2000, 'the wait for the owner');
    raw.resetAndDestroy();
    await once(raw, 'close');
    go();
    await eventually(() => host.channels.length === 1 && host.channels[0]?.closed.count === 1, 2000, 'the end of the channel');
  });
});

describe('its end', () => {
  test.each([
    [1000, 'the call has ended', 1000, 'the call has ended'],
    [1001, 'session_expired', 1001, 'session_expired'],
    [4000, 'ü'.repeat(100), 4000, 'ü'.repeat(61)],
    [1005, 'not a code', 1011, 'not a code'],
    [12, '', 1011, ''],
  ])('said by the owner with %i arrives', async (code, reason, arrives, text_) => {
    const { socket } = await open();
    const closed = closing(socket);
    host.channels[0]?.channel.close(code, reason);
    expect(await closed).toEqual([arrives, text_]);
    await host.channels[0]?.closed.find(() => true, 2000, 'the end');
  });

  test('comes for binary data', async () => {
    const { socket } = await open();
    const closed = closing(socket);
    socket.send(Buffer.from('{}'));
    expect((await closed)[0]).toBe(1003);
    expect(host.channels[0]?.received.count).toBe(0);
  });

  test('comes for what is too large, and 15 MiB of audio is not', async () => {
    const { socket } = await open();
    const audio = 'a'.repeat((15 * 1024 * 1024 * 4) / 3);
    socket.send(audio);
    const received = await host.channels[0]?.received.find(() => true, 10_000, 'the audio');
    expect(received?.length).toBe(audio.length);
    const closed = closing(socket);
    socket.send('a'.repeat(21 * 1024 * 1024));
    expect((await closed)[0]).toBe(1009);
  });

  test('comes for a client that does not answer pings', async () => {
    const { socket: mute } = await open();
    const { socket: alive } = await open();
    mute.pong = () => undefined;
    (mute as unknown as { _autoPong: boolean })._autoPong = false;
    const ponged = once(alive, 'ping');
    clock.advance(20_000);
    await ponged;
    alive.ping();
    await once(alive, 'pong'); // the answer to the server's ping was sent before
    clock.advance(20_000);
    expect((await closing(mute))[0]).toBe(1006);
    expect(alive.readyState).toBe(WebSocket.OPEN);
  });

  test('comes when the gateway stops', async () => {
    const { socket } = await open();
    const closed = closing(socket);
    const stopped = door.stop();
    expect((await closed)[0]).toBe(1001);
    clock.advance(500);
    await stopped;
  });

  test('is for the owner to decide when a client does not read', async () => {
    const { socket } = await open();
    socket.pause();
    const event = JSON.stringify({ type: 'response.output_audio.delta', delta: 'a'.repeat(500_000) });
    let sent = 0;
    while (sent < 200 && host.channels[0]?.channel.send(event)) sent += 1;
    // 8 MiB, and what the kernel holds.
    expect(sent).toBeGreaterThan(15);
    expect(sent).toBeLessThan(40);
    host.channels[0]?.channel.close(1013, 'the client does not read');
    socket.resume();
    expect((await closing(socket))[0]).toBe(1013);
  });
});

describe('stock clients', () => {
  const ca = (): string => readFileSync(join(folder, 'ca.pem'), 'utf8');

  test.each([
    [{ model: 'm' }, { session: { type: 'realtime', model: 'm' } }],
    [{ intent: 'transcription' as const }, { session: { type: 'transcription' } }],
    [{ callID: 'rtc_0_9' }, { sessionId: 'rtc_0_9' }],
  ])('OpenAIRealtimeWS dials wss on the same port with %j', async (props, opening) => {
    host.calls = [{ id: 'rtc_0_9', project: 'shop', kind: 'phone', direction: 'inbound', state: 'live', startedAt: 0 }];
    const client = new OpenAI({ apiKey: KEY, baseURL: `http://127.0.0.1:${at.port}/v1` });
    const realtime = new OpenAIRealtimeWS({ ...props, options: { ca: ca() } } as never, client);
    const created = await new Promise<unknown>((resolve, reject) => {
      realtime.on('session.created', resolve);
      realtime.on('error', reject);
    });
    expect(created).toMatchObject({ type: 'session.created' });
    expect(host.channels[0]?.opening).toMatchObject(opening);
    realtime.close();
    await host.channels[0]?.closed.find(() => true, 2000, 'the end');
  });

  test('openai makes secrets, and decides about calls', async () => {
    const client = new OpenAI({ apiKey: KEY, baseURL: `http://127.0.0.1:${at.port}/v1`, maxRetries: 0 });
    host.calls = [{ id: 'rtc_0_9', project: 'shop', kind: 'phone', direction: 'inbound', state: 'pending', startedAt: 0 }];
    const made = await client.realtime.clientSecrets.create({ session: { type: 'realtime', instructions: 'hi' } });
    expect(made.value).toMatch(/^ek_/);
    await client.realtime.calls.accept('rtc_0_9', { type: 'realtime', model: 'm' } as never);
    await client.realtime.calls.refer('rtc_0_9', { target_uri: 'tel:+15550100' });
    await client.realtime.calls.reject('rtc_0_9', {});
    await client.realtime.calls.hangup('rtc_0_9');
    expect(host.commands.map(({ command }) => command.type)).toEqual(['accept', 'refer', 'reject', 'hangup']);
    await expect(client.realtime.calls.hangup('rtc_0_404')).rejects.toMatchObject({ status: 404, code: 'not_found' });
    const answer = await client.realtime.calls.create({ sdp: 'v=0\r\noffer', session: { type: 'realtime', model: 'm' } as never });
    expect([answer.status, answer.headers.get('location'), await answer.text()]).toEqual([
      201,
      '/v1/realtime/calls/rtc_0_1',
      'v=0\r\nanswer',
    ]);
    expect(host.legs[0]?.opening).toMatchObject({ offer: 'v=0\r\noffer', policy: { session: { model: 'm' } } });
  });
});

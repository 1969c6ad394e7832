import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { GatewayError } from '../../../src/base/errors.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { HttpDoor } from '../../../src/control/http-door.ts';
import type { DialRequest, LegPolicy } from '../../../src/leg/leg.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeSessionHost } from '../../support/fake-session-host.ts';

const digest = (key: string): string => createHash('sha256').update(key).digest('hex');
const SHOP = 'sk-shop-0123456789';
const BANK = 'sk-bank-0123456789';
const OFFER = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n';

let clock: FakeClock;
let host: FakeSessionHost;
let there: boolean;
let dialled: { readonly request: DialRequest; readonly policy: LegPolicy }[];
let door: HttpDoor;
let at: Endpoint;

beforeEach(async () => {
  clock = new FakeClock();
  host = new FakeSessionHost();
  there = true;
  dialled = [];
  door = makeDoor([
    { name: 'shop', keyDigests: [digest(SHOP)] },
    { name: 'bank', keyDigests: [digest('sk-old-bank-0123456'), digest(BANK)] },
  ]);
  at = await door.start();
});
afterEach(() => door.stop());

function makeDoor(projects: readonly { readonly name: string; readonly keyDigests: readonly string[] }[]): HttpDoor {
  const dialler = {
    dial: async (request: DialRequest, policy: LegPolicy) => {
      dialled.push({ request, policy });
      return 'rtc_0_dialled';
    },
  };
  const api = { projects, host: () => (there ? host : undefined), dialler };
  const deps = { clock, log: createLog('silent'), metrics: new Metrics(), readiness: () => ({ ready: true }) };
  return new HttpDoor(deps, { bind: '127.0.0.1', port: 0, api });
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: { readonly [key: string]: unknown; readonly error?: Record<string, unknown> };
}

async function call(path: string, { key = SHOP, ...init }: RequestInit & { key?: string | null } = {}): Promise<Answer> {
  const headers = { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...(init.headers as Record<string, string>) };
  const response = await fetch(`http://127.0.0.1:${at.port}/v1/realtime${path}`, { ...init, headers });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  return { status: response.status, headers: response.headers, text, json: isJson && text !== '' ? JSON.parse(text) : {} };
}

const post = (path: string, body?: unknown, key?: string): Promise<Answer> =>
  call(path, {
    method: 'POST',
    ...(key === undefined ? {} : { key }),
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });

const offer = (query = '', key?: string): Promise<Answer> =>
  call(`/calls${query}`, { method: 'POST', body: OFFER, headers: { 'content-type': 'application/sdp' }, ...(key ? { key } : {}) });

async function secret(body: unknown = {}): Promise<string> {
  const { json } = await post('/client_secrets', body);
  return json['value'] as string;
}

describe('a call of a browser', () => {
  test('names the data channel that it has made by itself', async () => {
    for (const stream of [0, 100, 65_534]) {
      expect(await offer(`?dcid=${stream}`)).toMatchObject({ status: 201 });
      expect(host.legs.at(-1)?.opening.policy?.dataChannelId).toBe(stream);
    }
    expect((await offer()).status).toBe(201);
    expect(host.legs.at(-1)?.opening.policy).not.toHaveProperty('dataChannelId');
  });

  test.each(['65535', '-1', '1.5', 'one', '', '000000', '1&dcid=2'])('is refused with dcid=%s', async (stream) => {
    const { status, json } = await offer(`?dcid=${stream}`);
    expect(status).toBe(400);
    expect(json.error).toMatchObject({ type: 'invalid_request_error', param: 'dcid', code: 'invalid_value' });
    expect(host.legs).toEqual([]);
  });

  test('by its SDP alone gets an answer and a place', async () => {
    const { status, headers, text } = await offer('?model=some-model');
    expect([status, headers.get('content-type'), text]).toEqual([201, 'application/sdp', 'v=0\r\nanswer']);
    expect(headers.get('location')).toBe('/v1/realtime/calls/rtc_0_1');
    expect(host.legs[0]?.opening).toEqual({
      origin: { kind: 'browser' },
      offer: OFFER,
      policy: { project: 'shop', ephemeral: false, decide: { by: 'answer' }, session: { type: 'realtime', model: 'some-model' } },
    });
  });

  test.each([
    ['fields', (form: FormData) => [form.set('sdp', OFFER), form.set('session', '{"type":"realtime","instructions":"hi"}')]],
    [
      'files',
      (form: FormData) => [
        form.set('sdp', new Blob([OFFER], { type: 'application/sdp' }), 'sdp'),
        form.set('session', new Blob(['{"type":"realtime","instructions":"hi"}'], { type: 'application/json' }), 'session'),
      ],
    ],
  ])('by a form with %s brings its session', async (_, fill) => {
    const body = new FormData();
    fill(body);
    expect((await call('/calls', { method: 'POST', body })).status).toBe(201);
    expect(host.legs[0]?.opening).toMatchObject({ offer: OFFER, policy: { session: { type: 'realtime', instructions: 'hi' } } });
  });

  test('by a form as the stock client sends it: fields with types and no file names', async () => {
    const parts = [
      `--b\r\nContent-Disposition: form-data; name="sdp"\r\nContent-Type: application/sdp\r\n\r\n${OFFER}\r\n`,
      '--b\r\nContent-Disposition: form-data; name="session"\r\nContent-Type: application/json\r\n\r\n{"type":"realtime","model":"m"}\r\n--b--\r\n',
    ];
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    expect((await call('/calls', { method: 'POST', body: parts.join(''), headers })).status).toBe(201);
    expect(host.legs[0]?.opening.policy?.session).toEqual({ type: 'realtime', model: 'm' });
  });

  test('is told what the owner asks of it', async () => {
    await offer();
    const { leg, told } = host.legs[0] ?? expect.unreachable();
    leg.answer();
    leg.answer();
    leg.hangup('agent_hangup');
    leg.hangup('duration_cap');
    expect(told.all).toEqual([{ type: 'answered' }, { type: 'ended', cause: 'agent_hangup' }]);
  });

  test('that the owner takes or ends before it is open ends as it should', async () => {
    let open: () => void = () => undefined;
    host.gate = new Promise((resolve) => {
      open = resolve;
    });
    const [first, second] = [offer(), offer()];
    while (host.legs.length < 2) await new Promise((resolve) => setImmediate(resolve));
    host.legs[0]?.leg.answer();
    host.legs[1]?.leg.reject('busy');
    open();
    expect([(await first).status, (await second).status]).toEqual([201, 403]);
    expect(host.legs.map(({ told }) => told.all)).toEqual([[{ type: 'answered' }], [{ type: 'ended', cause: 'rejected' }]]);
  });

  test.each([
    ['no SDP', '', 'application/sdp', 400, 'missing_required_parameter'],
    ['too much SDP', 'v'.repeat(70_000), 'application/sdp', 413, 'request_too_large'],
    ['another type', OFFER, 'text/plain', 415, 'unsupported_media_type'],
    ['broken JSON', '{', 'application/json', 400, 'invalid_json'],
    ['a JSON list', '[]', 'application/json', 400, 'invalid_type'],
    ['a form without boundary', 'x', 'multipart/form-data', 400, undefined],
    [
      'a form without SDP',
      '--b\r\nContent-Disposition: form-data; name="session"\r\n\r\n{}\r\n--b--\r\n',
      'multipart/form-data; boundary=b',
      400,
      'missing_required_parameter',
    ],
    [
      'a form with something else',
      '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n{}\r\n--b--\r\n',
      'multipart/form-data; boundary=b',
      400,
      'unknown_parameter',
    ],
    [
      'a form with three parts',
      `${'--b\r\nContent-Disposition: form-data; name="sdp"\r\n\r\n1\r\n'.repeat(3)}--b--\r\n`,
      'multipart/form-data; boundary=b',
      400,
      undefined,
    ],
    [
      'a form that breaks off',
      '--b\r\nContent-Disposition: form-data; name="sdp"\r\n\r\n1',
      'multipart/form-data; boundary=b',
      400,
      undefined,
    ],
    [
      'a field that is a prototype',
      '--b\r\nContent-Disposition: form-data; name="__proto__"\r\n\r\n1\r\n--b--\r\n',
      'multipart/form-data; boundary=b',
      400,
      undefined,
    ],
  ])('with %s is refused in the shape of the reference', async (_, body, type, status, code) => {
    const answer = await call('/calls', { method: 'POST', body, headers: { 'content-type': type } });
    expect([answer.status, Object.keys(answer.json.error ?? {})]).toEqual([status, ['message', 'type', 'code', 'param']]);
    if (code !== undefined) expect(answer.json.error?.['code']).toBe(code);
    expect(host.legs).toEqual([]);
  });

  test('names the parameter of a session that is at fault', async () => {
    const body = new FormData();
    body.set('sdp', OFFER);
    body.set('session', '{"type":"realtime","audio":{"output":{"speed":9}}}');
    const { status, json } = await call('/calls', { method: 'POST', body });
    expect([status, json.error?.['param']]).toEqual([400, 'session.audio.output.speed']);
  });

  test.each([
    ['ERR_OVERLOADED', 503, 'overloaded', '2', null],
    ['ERR_BAD_OFFER', 400, 'invalid_offer', null, 'false'],
    ['ERR_NODE_UNREACHABLE', 503, 'unavailable', '2', null],
    ['ERR_TIMEOUT', 504, 'timeout', null, 'false'],
    ['ERR_INTERNAL', 500, 'internal_error', null, 'false'],
  ] as const)('that fails with %s gets %i', async (code, status, told, retryAfter, again) => {
    host.failure = new GatewayError(code, 'canary');
    const { status: got, json, headers } = await offer();
    expect([got, json.error?.['code'], headers.get('retry-after'), headers.get('x-should-retry')]).toEqual([
      status,
      told,
      retryAfter,
      again,
    ]);
    expect(JSON.stringify(json).includes('canary')).toBe(code !== 'ERR_INTERNAL');
  });

  test('finds nobody while there is no owner of sessions', async () => {
    there = false;
    expect((await offer()).status).toBe(503);
  });
});

describe('commands', () => {
  const id = 'rtc_0_9';
  beforeEach(() => {
    host.calls = [{ id, project: 'shop', kind: 'phone', direction: 'inbound', state: 'pending', startedAt: 1_700_000_000_000 }];
  });

  test.each([
    ['accept', { type: 'realtime', model: 'm' }, { type: 'accept', session: { type: 'realtime', model: 'm' } }],
    ['reject', {}, { type: 'reject', status: 603 }],
    ['reject', { status_code: 486 }, { type: 'reject', status: 486 }],
    ['refer', { target_uri: 'tel:+15550100' }, { type: 'refer', target: 'tel:+15550100' }],
    ['hangup', undefined, { type: 'hangup' }],
    ['reject', undefined, { type: 'reject', status: 603 }],
  ])('%s %j', async (name, body, command) => {
    const { status, text } = await post(`/calls/${id}/${name}`, body);
    expect([status, text]).toEqual([200, '']);
    expect(host.commands).toEqual([{ id, access: { project: 'shop', ephemeral: false }, command }]);
  });

  const dial = { transport: { type: 'sip', destination: '+15550100', trunk: 'pbx' } };
  const options = { whileRinging: 'agent', onAnswer: 'connect', agent: 'leave', onHangup: 'agent' };

  test.each([
    [
      'legs',
      { ...dial, leg_id: 'bob' },
      { type: 'dial', leg: 'bob', to: { destination: '+15550100', trunk: 'pbx', ringTimeoutMs: 60_000 }, options },
    ],
    [
      'legs',
      {
        transport: { type: 'sip', destination: 'user:erin' },
        leg_id: 'e',
        while_ringing: 'music',
        ring_seconds: 9,
        amd: { on_machine: 'hang_up' },
      },
      {
        ...{ type: 'dial', leg: 'e', to: { destination: 'user:erin', trunk: 'users', ringTimeoutMs: 9000 } },
        options: { ...options, whileRinging: 'music', amd: { onMachine: 'hang_up' } },
      },
    ],
    ['legs/bob/connect', undefined, { type: 'connect', leg: 'bob', agent: 'leave' }],
    ['legs/bob/connect', { agent: 'stay' }, { type: 'connect', leg: 'bob', agent: 'stay' }],
    ['legs/bob/whisper', undefined, { type: 'whisper', leg: 'bob' }],
    ['legs/bob/swap', undefined, { type: 'swap', leg: 'bob' }],
    ['legs/caller/hold', undefined, { type: 'hold', leg: 'caller', held: true }],
    ['legs/bob/hold', { held: false }, { type: 'hold', leg: 'bob', held: false }],
    ['legs/bob/transfer', { mode: 'refer' }, { type: 'transfer', leg: 'bob', mode: 'refer' }],
    ['legs/bob/hangup', undefined, { type: 'hangup', leg: 'bob' }],
  ])('%s %j', async (name, body, person) => {
    const { status } = await post(`/calls/${id}/${name}`, body);
    expect(status).toBe(name === 'legs' ? 201 : 200);
    expect(host.commands).toEqual([{ id, access: { project: 'shop', ephemeral: false }, command: { type: 'person', command: person } }]);
  });

  test.each([
    ['legs', { leg_id: 'bob' }, 'transport'],
    ['legs', { transport: { type: 'sip', destination: '+15550100' } }, 'transport.trunk'],
    ['legs', { ...dial, leg_id: 'caller' }, 'leg_id'],
    ['legs', { ...dial, leg_id: 'a b' }, 'leg_id'],
    ['legs', { ...dial, ring_seconds: 0 }, 'ring_seconds'],
    ['legs', { ...dial, on_answer: 'sing' }, 'on_answer'],
    ['legs', { ...dial, amd: { mode: 'x' } }, 'amd.mode'],
    ['legs/bob/connect', { agent: 'maybe' }, 'agent'],
    ['legs/bob/whisper', { loud: true }, 'loud'],
  ])('%s with %j names %s', async (name, body, param) => {
    const { status, json } = await post(`/calls/${id}/${name}`, body);
    expect([status, json.error?.['param']]).toEqual([400, param]);
    expect(host.commands).toEqual([]);
  });

  test('of persons find only what there is, and are nothing for client secrets of others', async () => {
    for (const path of [`/calls/${id}/legs/bob/sing`, `/calls/${id}/legs/${'x'.repeat(65)}/hangup`, '/calls/rtc_0_1/legs/bob/hangup'])
      expect([path, (await post(path)).status]).toEqual([path, 404]);
    expect((await post(`/calls/${id}/legs/bob/hangup`, undefined, BANK)).status).toBe(404);
    host.failure = new GatewayError('ERR_FORBIDDEN', 'not among the destinations');
    expect((await post(`/calls/${id}/legs`, dial)).status).toBe(403);
  });

  test.each([
    ['accept', undefined, 'session.type'],
    ['accept', { model: 'm' }, 'session.type'],
    ['accept', { type: 'realtime', voyce: 'x' }, 'session.voyce'],
    ['reject', { status_code: 200 }, 'status_code'],
    ['reject', { status_code: '486' }, 'status_code'],
    ['refer', {}, 'target_uri'],
    ['refer', { target_uri: 'http://x' }, 'target_uri'],
    ['refer', { target_uri: 'sip:x\r\nEvil: 1' }, 'target_uri'],
    ['refer', { target_uri: 'sip:x@y', more: 1 }, 'more'],
    ['hangup', { now: true }, 'now'],
  ])('%s with %j names %s', async (name, body, param) => {
    const { status, json } = await post(`/calls/${id}/${name}`, body);
    expect([status, json.error?.['param']]).toEqual([400, param]);
    expect(host.commands).toEqual([]);
  });

  test('of another project find nothing, and neither do made up ids', async () => {
    for (const [path, key] of [
      [`/calls/${id}/hangup`, BANK],
      ['/calls/rtc_0_1/hangup', SHOP],
      ['/calls/../hangup', SHOP],
      ['/calls/%2e%2e/hangup', SHOP],
      [`/calls/${'r'.repeat(120)}/hangup`, SHOP],
    ] as const) {
      const { status } = await post(path, undefined, key);
      expect([path, status]).toEqual([path, 404]);
    }
    expect((await call(`/calls/${id}`, { key: BANK })).status).toBe(404);
    expect((await call('/calls', { key: BANK })).json).toEqual({ object: 'list', data: [] });
  });

  test('that come second are told so, and the stock client does not repeat them', async () => {
    host.failure = new GatewayError('ERR_INVALID_STATE', 'somebody else has decided');
    const { status, headers, json } = await post(`/calls/${id}/accept`, { type: 'realtime' });
    expect([status, headers.get('x-should-retry'), json.error?.['code']]).toEqual([409, 'false', 'invalid_state']);
  });

  test('calls can be looked at', async () => {
    const view = {
      id,
      object: 'realtime.call',
      kind: 'phone',
      direction: 'inbound',
      state: 'pending',
      created_at: 1_700_000_000,
      legs: [],
    };
    expect((await call('/calls')).json).toEqual({ object: 'list', data: [view] });
    expect((await call(`/calls/${id}`)).json).toEqual(view);
    const head = await call(`/calls/${id}`, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
  });

  test('other methods are told which are taken', async () => {
    const answers = await Promise.all([
      call('/calls', { method: 'DELETE' }),
      call(`/calls/${id}`, { method: 'DELETE' }),
      call(`/calls/${id}/accept`),
      call('/client_secrets'),
    ]);
    expect(answers.map(({ status, headers }) => [status, headers.get('allow')])).toEqual([
      [405, 'GET, POST, HEAD'],
      [405, 'GET, POST, HEAD'],
      [405, 'POST'],
      [405, 'POST'],
    ]);
    expect((await call('/nothing')).status).toBe(404);
  });
});

describe('an ICE restart', () => {
  const restart = (path: string, { body = OFFER, type = 'application/sdp', key = SHOP } = {}): Promise<Answer> =>
    call(path, { method: 'POST', body, headers: { 'content-type': type }, key });

  test('is an offer to a call that lives, and answered', async () => {
    await offer();
    const { status, headers, text } = await restart('/calls/rtc_0_1');
    expect([status, headers.get('content-type'), text]).toEqual([200, 'application/sdp', 'v=0\r\nanswer to a restart']);
    expect(host.restarts).toEqual([{ id: 'rtc_0_1', access: { project: 'shop', ephemeral: false }, offer: OFFER }]);
  });

  test('of a call of another project, or of none, finds nothing', async () => {
    await offer();
    for (const [path, key] of [
      ['/calls/rtc_0_1', BANK],
      ['/calls/rtc_0_2', SHOP],
      ['/calls/..', SHOP],
      [`/calls/${'r'.repeat(120)}`, SHOP],
    ] as const)
      expect((await restart(path, { key })).status).toBe(404);
    expect(host.restarts).toEqual([]);
  });

  test('may be asked for with the secret that made the call, and with no other', async () => {
    const [own, other] = [await secret(), await secret()];
    const made = await offer('', own);
    const path = (made.headers.get('location') ?? '').replace('/v1/realtime', '');
    expect((await restart(path, { key: own })).status).toBe(200);
    expect((await restart(path, { key: other })).status).toBe(404);
    expect((await restart(path, { key: 'made-up' })).status).toBe(401);
    expect(host.restarts.map(({ access }) => access.ephemeral)).toEqual([true]);
  });

  test.each([
    ['nothing', { body: '' }, 400, 'sdp'],
    ['JSON', { body: '{"sdp":"v=0"}', type: 'application/json' }, 400, 'sdp'],
    ['a picture', { body: 'GIF', type: 'image/gif' }, 415, null],
    ['more than an offer has', { body: `${OFFER}${'a=x\r\n'.repeat(20_000)}` }, 413, null],
  ])('by %s is refused', async (_what, init, expected, param) => {
    await offer();
    const { status, json } = await restart('/calls/rtc_0_1', init);
    expect([status, json.error?.['param']]).toEqual([expected, param]);
    expect(host.restarts).toEqual([]);
  });

  test.each([
    ['ERR_BAD_OFFER', 400],
    ['ERR_INVALID_STATE', 409],
    ['ERR_OVERLOADED', 503],
  ] as const)('that the owner refuses (%s) is told so', async (code, expected) => {
    await offer();
    host.failure = new GatewayError(code, 'not so');
    expect((await restart('/calls/rtc_0_1')).status).toBe(expected);
  });
});

describe('a call to a phone', () => {
  const session = { type: 'realtime', instructions: 'call the customer' };
  const transport = { type: 'sip', destination: '+15550100', trunk: 'carrier' };

  test('is placed with its session', async () => {
    const { status, headers, json } = await post('/calls', { session, transport });
    expect([status, headers.get('location'), json]).toEqual([
      201,
      '/v1/realtime/calls/rtc_0_dialled',
      { session: { id: 'rtc_0_dialled' }, transport: { type: 'sip' } },
    ]);
    expect(dialled).toEqual([
      { request: { destination: '+15550100', trunk: 'carrier' }, policy: { project: 'shop', decide: { by: 'answer' }, session } },
    ]);
  });

  test.each([
    [{ transport }, 'session'],
    [{ session }, 'transport'],
    [{ session, transport: { ...transport, type: 'webrtc' } }, 'transport.type'],
    [{ session, transport: { type: 'sip', trunk: 'carrier' } }, 'transport.destination'],
    [{ session: { ...session, x: 1 }, transport }, 'session.x'],
  ])('%j is refused', async (body, param) => {
    const { status, json } = await post('/calls', body);
    expect([status, json.error?.['param']]).toEqual([400, param]);
    expect(dialled).toEqual([]);
  });

  test('is not for a client secret', async () => {
    const { status } = await post('/calls', { session, transport }, await secret());
    expect([status, dialled]).toEqual([403, []]);
  });
});

describe('a client secret', () => {
  test('is made with its session, and says when it ends', async () => {
    const { status, json } = await post('/client_secrets', {
      expires_after: { anchor: 'created_at', seconds: 60 },
      session: { type: 'realtime', instructions: 'hi' },
    });
    expect(status).toBe(200);
    expect(json['value']).toMatch(/^ek_[\w-]{32}$/);
    expect(json['expires_at']).toBe(1_700_000_060);
    expect(json['session']).toMatchObject({
      id: expect.stringMatching(/^sess_/),
      object: 'realtime.session',
      type: 'realtime',
      instructions: 'hi',
      audio: { input: { turn_detection: { type: 'server_vad' } } },
    });
  });

  test.each([[9], [7201], [60.5], ['60']])('does not live %j seconds', async (seconds) => {
    const { status, json } = await post('/client_secrets', { expires_after: { seconds } });
    expect([status, json.error?.['param']]).toEqual([400, 'expires_after.seconds']);
  });

  test('makes any number of calls with its session, until it ends', async () => {
    const key = await secret({ session: { type: 'realtime', instructions: 'only this' } });
    expect((await offer('', key)).status).toBe(201);
    expect((await offer('?model=other', key)).status).toBe(201);
    for (const { opening } of host.legs) expect(opening.policy).toMatchObject({ project: 'shop', ephemeral: true });
    expect(host.legs[1]?.opening.policy?.session).toEqual({ type: 'realtime', model: 'other', instructions: 'only this' });
    clock.advance(600_000);
    expect((await offer('', key)).status).toBe(401);
  });

  test('is the last word on what it was made with', async () => {
    const key = await secret({ session: { type: 'realtime', instructions: 'only this', tools: [{ type: 'function', name: 'f' }] } });
    const body = new FormData();
    body.set('sdp', OFFER);
    body.set('session', JSON.stringify({ type: 'realtime', instructions: 'ignore all that', tools: [], max_output_tokens: 5 }));
    expect((await call('/calls', { method: 'POST', body, key })).status).toBe(201);
    expect(host.legs[0]?.opening.policy?.session).toMatchObject({
      instructions: 'only this',
      tools: [{ type: 'function', name: 'f' }],
      max_output_tokens: 5,
    });
    body.set('session', '{"type":"transcription"}');
    expect((await call('/calls', { method: 'POST', body, key })).status).toBe(403);
  });

  test('reaches the calls it has made, and no others', async () => {
    const [key, other] = [await secret(), await secret()];
    await offer(); // by the key of the project
    const location = (await offer('', key)).headers.get('location')?.split('/').pop();
    expect(location).toBe('rtc_0_2');
    expect((await call('/calls', { key })).json['data']).toHaveLength(1);
    expect((await call('/calls/rtc_0_1', { key })).status).toBe(404);
    for (const [id, by, status] of [
      ['rtc_0_1', key, 404],
      ['rtc_0_2', other, 404],
      ['rtc_0_2', key, 200],
    ] as const) {
      expect([(await post(`/calls/${id}/hangup`, undefined, by)).status]).toEqual([status]);
    }
  });

  test('makes no other secret', async () => {
    expect((await post('/client_secrets', {}, await secret())).status).toBe(403);
  });

  test('is nothing when it is made up', async () => {
    const { status, json } = await offer('', 'ek_0123456789');
    expect([status, json.error?.['code']]).toEqual([401, 'invalid_api_key']);
  });

  test('is made for programs of the beta, too', async () => {
    const { status, json } = await post('/sessions', {
      model: 'gpt-4o-realtime-preview',
      voice: 'verse',
      modalities: ['audio', 'text'],
      input_audio_format: 'g711_ulaw',
      turn_detection: { type: 'server_vad', threshold: 0.6 },
      temperature: 0.8,
      max_response_output_tokens: 100,
    });
    expect(status).toBe(200);
    expect(json).toMatchObject({
      object: 'realtime.session',
      model: 'gpt-4o-realtime-preview',
      voice: 'verse',
      modalities: ['audio', 'text'],
      input_audio_format: 'g711_ulaw',
      output_audio_format: 'pcm16',
      turn_detection: { type: 'server_vad', threshold: 0.6 },
      max_response_output_tokens: 100,
      client_secret: { value: expect.stringMatching(/^ek_/), expires_at: 1_700_000_600 },
    });
    const key = (json['client_secret'] as { value: string }).value;
    await offer('', key);
    expect(host.legs[0]?.opening.policy?.session).toMatchObject({ type: 'realtime', audio: { input: { format: { type: 'audio/pcmu' } } } });
    const text = await post('/transcription_sessions', { input_audio_transcription: { model: 'whisper-1' } });
    expect([text.status, text.json['input_audio_transcription'], text.json['object']]).toEqual([
      200,
      { model: 'whisper-1' },
      'realtime.transcription_session',
    ]);
  });

  test('can be had in bounded number', async () => {
    const big = { session: { type: 'realtime', instructions: 'x'.repeat(500_000) } };
    let refused = 0;
    for (let n = 0; n < 150 && refused === 0; n++) if ((await post('/client_secrets', big)).status === 503) refused = n;
    expect(refused).toBeGreaterThan(100);
    clock.advance(600_000);
    expect((await post('/client_secrets', big)).status).toBe(200);
  });
});

describe('who is let in', () => {
  test('with keys configured: their bearers, from wherever', async () => {
    for (const key of [SHOP, BANK, 'sk-old-bank-0123456']) expect((await call('/calls', { key })).status).toBe(200);
    const forwarded = { 'x-forwarded-for': '192.0.2.1', origin: 'https://shop.example' };
    expect((await call('/calls', { headers: forwarded })).status).toBe(200);
  });

  test('with keys configured nobody without, not even on this machine', async () => {
    for (const [key, code] of [
      [null, 'missing_api_key'],
      ['sk-wrong', 'invalid_api_key'],
      [`${SHOP}x`, 'invalid_api_key'],
    ] as const) {
      const { status, headers, json } = await call('/calls', { key });
      expect([status, json.error?.['code'], headers.get('www-authenticate')]).toEqual([401, code, 'Bearer']);
      expect(json.error?.['message']).toContain('RINGDOWN_API_KEY');
    }
  });

  test('without keys configured: this machine, whatever key it sends', async () => {
    await door.stop();
    door = makeDoor([]);
    at = await door.start();
    for (const key of [null, 'anything']) expect((await offer('', key ?? undefined)).status).toBe(201);
    expect(host.legs[0]?.opening.policy?.project).toBe('default');
    for (const headers of [
      { origin: 'https://attacker.example' },
      { 'x-forwarded-for': '127.0.0.1' },
      { 'sec-fetch-site': 'cross-site' },
    ]) {
      const { status, json } = await call('/calls', { headers });
      expect([status, json.error?.['message']]).toEqual([401, expect.stringContaining('RINGDOWN_API_KEY')]);
    }
  });

  test('without keys configured a client secret is good from everywhere', async () => {
    await door.stop();
    door = makeDoor([]);
    at = await door.start();
    const key = await secret();
    expect((await call('/calls', { key, headers: { origin: 'https://shop.example', 'x-forwarded-for': '192.0.2.1' } })).status).toBe(200);
  });

  test('metrics are for this machine and for bearers of a key', async () => {
    const get = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${at.port}/metrics`, { headers });
    expect((await get({})).status).toBe(200);
    expect((await get({ 'x-forwarded-for': '1' })).status).toBe(403);
    expect((await get({ 'x-forwarded-for': '1', authorization: `Bearer ${SHOP}` })).status).toBe(200);
    expect((await get({ 'x-forwarded-for': '1', authorization: `Bearer ${await secret()}` })).status).toBe(403);
  });
});

describe('pages of other origins', () => {
  const origin = 'https://shop.example';

  test('may ask what they may send', async () => {
    const headers = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,x-openai-agents-sdk,x-stainless-os',
    };
    for (const path of ['/calls', '/calls/rtc_0_1/hangup', '/client_secrets', '/nothing']) {
      const answer = await call(path, { method: 'OPTIONS', headers, key: null });
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([204, '*']);
      for (const name of ['authorization', 'content-type', 'x-openai-agents-sdk', 'openai-safety-identifier', 'x-stainless-os']) {
        expect(answer.headers.get('access-control-allow-headers')).toContain(name);
      }
    }
  });

  test('may read where their call is, and errors', async () => {
    const answer = await call('/calls', { method: 'POST', body: OFFER, headers: { origin, 'content-type': 'application/sdp' } });
    expect(answer.headers.get('access-control-expose-headers')).toContain('location');
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    const refused = await call('/calls', { headers: { origin }, key: null });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, '*']);
    expect((await call('/calls')).headers.has('access-control-allow-origin')).toBe(false);
  });
});

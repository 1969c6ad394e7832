import { connect } from 'node:net';
import OpenAI, { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BANK_KEY, PROJECTS, StockGateway, type StockSocket } from '../support/stock-gateway.ts';
import { elapse, within } from '../support/wait.ts';

/* Package `openai` as it is: REST over plain HTTP, WebSockets over TLS on the same port, and what it makes of refusals. */

let gateway: StockGateway;
const open: StockSocket[] = [];

beforeAll(async () => {
  gateway = await StockGateway.start(PROJECTS);
});

afterAll(async () => {
  for (const { rt } of open) rt.socket.terminate();
  await gateway.stop();
});

function connected(...args: Parameters<StockGateway['connect']>): StockSocket {
  const socket = gateway.connect(...args);
  open.push(socket);
  return socket;
}

/** What the client makes of a refusal. */
async function refusal(promise: PromiseLike<unknown>): Promise<APIError> {
  const error = await Promise.resolve(promise).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof APIError)) throw new Error(`not refused by the API: ${String(error)}`);
  return error;
}

const WEATHER = {
  type: 'function',
  name: 'weather',
  description: 'Tells the weather of a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
} as const;

describe.concurrent('a WebSocket of the stock client', () => {
  test('is told of its session, calls a function, and is answered in text and aloud', async () => {
    const { rt, told, closed } = connected({ model: 'gpt-realtime' });
    expect(await told.type('session.created')).toMatchObject({ session: { type: 'realtime', model: 'gpt-realtime' } });
    rt.send({
      type: 'session.update',
      session: { type: 'realtime', instructions: 'Be brief.', tools: [WEATHER], output_modalities: ['text'] },
    });
    expect(await told.type('session.updated')).toMatchObject({ session: { instructions: 'Be brief.', tools: [{ name: 'weather' }] } });
    const say = (text: string): void =>
      rt.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] } });
    say('call weather {"city":"Ulm"}');
    rt.send({ type: 'response.create' });
    const called = await told.type('response.function_call_arguments.done');
    expect(called).toMatchObject({ name: 'weather', arguments: '{"city":"Ulm"}' });
    await told.type('response.done');
    rt.send({
      type: 'conversation.item.create',
      item: { type: 'function_call_output', call_id: String(called['call_id']), output: 'sunny' },
    });
    rt.send({ type: 'response.create' });
    expect(String((await told.type('response.output_text.done'))['text'])).toContain('sunny');
    const before = told.count;
    await told.find((event) => event.type === 'response.done', 10_000, 'the second response', before - 2);
    rt.send({ type: 'response.create', response: { output_modalities: ['audio'] } });
    const delta = await told.type('response.output_audio.delta');
    expect(Buffer.from(String(delta['delta']), 'base64').length).toBeGreaterThan(100);
    expect(told.faults).toEqual([]);
    rt.close();
    expect(await closed).toBe(1000);
  });

  test('that wants transcripts alone gets a transcription session', async () => {
    const { rt, told } = connected({ intent: 'transcription' });
    expect(await told.type('session.created')).toMatchObject({ session: { type: 'transcription' } });
    rt.send({
      type: 'session.update',
      session: { type: 'transcription', audio: { input: { transcription: { model: 'whisper-1', language: 'en' }, turn_detection: null } } },
    });
    await told.type('session.updated');
    rt.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(9600).toString('base64') });
    rt.send({ type: 'input_audio_buffer.commit' });
    await told.type('input_audio_buffer.committed');
    await told.type('conversation.item.done');
    expect(told.faults).toEqual([]);
    rt.close();
  });

  test('is told what is wrong with an event, by its id, and goes on', async () => {
    const { rt, told } = connected({ model: 'gpt-realtime' });
    await told.type('session.created');
    rt.send({ type: 'session.update', event_id: 'mine', session: { type: 'realtime', max_output_tokens: -1 } } as never);
    const { error } = (await told.type('error')) as unknown as { error: Record<string, unknown> };
    expect(error).toMatchObject({ type: 'invalid_request_error', event_id: 'mine', param: 'session.max_output_tokens' });
    rt.socket.send('{');
    await told.find((event) => event.type === 'error' && event !== told.all.find(({ type }) => type === 'error'), 5000, 'the second error');
    rt.send({ type: 'session.update', session: { type: 'realtime', instructions: 'Go on.' } });
    expect(await told.type('session.updated')).toMatchObject({ session: { instructions: 'Go on.' } });
    rt.close();
  });

  test.each([
    ['to a call that is not there', 404, () => connected({ callID: 'rtc_0_nobody' })],
    ['with a key that nobody has', 401, () => connected({ model: 'm' }, gateway.client('sk-foreign-0123456789'))],
  ])('%s fails with %i', async (_, status, attempt) => {
    const { rt, told } = attempt();
    await within(new Promise((resolve) => rt.on('error', resolve)), 10_000, 'the refusal');
    expect(told.faults.join()).toContain(`Unexpected server response: ${status}`);
  });

  test('that does not read is let go, and others notice nothing', async () => {
    const slow = connected({ model: 'gpt-realtime' });
    await slow.told.type('session.created');
    const item = { id: 'item_long', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'x'.repeat(900_000) }] };
    slow.rt.send({ type: 'conversation.item.create', item } as never);
    await slow.told.type('conversation.item.done');
    slow.rt.socket.pause();
    for (let n = 0; n < 150; n++) slow.rt.send({ type: 'conversation.item.retrieve', item_id: 'item_long' });
    const other = connected({ model: 'gpt-realtime' });
    await other.told.type('session.created');
    other.rt.send({ type: 'response.create' });
    await other.told.type('response.done', 10_000);
    expect(other.told.faults).toEqual([]);
    slow.rt.socket.resume();
    await within(slow.closed, 10_000, 'the end of the slow client');
    expect(slow.told.all.filter(({ type }) => type === 'conversation.item.retrieved').length).toBeLessThan(100);
    other.rt.close();
  });
});

describe.concurrent('a client secret of the stock client', () => {
  test('opens a session as it was made, and no other; ends calls of its own alone; makes none by phone', async () => {
    const made = await gateway.client().realtime.clientSecrets.create({
      expires_after: { anchor: 'created_at', seconds: 600 },
      session: { type: 'realtime', instructions: 'Be a parrot.', audio: { output: { voice: 'marin' } }, tools: [WEATHER] },
    });
    expect(made.value).toMatch(/^ek_/);
    expect(made.expires_at - Date.now() / 1000).toBeGreaterThan(500);
    expect(made.session).toMatchObject({
      type: 'realtime',
      object: 'realtime.session',
      instructions: 'Be a parrot.',
      tools: [{ name: 'weather' }],
    });
    const browser = gateway.client(made.value);
    const { rt, told } = connected({ model: 'gpt-realtime' }, browser);
    expect(await told.type('session.created')).toMatchObject({ session: { instructions: 'Be a parrot.' } });
    rt.send({ type: 'session.update', session: { type: 'realtime', instructions: 'Be a shark.' } });
    expect(await told.type('session.updated')).toMatchObject({ session: { instructions: 'Be a parrot.' } });
    expect((await refusal(browser.realtime.clientSecrets.create({}))).status).toBe(403);
    expect((await refusal(browser.realtime.calls.hangup('rtc_0_another'))).status).toBe(404);
    const body = { session: { type: 'realtime' }, transport: { type: 'sip', destination: '+1555', trunk: 'carrier' } };
    expect(await refusal(browser.post('/realtime/calls', { body }))).toMatchObject({ status: 403, type: 'permission_error' });
    rt.close();
  });

  test('is worth nothing when its time is over', async () => {
    const made = await gateway.client().realtime.clientSecrets.create({ expires_after: { anchor: 'created_at', seconds: 10 } });
    await elapse(made.expires_at * 1000 - Date.now() + 1100);
    const late = gateway.client(made.value);
    expect(await refusal(late.realtime.calls.hangup('rtc_0_1'))).toMatchObject({ status: 401, type: 'authentication_error' });
    const { rt, told } = connected({ model: 'm' }, late);
    await within(new Promise((resolve) => rt.on('error', resolve)), 10_000, 'the refusal');
    expect(told.faults.join()).toContain('401');
  });

  test.each([
    ['a lifetime that is too long', { expires_after: { anchor: 'created_at', seconds: 7201 } }, 'expires_after.seconds'],
    ['a session without a type', { session: { instructions: 'x' } }, 'session.type'],
    ['a field that there is not', { session: { type: 'realtime', colour: 'red' } }, 'session.colour'],
  ])('is not made with %s', async (_, body, param) => {
    const error = await refusal(gateway.client().realtime.clientSecrets.create(body as never));
    expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', param });
    expect(error.code).toEqual(expect.any(String));
  });
});

/** What a browser offers, without its last lines where they are what is missing. */
const OFFER = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  'a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'c=IN IP4 0.0.0.0',
  'a=mid:0',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:0123456789012345678901',
  'a=setup:actpass',
  'a=rtcp-mux',
  'a=sendrecv',
  'a=rtpmap:111 opus/48000/2',
  '',
];
const offerWithout = (start: string): string => OFFER.filter((line) => !line.startsWith(start)).join('\r\n');

describe.concurrent('what is at fault is told in the shape of the reference:', () => {
  test.each([
    ['garbage for an offer', 'hello', 400],
    ['an offer without audio', OFFER.slice(0, 6).concat('').join('\r\n'), 400],
    ['an offer without a fingerprint', offerWithout('a=fingerprint'), 400],
    ['an offer without ICE', offerWithout('a=ice-'), 400],
    ['an offer with foreign codecs alone', OFFER.join('\r\n').replace('opus/48000/2', 'speex/8000'), 400],
  ])('%s', async (_, sdp, status) => {
    const error = await refusal(gateway.client().realtime.calls.create({ sdp, session: { type: 'realtime' } }));
    expect(error).toMatchObject({ status, type: 'invalid_request_error' });
    expect([typeof error.code, error.message.length > 4]).toEqual(['string', true]);
  });

  test('an offer that can be used is answered, under an id that hangs it up', async () => {
    const client = gateway.client();
    const created = await client.realtime.calls.create({ sdp: OFFER.join('\r\n'), session: { type: 'realtime', instructions: 'Hi.' } });
    const id = created.headers.get('location')?.split('/').pop() ?? '';
    expect([created.status, created.headers.get('content-type')]).toEqual([201, 'application/sdp']);
    expect(await created.text()).toMatch(/^v=0\r\n.*a=candidate:\S+ 1 udp .*a=candidate:\S+ 1 tcp /is);
    const { told, closed } = connected({ callID: id });
    expect(await told.type('session.created')).toMatchObject({ session: { instructions: 'Hi.' } });
    expect((await refusal(gateway.client(BANK_KEY).realtime.calls.hangup(id))).status).toBe(404);
    await client.realtime.calls.hangup(id);
    await within(closed, 5000, 'the end of the sideband');
    expect(told.last).toMatchObject({ type: 'call.ended', reason: 'agent_hangup' });
    expect(told.faults).toEqual([]);
    expect(await refusal(client.realtime.calls.hangup(id))).toMatchObject({ status: 404, type: 'invalid_request_error' });
  });

  test('a session that is none', async () => {
    const create = (session: object) => gateway.client().realtime.calls.create({ sdp: OFFER.join('\r\n'), session: session as never });
    expect(await refusal(create({ instructions: 'x' }))).toMatchObject({ status: 400, param: 'session.type' });
    expect(await refusal(create({ type: 'realtime', audio: { output: { speed: 9 } } }))).toMatchObject({
      status: 400,
      param: 'session.audio.output.speed',
    });
  });

  test('a key that nobody has, and none at all', async () => {
    const error = await refusal(gateway.client('sk-foreign-0123456789').realtime.calls.hangup('rtc_0_1'));
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'authentication_error' });
    expect(error).toBeInstanceOf(OpenAI.AuthenticationError);
    const response = await fetch(`${gateway.baseURL}/realtime/client_secrets`, { method: 'POST' });
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({
      error: { message: expect.any(String), type: 'authentication_error', code: 'missing_api_key', param: null },
    });
  });

  test('calls that are not there', async () => {
    const { calls } = gateway.client().realtime;
    for (const attempt of [
      () => calls.accept('rtc_0_nobody', { type: 'realtime' }),
      () => calls.reject('rtc_0_nobody'),
      () => calls.refer('rtc_0_nobody', { target_uri: 'tel:+15550100' }),
      () => calls.hangup('rtc_0_nobody'),
      () => calls.hangup('../client_secrets'),
    ]) {
      const error = await refusal(attempt());
      expect(error).toBeInstanceOf(OpenAI.NotFoundError);
      expect(error.type).toBe('invalid_request_error');
    }
  });

  test('bodies that are none, or too large', async () => {
    const client = gateway.client();
    expect(await refusal(client.realtime.calls.refer('rtc_0_1', {} as never))).toMatchObject({ status: 400, param: 'target_uri' });
    expect(await refusal(client.realtime.calls.reject('rtc_0_1', { status_code: 200 }))).toMatchObject({
      status: 400,
      param: 'status_code',
    });
    const sdp = `${OFFER.join('\r\n')}${'a=x\r\n'.repeat(500_000)}`;
    expect((await refusal(client.realtime.calls.create({ sdp, session: { type: 'realtime' } }))).status).toBeOneOf([400, 413]);
    const instructions = 'x'.repeat(5_000_000);
    expect(await refusal(client.realtime.clientSecrets.create({ session: { type: 'realtime', instructions } }))).toMatchObject({
      status: 413,
    });
    const raw = await fetch(`${gateway.baseURL}/realtime/client_secrets`, {
      method: 'POST',
      headers: { authorization: `Bearer ${client.apiKey}`, 'content-type': 'application/json' },
      body: '{',
    });
    expect([raw.status, await raw.json()]).toMatchObject([400, { error: { type: 'invalid_request_error' } }]);
  });

  test('a client that never ends its request', async () => {
    const socket = connect(gateway.http.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('POST /v1/realtime/calls HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    await within(closed, 40_000, 'the end of the connection');
  });
});

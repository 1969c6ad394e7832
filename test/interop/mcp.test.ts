import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { OpenAIRealtimeSIP, RealtimeAgent, RealtimeSession } from '@openai/agents-realtime';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EVERYTHING, type HttpServer, serveEverything, serveWritten, type WrittenServer } from '../support/mcp-servers.ts';
import { type ResponseAsk, ScriptedUpstream, type UpstreamSession } from '../support/scripted-upstream.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { PROJECTS, SHOP_KEY, StockGateway, type StockSocket, type ToldEvent, ToldEvents } from '../support/stock-gateway.ts';
import { findTone, tone } from '../support/tones.ts';
import { eventually } from '../support/wait.ts';

/* Tools of MCP servers in sessions with a Realtime model: the reference's example server over both transports, and one of the official package. */

/** A part of the SDK that its package for voice does not hand on: as that package has it. */
const sdk = createRequire(import.meta.resolve('@openai/agents-realtime'));
const core = sdk(['@openai', 'agents-core'].join('/')) as { hostedMcpTool(options: object): never };

let upstream: ScriptedUpstream;
let everything: HttpServer;
let written: WrittenServer;
let gateway: StockGateway;
let phone: SipPhone;
const ends: (() => void)[] = [];

/** Says what the last tool has said; calls what it is told to ("call NAME {json}"). */
function respond(session: UpstreamSession, ask: ResponseAsk): void {
  const item = session.items.at(-1)?.item;
  if (item?.['type'] === 'function_call_output') {
    const output = String(item['output']);
    session.say(ask, { transcript: output, pcm: tone(output === 'Echo: from the phone' ? 880 : 440, 600, { rateHz: 24_000 }) });
    return;
  }
  const greeting = session.session['instructions'] === 'Call the echo.' ? 'call local_echo {"message":"from the phone"}' : 'Hello.';
  const text = (item?.['content'] as { text?: string }[] | undefined)?.[0]?.text ?? greeting;
  const [, name = '', args = '{}'] = /^call (\S+) (.*)$/.exec(text) ?? [];
  if (name === '') session.say(ask);
  else session.callFunction(ask, name, args);
}

beforeAll(async () => {
  [upstream, everything, written, phone] = await Promise.all([
    ScriptedUpstream.start({ respond }),
    serveEverything(),
    serveWritten(),
    SipPhone.open(),
  ]);
  gateway = await StockGateway.start(`callers: anyone
${PROJECTS}routes: [{number: "echo", project: shop, answer: {instructions: "Call the echo."}}, {number: "agent", project: shop, answer: {}}]
model: {type: realtime, profile: generic, url: "${upstream.url}", greet: true}
mcp:
  servers:
    - {label: local, command: "${process.execPath}", args: ["${EVERYTHING}", stdio], env: {CANARY: canary-of-the-child}, allowed-tools: [echo, get-env]}
    - {label: own, url: "${written.url}", key: own-secret-key, everywhere: false}
  allow: [127.0.0.1]
`);
  await eventually(
    () => gateway.process.log.all.filter(({ msg }) => msg === 'tool server listed').length === 2,
    15_000,
    'the tools of both',
  );
});

afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});

afterAll(async () => {
  phone.close();
  await gateway.stop();
  await Promise.all([upstream.stop(), everything.stop(), written.stop()]);
});

function connect(key = SHOP_KEY): StockSocket {
  const socket = gateway.connect({ model: 'gpt-realtime' }, gateway.client(key));
  ends.push(() => socket.rt.close());
  return socket;
}

function update({ rt }: StockSocket, tools: readonly object[]): void {
  rt.send({ type: 'session.update', session: { type: 'realtime', tools } } as never);
}

/** A program has the model call a tool. */
function ask({ rt }: StockSocket, text: string): void {
  rt.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] } });
  rt.send({ type: 'response.create' });
}

const isItem =
  (type: string, done = true) =>
  (event: ToldEvent) =>
    event.type === `conversation.item.${done ? 'done' : 'added'}` && (event['item'] as { type: string }).type === type;

const itemOf = (event: ToldEvent) => event['item'] as Record<string, unknown>;

describe('a phone call', () => {
  test('whose model calls a tool of a program, hears what the tool said', async () => {
    const before = upstream.sessions.count;
    const call = await phone.dial(gateway.sip, { user: 'echo' });
    await call.answered();
    const session = await upstream.session(before + 1);
    await session.received.find(
      ({ type, ...event }) =>
        type === 'conversation.item.create' && (event as { item?: { type?: string } }).item?.type === 'function_call_output',
      10_000,
      "the tool's output",
    );
    expect(session.items.map(({ item }) => item['output']).filter(Boolean)).toEqual(['Echo: from the phone']);
    expect((session.session['tools'] as { name: string }[]).map(({ name }) => name)).toEqual(['local_echo', 'local_get-env']);
    await eventually(() => findTone(call.media.recording().samples, 880).present, 10_000, 'the tone of the answer');
    await call.bye();
  });
});

describe('the stock client', () => {
  test('brings a server, is asked, and hears of the call and its answer', async () => {
    const socket = connect();
    const { rt, told } = socket;
    await told.type('session.created');
    const server = { type: 'mcp', server_label: 'web', server_url: everything.url, authorization: 'token-never-told' };
    update(socket, [{ ...server, allowed_tools: ['get-sum'], server_description: 'Sums.' }]);
    await told.type('mcp_list_tools.in_progress');
    const listed = itemOf(
      await told.find((event) => isItem('mcp_list_tools')(event) && itemOf(event)['server_label'] === 'web', 10_000, 'the list'),
    );
    expect((listed['tools'] as { name: string }[]).map(({ name }) => name)).toEqual(['get-sum']);
    const updated = (await told.type('session.updated'))['session'] as { tools: object[] };
    expect(updated.tools).toEqual([
      { type: 'mcp', server_label: 'web', server_url: everything.url, allowed_tools: ['get-sum'], server_description: 'Sums.' },
    ]);
    const from = told.count;
    ask(socket, 'call web_get-sum {"a":2,"b":40}');
    const request = itemOf(await told.find(isItem('mcp_approval_request'), 10_000, 'the request', from));
    expect(request).toMatchObject({ server_label: 'web', name: 'get-sum', arguments: '{"a":2,"b":40}' });
    expect(told.all.slice(from).some(({ type }) => type === 'response.mcp_call.in_progress')).toBe(false);
    rt.send({
      type: 'conversation.item.create',
      item: { type: 'mcp_approval_response', approval_request_id: request['id'], approve: true },
    } as never);
    const call = itemOf(await told.find(isItem('mcp_call'), 10_000, 'the call', from));
    expect(call).toMatchObject({ name: 'get-sum', output: 'The sum of 2 and 40 is 42.', error: null, approval_request_id: request['id'] });
    const answer = await told.type('response.output_audio_transcript.done', 10_000, from);
    expect(answer['transcript']).toBe('The sum of 2 and 40 is 42.');
    await told.find(
      (event) => event.type === 'response.done' && told.all.indexOf(event) > told.all.indexOf(answer),
      10_000,
      'the end',
      from,
    );
    const types = told.all
      .slice(from)
      .map((event) =>
        event.type.startsWith('conversation.item.') ? `${event.type} ${String((event['item'] as { type?: string })?.type)}` : event.type,
      );
    expect(types.filter((type) => /mcp|^response\.(created|done)|function/.test(type))).toEqual([
      'response.created',
      'conversation.item.added mcp_call',
      'response.mcp_call_arguments.delta',
      'response.mcp_call_arguments.delta',
      'response.mcp_call_arguments.done',
      'conversation.item.added mcp_approval_request',
      'conversation.item.done mcp_approval_request',
      'response.done',
      'conversation.item.added mcp_approval_response',
      'conversation.item.done mcp_approval_response',
      'response.mcp_call.in_progress',
      'conversation.item.done mcp_call',
      'response.mcp_call.completed',
      'response.created',
      'response.done',
    ]);
    expect(JSON.stringify(told.all)).not.toContain('token-never-told');
    expect(told.faults).toEqual([]);
  });

  test('refuses a call, and the model is told why', async () => {
    const socket = connect();
    const { rt, told } = socket;
    await told.type('session.created');
    update(socket, [{ type: 'mcp', server_label: 'own', require_approval: 'always' }]);
    await told.find((event) => isItem('mcp_list_tools')(event) && itemOf(event)['server_label'] === 'own', 10_000, 'the list');
    ask(socket, 'call own_add {"a":1,"b":1}');
    const request = itemOf(await told.find(isItem('mcp_approval_request'), 10_000, 'the request'));
    rt.send({
      type: 'conversation.item.create',
      item: { type: 'mcp_approval_response', approval_request_id: request['id'], approve: false, reason: 'Not today.' },
    } as never);
    await told.type('response.mcp_call.failed');
    const answer = await told.type('response.output_audio_transcript.done');
    expect(String(answer['transcript'])).toContain('Not today.');
    expect(told.faults).toEqual([]);
  });

  test('with a client secret has the servers of its session, and brings none', async () => {
    const server = { type: 'mcp', server_label: 'web', server_url: everything.url, require_approval: 'never', allowed_tools: ['echo'] };
    const secret = await gateway.client().realtime.clientSecrets.create({ session: { type: 'realtime', tools: [server] } as never });
    expect(secret.value).toMatch(/^ek_/);
    const socket = connect(secret.value);
    const { told } = socket;
    await told.type('session.created');
    await told.find((event) => isItem('mcp_list_tools')(event) && itemOf(event)['server_label'] === 'web', 10_000, 'the list');
    update(socket, [{ ...server, server_url: 'https://example.com/mcp' }]);
    expect(((await told.type('error')) as { error?: unknown }).error).toMatchObject({ code: 'forbidden', param: 'session.tools[0]' });
    const from = told.count;
    update(socket, [{ ...server, authorization: 'mine' }]);
    expect(((await told.type('error', 10_000, from)) as { error?: unknown }).error).toMatchObject({ code: 'forbidden' });
    ask(socket, 'call web_echo {"message":"hi"}');
    expect(itemOf(await told.find(isItem('mcp_call'), 10_000, 'the call'))).toMatchObject({ output: 'Echo: hi' });
  });
});

describe('an agent of the SDK beside a phone call', () => {
  test('approves a call of a hosted server, and its model goes on once', async () => {
    const call = await phone.dial(gateway.sip, { user: 'agent' });
    await call.answered();
    const list = (await gateway.client().get('/realtime/calls')) as { data: { id: string }[] };
    const callId = list.data[0]?.id ?? '';
    const transport = new OpenAIRealtimeSIP({ useInsecureApiKey: true });
    const hosted = core.hostedMcpTool({
      serverLabel: 'web',
      serverUrl: everything.url,
      requireApproval: { always: { toolNames: ['get-sum'] } },
    });
    const agent = new RealtimeAgent({ name: 'guide', instructions: 'Help whoever calls.', tools: [hosted] });
    const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime' });
    ends.push(() => session.close());
    const told = new ToldEvents();
    transport.on('*', (event) => told.push(event as ToldEvent));
    const errors: unknown[] = [];
    const completed: unknown[] = [];
    session.on('error', (error) => errors.push(error));
    session.on('mcp_tool_call_completed', (_context, _agent, item) => completed.push(item.output));
    session.on('tool_approval_requested', (_context, _agent, request) => void session.approve(request.approvalItem));
    await session.connect({ apiKey: SHOP_KEY, callId, url: gateway.socketURL(`realtime?call_id=${callId}`) } as never);
    await eventually(() => session.availableMcpTools.length > 0, 10_000, 'the tools');
    const from = told.count;
    session.sendMessage('call web_get-sum {"a":20,"b":22}');
    await eventually(() => completed.length > 0, 15_000, 'the call');
    expect(completed).toEqual(['The sum of 20 and 22 is 42.']);
    const answer = await told.type('response.output_audio_transcript.done', 15_000, from);
    expect(answer['transcript']).toBe('The sum of 20 and 22 is 42.');
    await told.type('output_audio_buffer.stopped', 15_000, from);
    // What the SDK asked for was under way.
    expect(told.all.slice(from).filter(({ type }) => type === 'response.created').length).toBe(2);
    expect([errors, told.faults]).toEqual([[], []]);
    await call.bye();
  });
});

describe('a gateway with workers', () => {
  test('runs the servers in each worker, where sessions live, and they end with it', async () => {
    const mark = `mark-${randomUUID()}`;
    const server = `{label: local, command: "${process.execPath}", args: ["${EVERYTHING}", stdio], env: {MARK: ${mark}}}`;
    const several = await StockGateway.start(`callers: anyone\n${PROJECTS}mcp: {servers: [${server}]}\n`, 'workers');
    try {
      await eventually(() => childrenOf(mark) > 0, 15_000, 'the program');
      const { rt, told } = several.connect({ model: 'ringdown' });
      await told.type('session.created');
      expect(itemOf(await told.find(isItem('mcp_list_tools'), 15_000, 'the list'))['tools']).not.toEqual([]);
      // The embedded agent calls what it is told to.
      rt.send({
        type: 'conversation.item.create',
        item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'call local_echo {"message":"there"}' }] },
      });
      rt.send({ type: 'response.create', response: { output_modalities: ['text'] } });
      expect(itemOf(await told.find(isItem('mcp_call'), 15_000, 'the call'))).toMatchObject({
        server_label: 'local',
        name: 'echo',
        output: 'Echo: there',
      });
      expect(told.faults).toEqual([]);
      expect(childrenOf(mark)).toBe(2);
      rt.close();
    } finally {
      await several.stop();
    }
    await eventually(() => childrenOf(mark) === 0, 5000, 'the end of the program');
  });
});

/** Programs that run with this in their environment. */
function childrenOf(mark: string): number {
  const isOne = (pid: string): boolean => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
      return environment.split('\0').includes(`MARK=${mark}`);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOne(name)).length;
}

test('what opens doors is in no log, and figures are told', async () => {
  const log = JSON.stringify(gateway.process.log.all);
  expect(log).toContain('tool server says');
  for (const secret of ['canary-of-the-child', 'own-secret-key', 'token-never-told']) expect(log).not.toContain(secret);
  expect(written.headers.every(({ authorization }) => authorization === 'Bearer own-secret-key')).toBe(true);
  const metrics = await gateway.process.metrics();
  expect(metrics.sum('ringdown_mcp_calls_total')).toBeGreaterThanOrEqual(3);
});

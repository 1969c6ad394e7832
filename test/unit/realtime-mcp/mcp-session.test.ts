import { describe, expect, test } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { McpCatalogue } from '../../../src/realtime/mcp/mcp-catalogue.ts';
import type { McpEndpoint } from '../../../src/realtime/mcp/mcp-connection.ts';
import { McpFault } from '../../../src/realtime/mcp/mcp-fault.ts';
import { McpHub, type McpHubOptions } from '../../../src/realtime/mcp/mcp-hub.ts';
import { createMcpMetrics } from '../../../src/realtime/mcp/mcp-metrics.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { BenchClient, type BenchOptions, type Json, SurfaceBench } from '../realtime/surface-bench.ts';
import { FakeConnection, settle, tool } from './fake-connection.ts';

/* MCP servers in a whole session with its surface: every event is held against the reference's typings and schemas by the bench's client. */

const URL = 'https://tools.example/mcp';
const SERVER = { type: 'mcp', server_label: 'web', server_url: URL, require_approval: 'never' };
const KEPT = { authorization: 'never-told', headers: { 'X-Key': 'never-told-either' } };

async function bench(options: BenchOptions = {}, hubOptions: Partial<McpHubOptions> = {}) {
  const endpoints: McpEndpoint[] = [];
  const connections: FakeConnection[] = [];
  const state: { fault?: McpFault; tools: ReturnType<typeof tool>[] } = { tools: [tool('echo'), tool('add')] };
  const clock = new FakeClock();
  const hub = new McpHub(
    {
      clock,
      log: createLog('silent'),
      metrics: createMcpMetrics(new Metrics()),
      connect: (endpoint) => {
        endpoints.push(endpoint);
        if (state.fault) return Promise.reject(state.fault);
        const connection = new FakeConnection();
        connection.tools = state.tools;
        connections.push(connection);
        return Promise.resolve(connection);
      },
    },
    { servers: [], allow: [], sessionServers: 'all', listTimeoutMs: 1000, callTimeoutMs: 1000, ...hubOptions },
  );
  hub.start();
  await settle();
  const surface = new SurfaceBench({ tools: new McpCatalogue(hub), ...options });
  surface.run(40);
  const { client, model } = surface;
  client.take();
  const update = async (tools: readonly object[] | null, by: BenchClient = client) => {
    by.send({ type: 'session.update', event_id: 'u', session: { type: 'realtime', tools } });
    await settle();
  };
  const call = async (responseId: string, name: string) => {
    const item = {
      type: 'function_call',
      id: `${responseId}_i`,
      status: 'in_progress',
      call_id: `${responseId}_c`,
      name,
      arguments: '',
    } as const;
    model.emit({ type: 'response_started', responseId });
    model.emit({ type: 'item_started', responseId, item });
    model.emit({ type: 'item_done', responseId, item: { ...item, status: 'completed', arguments: '{}' } });
    model.emit({ type: 'response_done', responseId, status: 'completed' });
    await settle();
  };
  const offered = () => model.configs.at(-1)?.tools.map(({ name }) => name);
  return { surface, client, model, hub, clock, endpoints, connections, state, update, call, offered };
}

const local = (more: object = {}): McpHubOptions['servers'][number] => ({
  label: 'local',
  endpoint: { type: 'stdio', command: 'x', args: [], env: {} },
  approval: 'never',
  everywhere: true,
  ...more,
});

const itemOf = (event: Json | undefined) => (event?.['item'] ?? {}) as Json;

describe('a server that a session brings', () => {
  test('is asked for its tools, told as the reference tells it, and offered as functions', async () => {
    const { client, update, offered, endpoints } = await bench();
    await update([{ ...SERVER, authorization: 'abc' }]);
    const events = client.take();
    expect(events.map(({ type }) => type)).toEqual([
      'session.updated',
      'conversation.item.added',
      'mcp_list_tools.in_progress',
      'mcp_list_tools.completed',
      'conversation.item.done',
    ]);
    expect(itemOf(events[1])).toMatchObject({ type: 'mcp_list_tools', server_label: 'web', tools: [] });
    expect(itemOf(events[4])['tools']).toEqual([
      { name: 'echo', description: '', input_schema: { type: 'object' } },
      { name: 'add', description: '', input_schema: { type: 'object' } },
    ]);
    expect(offered()).toEqual(['web_echo', 'web_add']);
    expect(endpoints).toEqual([{ type: 'http', url: URL, headers: { Authorization: 'Bearer abc' } }]);
    // The SDK retrieves the list while it is made; it stays.
    client.send({ type: 'conversation.item.retrieve', item_id: itemOf(events[4])['id'] });
    expect(itemOf(client.last('conversation.item.retrieved'))).toMatchObject({ type: 'mcp_list_tools', server_label: 'web' });
  });

  test('is closed when the session does not name it any more, and when it ends', async () => {
    const { update, connections, offered, surface, client } = await bench();
    await update([SERVER]);
    await update([{ ...SERVER, server_label: 'other' }]);
    expect([connections[0]?.closed, offered()]).toEqual([true, ['other_echo', 'other_add']]);
    await update([
      { ...SERVER, server_label: 'other' },
      { type: 'function', name: 'mine' },
    ]);
    expect([connections.length, connections[1]?.closed]).toEqual([2, false]);
    surface.session.end('agent_hangup');
    await settle();
    expect(connections[1]?.closed).toBe(true);
    expect(client.events.filter(({ type }) => type === 'error')).toEqual([]);
  });

  test('that is not there is told as failed once, and again when it is', async () => {
    const { client, state, update, clock, offered } = await bench();
    state.fault = new McpFault('fenced', 'no');
    await update([SERVER]);
    expect(client.types()).toEqual([
      'session.updated',
      'conversation.item.added',
      'mcp_list_tools.in_progress',
      'mcp_list_tools.failed',
      'conversation.item.done',
    ]);
    clock.advance(1000);
    await settle();
    expect(client.types()).toEqual([]);
    delete state.fault;
    clock.advance(2000);
    await settle();
    expect(client.types()).toEqual([
      'conversation.item.added',
      'mcp_list_tools.in_progress',
      'mcp_list_tools.completed',
      'conversation.item.done',
    ]);
    expect(offered()).toEqual(['web_echo', 'web_add']);
  });

  test('tells its tools anew when they have changed, and only then', async () => {
    const { client, update, connections, clock, offered } = await bench();
    await update([SERVER]);
    client.take();
    const change = async () => {
      connections[0]?.onToolsChanged?.();
      clock.advance(2000);
      await settle();
    };
    await change();
    expect(client.types()).toEqual([]);
    if (connections[0]) connections[0].tools = [tool('later')];
    await change();
    expect(client.types()).toEqual([
      'conversation.item.added',
      'mcp_list_tools.in_progress',
      'mcp_list_tools.completed',
      'conversation.item.done',
    ]);
    expect(offered()).toEqual(['web_later']);
  });

  test('has its key and headers told to nobody, and keeps them when the session object comes back', async () => {
    const { client, update, endpoints, surface } = await bench();
    await update([{ ...SERVER, ...KEPT }]);
    const told = (client.last('session.updated')['session'] as Json)['tools'] as Json[];
    expect(told).toEqual([SERVER]);
    await update([...told, { type: 'function', name: 'mine' }]);
    expect(endpoints.length).toBe(1);
    expect(endpoints[0]).toMatchObject({ headers: { Authorization: 'Bearer never-told', 'X-Key': 'never-told-either' } });
    expect(JSON.stringify([client.events, surface.surface.effective, surface.session.snapshot()])).not.toContain('never-told');
    // Another door does not get the key of this one.
    await update([{ ...SERVER, server_url: 'https://elsewhere.example/mcp' }]);
    expect(endpoints[1]).toMatchObject({ headers: {} });
  });

  test.each<[object, string, string]>([
    [{ ...SERVER, server_url: 'ftp://x/' }, 'session.tools[0].server_url', 'invalid_value'],
    [{ ...SERVER, server_url: 'https://user:pw@x/' }, 'session.tools[0].server_url', 'invalid_value'],
    [{ ...SERVER, server_url: 'https://127.0.0.1/mcp' }, 'session.tools[0]', 'invalid_value'],
    [{ ...SERVER, server_url: 'http://8.8.8.8/mcp' }, 'session.tools[0]', 'invalid_value'],
    [{ ...SERVER, headers: { Host: 'x' } }, 'session.tools[0].headers', 'invalid_value'],
    [{ ...SERVER, headers: { 'mcp-session-id': 'x' } }, 'session.tools[0].headers', 'invalid_value'],
    [{ ...SERVER, headers: { a: 'x\r\ny' } }, 'session.tools[0].headers.a', 'invalid_value'],
    [{ ...SERVER, authorization: 'a\nb' }, 'session.tools[0].authorization', 'invalid_value'],
    [{ ...SERVER, command: 'sh' }, 'session.tools[0].command', 'unknown_parameter'],
    [{ ...SERVER, tunnel_id: 't' }, 'session.tools[0].tunnel_id', 'unsupported_tool'],
    [{ type: 'mcp', server_label: 'nobody' }, 'session.tools[0]', 'invalid_value'],
  ])('is refused when it is %j', async (named, param, code) => {
    const { client, update, endpoints } = await bench();
    await update([named]);
    expect(client.error()).toMatchObject({ param, code, event_id: 'u' });
    expect([endpoints, client.events.filter(({ type }) => type === 'session.updated')]).toEqual([[], []]);
  });

  test('is refused where the project may bring none, and where two have one label', async () => {
    const { client, update } = await bench({}, { sessionServers: ['bank'] });
    await update([SERVER]);
    expect(client.error()).toMatchObject({ code: 'forbidden', param: 'session.tools[0]' });
    const other = await bench();
    await other.update([SERVER, { ...SERVER, server_url: 'https://b.example/' }]);
    expect(other.client.error()).toMatchObject({ param: 'session.tools[1].server_label' });
  });

  test('cannot be named by a response', async () => {
    const { client } = await bench();
    client.send({ type: 'response.create', response: { tools: [SERVER] } });
    expect(client.error()).toMatchObject({ code: 'unsupported_tool', param: 'response.tools[0].type' });
  });

  test('may be what the model has to use', async () => {
    const { client, update, model } = await bench();
    await update([SERVER]);
    const choose = (tool_choice: object) => {
      client.send({ type: 'session.update', session: { type: 'realtime', tool_choice } });
      return model.configs.at(-1)?.toolChoice;
    };
    expect(choose({ type: 'mcp', server_label: 'web', name: 'echo' })).toEqual({ type: 'function', name: 'web_echo' });
    expect(choose({ type: 'mcp', server_label: 'web' })).toBe('required');
  });
});

describe('a client with no more than a secret', () => {
  test('brings no server, whatever the session has', async () => {
    const { client, surface, update, endpoints } = await bench({ session: { tools: [{ ...SERVER, ...KEPT }] }, ephemeral: true });
    const theirs = new BenchClient(surface.surface, true);
    for (const named of [
      { ...SERVER, server_url: 'https://evil.example/' },
      { ...SERVER, server_label: 'evil' },
      { ...SERVER, authorization: 'mine' },
      { ...SERVER, headers: {} },
      { type: 'mcp', server_label: 'web' },
    ]) {
      await update([named], theirs);
      expect(theirs.error()).toMatchObject({ code: 'forbidden', param: 'session.tools[0]', type: 'permission_error', event_id: 'u' });
      theirs.take();
    }
    expect([endpoints.length, client.events.filter(({ type }) => type === 'session.updated')]).toEqual([1, []]);
  });

  test('has those that a key has put into the session, as they were put there', async () => {
    const { surface, update, endpoints, offered, call, connections } = await bench();
    await update([{ ...SERVER, ...KEPT, require_approval: 'always', allowed_tools: ['echo'] }]);
    const theirs = new BenchClient(surface.surface, true);
    await update(
      [
        { ...SERVER, require_approval: 'never' },
        { type: 'function', name: 'page' },
      ],
      theirs,
    );
    expect(offered()).toEqual(['page', 'web_echo']);
    expect([endpoints.length, connections[0]?.closed]).toEqual([1, false]);
    await call('r1', 'web_echo');
    expect(theirs.events.some((event) => itemOf(event)['type'] === 'mcp_approval_request')).toBe(true);
  });
});

describe('a server of the configuration', () => {
  test('is there for every session at once, and shared', async () => {
    const { offered, connections, hub, client, call, model } = await bench({}, { servers: [local()] });
    const other = new SurfaceBench({ tools: new McpCatalogue(hub) });
    expect([offered(), other.model.configs.at(-1)?.tools.map(({ name }) => name), connections.length]).toEqual([
      ['local_echo', 'local_add'],
      ['local_echo', 'local_add'],
      1,
    ]);
    await call('r1', 'local_echo');
    expect(itemOf(client.last('conversation.item.done'))).toMatchObject({
      type: 'mcp_call',
      server_label: 'local',
      name: 'echo',
      output: 'ok',
    });
    expect(model.told.filter(([what]) => what === 'addItem').map(([, item]) => item)).toMatchObject([
      { type: 'function_call_output', call_id: 'r1_c', output: 'ok' },
    ]);
    other.session.end('agent_hangup');
    await settle();
    expect(connections[0]?.closed).toBe(false);
    await hub.close();
    expect(connections[0]?.closed).toBe(true);
  });

  test('is there for those who name it, as they name it, and for the projects that may', async () => {
    const servers = [local({ everywhere: false, allowed: { names: ['echo'] } }), local({ label: 'bank', projects: ['bank'] })];
    const { offered, update, client } = await bench({}, { servers });
    expect(offered()).toEqual([]);
    await update([{ type: 'mcp', server_label: 'local', allowed_tools: ['echo', 'add'], require_approval: 'always' }]);
    expect(offered()).toEqual(['local_echo']);
    await update([{ type: 'mcp', server_label: 'bank' }]);
    expect(client.error()).toMatchObject({ code: 'invalid_value', param: 'session.tools[0]' });
    await update([{ type: 'mcp', server_label: 'local', authorization: 'mine' }]);
    expect(client.error()).toMatchObject({ code: 'invalid_value', message: expect.stringContaining("gateway's own") });
  });

  test('that a session names is there once, as it is named, and again as before when it is not', async () => {
    const { offered, update, call, client } = await bench({}, { servers: [local()] });
    await update([{ type: 'mcp', server_label: 'local', allowed_tools: ['add'], require_approval: 'always' }]);
    expect(offered()).toEqual(['local_add']);
    await update([]);
    expect(offered()).toEqual(['local_echo', 'local_add']);
    await call('r1', 'local_add');
    expect(client.events.some(({ type }) => type === 'response.mcp_call.completed')).toBe(true);
  });

  test('keeps the approval that the operator asks for, whatever a session says', async () => {
    const { update, call, client } = await bench(
      {},
      { servers: [local({ approval: { always: { names: ['add'] }, never: { names: ['echo'] } } })] },
    );
    const requests = () =>
      client.events.filter((event) => event['type'] === 'conversation.item.added' && itemOf(event)['type'] === 'mcp_approval_request')
        .length;
    await update([{ type: 'mcp', server_label: 'local', require_approval: 'never' }]);
    await call('r1', 'local_add');
    await call('r2', 'local_echo');
    expect(requests()).toBe(1);
    await update([{ type: 'mcp', server_label: 'local', require_approval: 'always' }]);
    await call('r3', 'local_echo');
    expect(requests()).toBe(2);
  });

  test('is not for sessions that only write down', async () => {
    const { hub } = await bench({}, { servers: [local()] });
    const surface = new SurfaceBench({ tools: new McpCatalogue(hub), session: { type: 'transcription' } });
    expect(surface.model.configs.at(-1)?.tools).toEqual([]);
  });
});

describe('an approval', () => {
  async function asked() {
    const made = await bench();
    await made.update([{ ...SERVER, require_approval: { always: { tool_names: ['echo'] }, never: { tool_names: ['add'] } } }]);
    made.client.take();
    await made.call('r1', 'web_echo');
    const request = itemOf(made.client.events.findLast((event) => itemOf(event)['type'] === 'mcp_approval_request'));
    const answer = async (fields: object, by = made.client) => {
      by.send({
        type: 'conversation.item.create',
        event_id: 'a',
        item: { type: 'mcp_approval_response', approval_request_id: request['id'], ...fields },
      });
      await settle();
    };
    return { ...made, request, answer };
  }

  test('is asked for where the rule says so, and the call runs when it is given', async () => {
    const { client, request, answer, call } = await asked();
    expect(request).toMatchObject({ server_label: 'web', name: 'echo', arguments: '{}' });
    client.take();
    await answer({ approve: true });
    const events = client.take();
    expect(events.map((event) => `${event['type']} ${itemOf(event)['type'] ?? ''}`.trim())).toEqual([
      'conversation.item.added mcp_approval_response',
      'conversation.item.done mcp_approval_response',
      'response.mcp_call.in_progress',
      'conversation.item.done mcp_call',
      'response.mcp_call.completed',
    ]);
    expect(itemOf(events[3])).toMatchObject({ output: 'ok', approval_request_id: request['id'], error: null });
    await call('r2', 'web_add');
    expect(client.events.some((event) => itemOf(event)['type'] === 'mcp_approval_request')).toBe(false);
  });

  test('that is refused ends the call; the model and programs are told why', async () => {
    const { client, answer, model } = await asked();
    await answer({ approve: false, reason: 'Too dear.' });
    expect(itemOf(client.last('conversation.item.done'))).toMatchObject({ output: null, error: { message: 'not_approved: Too dear.' } });
    expect(client.last('response.mcp_call.failed')).toBeDefined();
    expect(JSON.stringify(model.told.at(-1))).toContain('Too dear.');
  });

  test('is taken once, and only where one is asked for', async () => {
    const { client, answer, connections } = await asked();
    let calls = 0;
    if (connections[0]) {
      connections[0].answer = () => {
        calls += 1;
        return Promise.resolve({ content: [] });
      };
    }
    await answer({ approve: true });
    await answer({ approve: true });
    expect(client.error()).toMatchObject({ code: 'item_not_found', param: 'item.approval_request_id', event_id: 'a' });
    expect(calls).toBe(1);
  });

  test('that nobody gives is a refusal after two minutes, and then it is too late', async () => {
    const { client, surface, answer, connections } = await asked();
    surface.wait(121_000);
    await settle();
    expect(itemOf(client.events.findLast((event) => itemOf(event)['type'] === 'mcp_call'))).toMatchObject({
      error: { message: expect.stringContaining('approval_timeout') },
    });
    client.take();
    await answer({ approve: true });
    expect(client.error()).toMatchObject({ code: 'invalid_state' });
    expect(connections[0]?.lists).toBe(1);
  });

  test('stands in the conversation: items may follow it, and the model is told where', async () => {
    const { client, request, model } = await asked();
    const message = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'x' }] };
    client.send({ type: 'conversation.item.create', previous_item_id: 'r1_i', item: { ...message, id: 'm1' } });
    client.send({ type: 'conversation.item.create', previous_item_id: request['id'], item: { ...message, id: 'm2' } });
    expect(model.told.filter(([what]) => what === 'addItem').map(([, item, after]) => [(item as Json)['id'], after])).toEqual([
      ['m1', 'r1_i'],
      ['m2', undefined],
    ]);
  });
});

describe('a call', () => {
  test.each<[string, McpFault]>([
    ['stuck', new McpFault('stuck', 'The server did not answer in time.')],
    ['refused', new McpFault('refused', 'The server refuses with 500.', { status: 500 })],
    ['gone', new McpFault('gone', 'The server is gone.')],
  ])('of a server that is %s is an error for the model, which goes on', async (code, fault) => {
    const { client, update, call, connections, model, surface } = await bench();
    await update([SERVER]);
    if (connections[0]) connections[0].answer = () => Promise.reject(fault);
    await call('r1', 'web_echo');
    expect(itemOf(client.last('conversation.item.done'))).toMatchObject({
      output: null,
      error: { type: 'tool_execution_error', message: `${code}: ${fault.message}` },
    });
    expect(JSON.stringify(model.told.at(-1))).toContain(fault.message);
    surface.run(40);
    expect(model.requests.length).toBe(1);
  });

  test('is followed by one response, also when a program asks for it as clients of the reference do', async () => {
    const { client, update, call, model, surface } = await bench();
    await update([SERVER]);
    await call('r1', 'web_echo');
    surface.run(40);
    expect(model.requests.length).toBe(1);
    client.take();
    client.send({ type: 'response.create', event_id: 'late' });
    model.say('r2', 100, { requestId: model.requests[0]?.requestId ?? '' });
    expect([model.requests.length, client.types().filter((type) => type === 'error' || type === 'response.created')]).toEqual([
      1,
      ['response.created'],
    ]);
    // What comes after that is another one.
    surface.run(1200);
    client.send({ type: 'response.create' });
    expect(model.requests.length).toBe(2);
  });

  test('of a program that asks for something else is made', async () => {
    const { client, update, call, model, surface } = await bench();
    await update([SERVER]);
    await call('r1', 'web_echo');
    surface.run(40);
    model.say('r2', 20, { requestId: model.requests[0]?.requestId ?? '' });
    client.send({ type: 'response.create', response: { instructions: 'Sing.' } });
    expect(model.requests.length).toBe(2);
  });
});

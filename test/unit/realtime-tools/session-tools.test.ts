import { describe, expect, test } from 'vitest';
import { ScriptedTools } from '../../support/scripted-tools.ts';
import { type BenchOptions, type Json, SurfaceBench } from '../realtime/surface-bench.ts';

/* A whole session with its surface: every event is held against the reference's typings by the bench's client. */

const LOOK = { name: 'look', description: 'Looks something up.', parameters: { type: 'object', properties: { what: { type: 'string' } } } };
const THEIRS = { type: 'function', name: 'theirs', parameters: { type: 'object' } };

function bench(options: BenchOptions = {}) {
  const tools = new ScriptedTools(LOOK);
  const surface = new SurfaceBench({ tools: tools.catalogue, session: { tools: [THEIRS] }, ...options });
  surface.run(40);
  surface.client.take();
  const calls = (responseId: string, ...names: string[]): void => {
    const { model } = surface;
    model.emit({ type: 'response_started', responseId, requestId: model.requests.at(-1)?.requestId });
    for (const name of names) {
      const item = {
        type: 'function_call',
        id: `${responseId}_${name}`,
        status: 'in_progress',
        call_id: `call_${responseId}_${name}`,
        name,
        arguments: '',
      } as const;
      model.emit({ type: 'item_started', responseId, item });
      model.emit({ type: 'arguments', responseId, itemId: item.id, delta: '{"what":' });
      model.emit({ type: 'arguments', responseId, itemId: item.id, delta: '"tea"}' });
      model.emit({ type: 'item_done', responseId, item: { ...item, status: 'completed', arguments: '{"what":"tea"}' } });
    }
    model.emit({ type: 'response_done', responseId, status: 'completed' });
  };
  return { surface, tools, calls, model: surface.model, client: surface.client };
}

describe('a tool that the gateway runs', () => {
  test('is offered to the model as a plain function, beside those of the program', () => {
    const { model, surface } = bench();
    const offered = (): unknown => model.configs.at(-1)?.tools.map(({ type, name }) => `${type} ${name}`);
    expect(offered()).toEqual(['function theirs', 'function look']);
    surface.client.send({ type: 'session.update', session: { type: 'realtime', tools: [] } });
    expect(offered()).toEqual(['function look']);
    expect((surface.client.last('session.updated')['session'] as Json)['tools']).toEqual([]);
  });

  test('is run, told as the reference tells of tools that the server runs, and the model goes on with what it said', () => {
    const { calls, tools, client, model, surface } = bench();
    calls('r1', 'look');
    expect(tools.calls.map(({ call }) => call)).toEqual([
      { id: 'r1_look', callId: 'call_r1_look', responseId: 'r1', name: 'look', arguments: { what: 'tea' } },
    ]);
    expect(client.types()).toEqual([
      'response.created',
      'response.output_item.added',
      'conversation.item.added',
      'response.mcp_call_arguments.delta',
      'response.mcp_call_arguments.delta',
      'response.mcp_call_arguments.done',
      'response.output_item.done',
      'response.mcp_call.in_progress',
      'response.done',
    ]);
    surface.run(600);
    expect(model.requests).toEqual([]);
    tools.answer('Earl Grey');
    expect(client.take().filter(({ type }) => String(type).includes('item.done') || String(type).includes('mcp'))).toMatchObject([
      {
        type: 'conversation.item.done',
        item: { type: 'mcp_call', server_label: 'scripted', name: 'look', arguments: '{"what":"tea"}', output: 'Earl Grey' },
      },
      { type: 'response.mcp_call.completed', item_id: 'r1_look', output_index: 0 },
    ]);
    expect(model.told.at(-1)).toMatchObject([
      'addItem',
      { type: 'function_call_output', call_id: 'call_r1_look', output: 'Earl Grey' },
      undefined,
    ]);
    expect(model.requests).toMatchObject([{ conversation: 'auto' }]);
    model.say('r2', 100, { requestId: model.requests[0]?.requestId ?? '' });
    surface.run(1000);
    expect(model.requests).toHaveLength(1);
  });

  test('that the model calls at once after another one is gone on from, too, however fast both were', () => {
    const { calls, tools, model, surface } = bench();
    tools.onCall = (_call, tell) => tell({ type: 'done', output: 'Earl Grey' });
    calls('r1', 'look');
    for (const asked of [1, 2, 3, 4]) {
      expect(model.requests).toHaveLength(asked);
      surface.run(100);
      calls(`r${asked + 1}`, 'look');
    }
    expect(model.requests).toHaveLength(5);
  });

  test('that fails says so to model and programs', () => {
    const { calls, tools, client, model } = bench();
    calls('r1', 'look');
    tools.calls[0]?.tell({ type: 'failed', code: 'closed', message: 'The shop is closed.' });
    expect(client.last('response.mcp_call.failed')).toMatchObject({ item_id: 'r1_look' });
    expect(client.itemOf(client.last('conversation.item.done'))).toMatchObject({
      output: null,
      error: { message: 'closed: The shop is closed.' },
    });
    const [, item] = model.told.at(-1) as [string, { output: string }];
    expect(JSON.parse(item.output)).toEqual({ error: { code: 'closed', message: 'The shop is closed.' } });
    expect(model.requests).toHaveLength(1);
  });

  test('that never answers fails in time, and is gone', () => {
    const { calls, tools, client, surface, model } = bench();
    calls('r1', 'look');
    surface.wait(30_100);
    expect(tools.calls[0]?.aborted).toBe('timeout');
    expect(client.itemOf(client.last('conversation.item.done'))).toMatchObject({
      error: { message: 'timeout: The tool did not answer in time.' },
    });
    expect(model.requests).toHaveLength(1);
    tools.answer('too late');
    surface.wait(100);
    expect(model.requests).toHaveLength(1);
  });

  test('that answers while the caller speaks waits for the turn, whose answer knows of it', () => {
    const { calls, tools, surface, model } = bench();
    calls('r1', 'look');
    surface.voice(400);
    tools.answer('Earl Grey');
    surface.voice(200);
    expect(model.requests).toEqual([]);
    model.onCommit = () => model.say('r2', 300);
    surface.silence(2000);
    expect(model.requests).toEqual([]);
    expect(model.told.filter(([what]) => what === 'commitTurn')).toHaveLength(1);
  });

  test("is not asked of a program, and a program's own is not run here", () => {
    const { calls, tools, client, surface, model } = bench();
    calls('r1', 'look', 'theirs');
    expect(tools.calls).toHaveLength(1);
    expect(
      client
        .take()
        .filter(({ type }) => String(type).includes('arguments.done'))
        .map(({ type, name }) => [type, name]),
    ).toEqual([
      ['response.mcp_call_arguments.done', undefined],
      ['response.function_call_arguments.done', 'theirs'],
    ]);
    tools.answer('Earl Grey');
    surface.run(500);
    expect(model.requests).toEqual([]);
    client.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'call_r1_theirs', output: 'mine' } });
    client.send({ type: 'response.create' });
    expect(model.requests).toHaveLength(1);
    model.say('r2', 100, { requestId: model.requests[0]?.requestId ?? '' });
    surface.run(3000);
    expect(model.requests).toHaveLength(1);
    expect(client.events.filter(({ type }) => type === 'error')).toEqual([]);
  });

  test('gives way to a tool of the same name that the program has', () => {
    const { calls, tools, client } = bench({ session: { tools: [{ ...THEIRS, name: 'look' }] } });
    calls('r1', 'look');
    expect(tools.calls).toEqual([]);
    expect(client.last('response.function_call_arguments.done')).toMatchObject({ name: 'look' });
  });

  test('is not offered to a response out of band', () => {
    const { client, model } = bench();
    client.send({ type: 'response.create', response: { conversation: 'none' } });
    expect(model.requests[0]?.config?.tools?.map(({ name }) => name)).toEqual(['theirs']);
  });

  test('is aborted when the call ends, and its source is closed', () => {
    const { calls, tools, surface } = bench();
    calls('r1', 'look');
    surface.session.end('remote_hangup');
    expect([tools.calls[0]?.aborted, tools.closed]).toEqual(['ended', true]);
    tools.answer('too late');
  });

  test('that is no longer there is offered no more', () => {
    const { tools, model } = bench();
    tools.tools = [];
    tools.onChanged?.();
    expect(model.configs.at(-1)?.tools.map(({ name }) => name)).toEqual(['theirs']);
  });

  test('of a call that was not written to its end is not run', () => {
    const { tools, model, client } = bench();
    const item = { type: 'function_call', id: 'x', status: 'in_progress', call_id: 'call_x', name: 'look', arguments: '' } as const;
    model.emit({ type: 'response_started', responseId: 'r1' });
    model.emit({ type: 'item_started', responseId: 'r1', item });
    model.emit({ type: 'response_done', responseId: 'r1', status: 'incomplete' });
    expect(tools.calls).toEqual([]);
    expect(client.itemOf(client.last('conversation.item.done'))).toMatchObject({ error: { type: 'tool_execution_error' } });
  });
});

test('an item of a hosted call can be retrieved, and removed while it runs', () => {
  const { calls, tools, client, surface } = bench();
  calls('r1', 'look');
  client.send({ type: 'conversation.item.retrieve', item_id: 'r1_look' });
  expect(client.itemOf(client.last('conversation.item.retrieved'))).toMatchObject({ type: 'mcp_call', output: null });
  client.send({ type: 'conversation.item.delete', item_id: 'r1_look' });
  client.take();
  tools.answer('too late');
  expect(client.types().filter((type) => type.includes('mcp_call'))).toEqual([]);
  surface.run(100);
});

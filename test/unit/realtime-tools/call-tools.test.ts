import { describe, expect, test } from 'vitest';
import { CallCatalogue } from '../../../src/realtime/tools/call-catalogue.ts';
import type { CallToolOptions } from '../../../src/realtime/tools/call-tools.ts';
import { BenchClient, type BenchOptions, type Json, SurfaceBench } from '../realtime/surface-bench.ts';

const DESK = { name: 'desk', uri: 'sip:desk@192.0.2.50', description: 'a person' };
const ALL: CallToolOptions = {
  transfer: { targets: [DESK] },
  hangUp: true,
  sendDtmf: { allow: '0123456789#', most: 4 },
  holdMusic: { mostMs: 60_000 },
  collectDigits: { secure: false, most: 16 },
};

/** A phone call whose model has all of the call's tools. */
function call(options: CallToolOptions = ALL, more: BenchOptions = {}) {
  const did: string[] = [];
  const bench = new SurfaceBench({
    tools: new CallCatalogue(options),
    leg: { refer: (uri) => void did.push(`refer ${uri}`), sendDtmf: (digits) => void did.push(`press ${digits}`) },
    ...more,
  });
  bench.run(40);
  bench.client.take();
  const { model, client, session, commands } = bench;
  let responses = 0;
  return {
    ...{ bench, did, model, client, session, commands },
    offered: () => model.configs.at(-1)?.tools.map(({ name }) => name) ?? [],
    /** The model calls a tool, and says so much before. */
    uses(name: string, args: Json = {}, sayMs = 0): void {
      const responseId = `r${++responses}`;
      const text = JSON.stringify(args);
      const item = {
        type: 'function_call',
        id: `call_${responseId}`,
        status: 'in_progress',
        call_id: `c${responses}`,
        name,
        arguments: '',
      } as const;
      model.emit({ type: 'response_started', responseId });
      if (sayMs > 0) model.emit({ type: 'audio', responseId, itemId: `${responseId}_said`, pcm: new Int16Array(sayMs * 24).fill(1000) });
      model.emit({ type: 'item_started', responseId, item });
      model.emit({ type: 'item_done', responseId, item: { ...item, status: 'completed', arguments: text } });
      model.emit({ type: 'response_done', responseId, status: 'completed' });
    },
    /** What the model was told of its calls, the newest last. */
    results: (): unknown[] =>
      model.told.flatMap(([what, item]) => {
        const { type, output } = (item ?? {}) as { type?: string; output?: string };
        return what === 'addItem' && type === 'function_call_output' ? [output?.startsWith('{') ? JSON.parse(output) : output] : [];
      }),
    press(digits: string): void {
      for (const digit of digits) session.handleLegEvent({ type: 'dtmf', digit, durationMs: 80 });
    },
  };
}

test.each(['hang_up', 'transfer'])('%s is not done any more when the agent has left the call to a person, nor when it is back', (tool) => {
  const { bench, session, did, uses, results } = call();
  uses(tool, { target: 'desk' }, 1000);
  bench.run(200);
  session.pause();
  bench.wait(60_000);
  session.resume();
  bench.run(3000);
  expect([did, session.snapshot().state]).toEqual([[], 'idle']);
  expect(bench.client.events.filter(({ type }) => type === 'call.ended')).toEqual([]);
  if (tool === 'transfer') expect(results()).toMatchObject([{ error: { code: 'invalid_state' } }]);
});

describe('the tools of a call', () => {
  test('are offered as far as the call has a use for them', () => {
    expect(call().offered()).toEqual(['transfer', 'hang_up', 'send_dtmf', 'hold_music', 'collect_digits']);
    expect(call(ALL, { leg: {} }).offered()).toEqual(['hang_up', 'hold_music']);
    expect(call(ALL, { media: 'websocket' }).offered()).toEqual(['hang_up']);
    expect(call({}).model.configs.at(-1)?.tools ?? []).toEqual([]);
  });

  test('do not tell the model an address', () => {
    const told = JSON.stringify(call().model.configs.at(-1));
    expect(told).toContain('desk (a person)');
    expect(told).not.toContain('192.0.2.50');
  });

  test('come with the session object of a program that has a key', () => {
    const { client, offered } = call({});
    client.send({
      type: 'session.update',
      session: {
        type: 'realtime',
        tools: [
          { type: 'call', name: 'transfer', targets: [DESK] },
          { type: 'call', name: 'hang_up' },
        ],
      },
    });
    expect(offered()).toEqual(['transfer', 'hang_up']);
    expect((client.last('session.updated')['session'] as Json)['tools']).toHaveLength(2);
    client.send({ type: 'session.update', session: { type: 'realtime', tools: [] } });
    expect(offered()).toEqual([]);
  });

  test('do not come with that of an ephemeral secret, nor with a single response', () => {
    const { bench, offered, client } = call({});
    const page = new BenchClient(bench.surface, true);
    page.send({ type: 'session.update', session: { type: 'realtime', tools: [{ type: 'call', name: 'hang_up' }] } });
    expect(page.error()).toMatchObject({ code: 'forbidden', param: 'session.tools' });
    client.send({ type: 'response.create', response: { tools: [{ type: 'call', name: 'hang_up' }] } });
    expect(client.error()).toMatchObject({ code: 'unsupported_tool' });
    expect(offered()).toEqual([]);
  });

  test.each([
    [{ type: 'call', name: 'dial_anybody' }],
    [{ type: 'call', name: 'transfer' }],
    [{ type: 'call', name: 'transfer', targets: [{ name: 'x', uri: 'http://example.com' }] }],
    [{ type: 'call', name: 'transfer', targets: [DESK, DESK] }],
    [{ type: 'call', name: 'send_dtmf', allow: 'xyz' }],
    [{ type: 'call', name: 'hang_up', more: 1 }],
  ])('that are not what they should be are refused: %j', (tool) => {
    const { client } = call({});
    client.send({ type: 'session.update', session: { type: 'realtime', tools: [tool] } });
    expect(client.error()['type']).toBe('invalid_request_error');
  });
});

describe('transfer', () => {
  test('waits until what is said has been heard, then asks the phone to call the target', () => {
    const { bench, uses, did, session, client, results } = call();
    uses('transfer', { target: 'desk' }, 600);
    bench.run(700);
    expect(did).toEqual([]);
    bench.run(300);
    expect(did).toEqual(['refer sip:desk@192.0.2.50']);
    session.handleLegEvent({ type: 'transfer', state: 'accepted' });
    session.handleLegEvent({ type: 'transfer', state: 'succeeded' });
    expect(results()).toEqual(['The caller is being connected.']);
    expect(client.closed?.[1]).toBe('agent_hangup');
  });

  test('that fails leaves the caller here, and the model is told with what', () => {
    const { bench, uses, session, results, model } = call();
    uses('transfer', { target: 'desk' });
    bench.run(300);
    session.handleLegEvent({ type: 'transfer', state: 'failed', status: 486 });
    expect(results()).toEqual([{ error: { code: 'not_transferred', message: 'desk could not be reached: busy.' } }]);
    expect(model.requests).toHaveLength(1);
  });

  test.each([['elsewhere'], ['sip:premium@192.0.2.99'], [7], [undefined], ['__proto__']])(
    'goes to nobody that is not named: %s',
    (target) => {
      const { bench, uses, did, results } = call();
      uses('transfer', { target });
      bench.run(300);
      expect([did, results()]).toEqual([[], [{ error: expect.objectContaining({ code: 'unknown_target' }) }]]);
    },
  );

  test('is one at a time', () => {
    const { bench, uses, did, results } = call();
    uses('transfer', { target: 'desk' });
    bench.run(300);
    uses('transfer', { target: 'desk' });
    bench.run(300);
    expect([did.length, results()]).toEqual([1, [{ error: { code: 'invalid_state', message: 'A transfer is under way.' } }]]);
  });
});

test('hanging up waits until goodbye is heard', () => {
  const { bench, uses, commands } = call();
  uses('hang_up', {}, 1000);
  bench.run(1000);
  expect(commands).toEqual(['answer']);
  bench.run(800);
  expect(commands).toEqual(['answer', 'hangup agent_hangup']);
});

describe('pressing keys', () => {
  test('does what is allowed', () => {
    const { uses, did, results } = call();
    uses('send_dtmf', { digits: '12#' });
    expect([did, results()]).toEqual([['press 12#'], ['The keys are being pressed.']]);
  });

  test.each([['12345'], ['1*'], [''], [12], ['A']])('does nothing else: %s', (digits) => {
    const { uses, did, results } = call();
    uses('send_dtmf', { digits });
    expect([did, results()]).toEqual([[], [{ error: expect.objectContaining({ code: 'not_allowed' }) }]]);
  });
});

describe('collecting digits', () => {
  test('gives the model the keys, which nobody takes for a menu', () => {
    const { uses, press, results, model, client } = call();
    uses('collect_digits', { count: 4 });
    press('1234');
    expect(results()).toEqual([{ digits: '1234', count: 4, ended_by: 'count' }]);
    expect(model.told.filter(([what]) => what === 'dtmf')).toEqual([]);
    expect(client.events.filter(({ type }) => type === 'input_audio_buffer.dtmf_event_received')).toHaveLength(4);
    press('5');
    expect(model.told.filter(([what]) => what === 'dtmf')).toEqual([['dtmf', '5']]);
  });

  test.each([
    ['a terminator', { count: 8 }, '12#', 0, { digits: '12', count: 2, ended_by: 'terminator' }],
    ['the time between keys', { count: 8, timeout: 2 }, '12', 2100, { digits: '12', count: 2, ended_by: 'timeout' }],
    ['the time for the first', { first_timeout: 3 }, '', 3100, { digits: '', count: 0, ended_by: 'timeout' }],
    ['its most', {}, '12345678901234567890', 0, { digits: '1234567890123456', count: 16, ended_by: 'count' }],
    [
      'arguments that are nonsense',
      { count: 'many', terminator: 7, timeout: -4 },
      '12#',
      0,
      { digits: '12', count: 2, ended_by: 'terminator' },
    ],
  ])('ends by %s', (_, args, keys, waitMs, result) => {
    const { uses, press, results, bench } = call();
    uses('collect_digits', args as Json);
    press(keys);
    bench.run(waitMs);
    expect(results()).toEqual([result]);
  });

  test('stops what the agent says at the first key', () => {
    const { bench, uses, press, client } = call();
    uses('collect_digits', { count: 2 }, 5000);
    bench.run(500);
    client.take();
    press('1');
    expect(client.types()).toContain('output_audio_buffer.cleared');
  });

  test('is one at a time, and over with the call', () => {
    const { uses, results, session } = call();
    uses('collect_digits', { count: 4 });
    uses('collect_digits', { count: 4 });
    expect(results()).toEqual([{ error: { code: 'invalid_state', message: 'Keys are being collected already.' } }]);
    session.end('remote_hangup');
    expect(results()).toHaveLength(2);
  });
});

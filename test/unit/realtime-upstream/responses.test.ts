import { describe, expect, test } from 'vitest';
import type { ModelEvent } from '../../../src/realtime/model.ts';
import { upstreamProfile } from '../../../src/realtime/upstream/profile.ts';
import { ConversationProbe, type Wire } from './conversation-probe.ts';

function turn(probe: ConversationProbe, startMs = 0): void {
  probe.hear(1000);
  probe.commit(startMs, startMs + 900);
}

function short(events: readonly ModelEvent[]): string[] {
  return events.map((event) => {
    if (event.type === 'audio') return `audio ${event.itemId} ${event.pcm.length / 24}`;
    if (event.type === 'response_done') return `response_done ${event.responseId} ${event.status}`;
    if (event.type === 'response_started') return `response_started ${event.responseId}${event.requestId ? ` for ${event.requestId}` : ''}`;
    if (event.type === 'item_started' || event.type === 'item_done') return `${event.type} ${event.item.id} ${event.item.status}`;
    if (event.type === 'transcript' || event.type === 'text' || event.type === 'arguments') return `${event.type} ${event.delta}`;
    return event.type;
  });
}

describe('a response of the server', () => {
  test('comes as events of a model, in order, with its usage', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.say(1, 'r1', 'i1', 100);
    const place = { response_id: 'r1', item_id: 'i1', output_index: 0, content_index: 0 };
    probe.server(1, 'response.output_audio_transcript.delta', { ...place, delta: 'Hello' });
    probe.server(1, 'response.output_audio_transcript.done', { ...place, transcript: 'Hello' });
    probe.server(1, 'response.output_item.done', {
      response_id: 'r1',
      item: { id: 'i1', type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_audio', transcript: 'Hello' }] },
    });
    const usage = { total_tokens: 3, input_tokens: 1, output_tokens: 2, input_token_details: { text_tokens: 1, evil: 'x', __proto__x: 3 } };
    probe.server(1, 'response.done', { response: { id: 'r1', status: 'completed', usage } });
    expect(short(probe.events())).toEqual([
      'response_started r1',
      'item_started i1 in_progress',
      'audio i1 100',
      'transcript Hello',
      'item_done i1 completed',
      'response_done r1 completed',
    ]);
    expect(probe.events().at(-1)).toMatchObject({ usage: { total_tokens: 3, input_token_details: { text_tokens: 1 } } });
    expect(probe.events().at(-2)).toMatchObject({ item: { content: [{ type: 'output_audio', transcript: 'Hello' }] } });
  });

  test('is understood in the names of the preview, and of servers in between', () => {
    const probe = ConversationProbe.ready({
      profile: upstreamProfile('generic-beta', { eventNames: { 'speech.piece': 'response.output_audio.delta' } }),
    });
    expect(probe.sent()[0]).toMatchObject({
      session: { modalities: ['text', 'audio'], input_audio_format: 'pcm16', turn_detection: null },
    });
    turn(probe);
    probe.server(1, 'response.created', { response: { id: 'r1' } });
    const place = { response_id: 'r1', item_id: 'i1', output_index: 0, content_index: 0 };
    probe.server(1, 'response.audio.delta', { ...place, delta: Buffer.alloc(960).toString('base64') });
    probe.server(1, 'speech.piece', { ...place, delta: Buffer.alloc(960).toString('base64') });
    probe.server(1, 'response.audio_transcript.delta', { ...place, delta: 'Hi' });
    probe.finish(1, 'r1');
    expect(short(probe.events())).toEqual([
      'response_started r1',
      'item_started i1 in_progress',
      'audio i1 20',
      'audio i1 20',
      'transcript Hi',
      'item_done i1 completed',
      'response_done r1 completed',
    ]);
  });

  test('may call a function; arguments that no delta brought are brought by the end', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.server(1, 'response.created', { response: { id: 'r1' } });
    const item = { id: 'f1', type: 'function_call', call_id: 'c1', name: 'look_up' };
    probe.server(1, 'response.output_item.added', { response_id: 'r1', output_index: 0, item });
    probe.server(1, 'response.output_item.done', { response_id: 'r1', item: { ...item, arguments: '{"a":1}', status: 'completed' } });
    probe.finish(1, 'r1');
    expect(short(probe.events())).toEqual([
      'response_started r1',
      'item_started f1 in_progress',
      'arguments {"a":1}',
      'item_done f1 completed',
      'response_done r1 completed',
    ]);
    expect(probe.events()[3]).toMatchObject({ item: { type: 'function_call', call_id: 'c1', name: 'look_up', arguments: '{"a":1}' } });
  });

  test('audio cut in the middle of a sample is put together', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.server(1, 'response.created', { response: { id: 'r1' } });
    const bytes = Buffer.from(Int16Array.from([1, -2, 300, -400]).buffer);
    for (const piece of [bytes.subarray(0, 3), bytes.subarray(3, 4), bytes.subarray(4, 7), bytes.subarray(7)]) {
      probe.server(1, 'response.output_audio.delta', { response_id: 'r1', item_id: 'i1', delta: piece.toString('base64') });
    }
    const pcm = probe.events().flatMap((event) => (event.type === 'audio' ? [...event.pcm] : []));
    expect(pcm).toEqual([1, -2, 300, -400]);
  });

  test('at another rate comes at ours', () => {
    const probe = ConversationProbe.ready({ profile: upstreamProfile('generic', { output: { encoding: 'pcmu', rateHz: 8000 } }) });
    turn(probe);
    probe.server(1, 'response.created', { response: { id: 'r1' } });
    const delta = Buffer.alloc(8000, 0xff).toString('base64');
    probe.server(1, 'response.output_audio.delta', { response_id: 'r1', item_id: 'i1', delta });
    probe.finish(1, 'r1');
    const samples = probe.events().reduce((sum, event) => sum + (event.type === 'audio' ? event.pcm.length : 0), 0);
    expect(samples).toBeGreaterThan(23_900);
    expect(samples).toBeLessThan(24_200);
  });
});

describe('one response at a time', () => {
  test('the next is asked for when the cancelled one is done', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.say(1, 'r1', 'i1', 100);
    probe.cancel('r1');
    const { mark } = probe;
    turn(probe, 1000);
    expect(probe.types(mark)).not.toContain('response.create');
    probe.finish(1, 'r1', 'cancelled');
    expect(probe.types(mark)).toContain('response.create');
    probe.say(1, 'r2', 'i2', 20);
    expect(short(probe.events(mark))).toContain('response_started r2');
  });

  test('or a second later, where the server never says so; and the one after that, too', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.say(1, 'r1', 'i1', 100);
    probe.cancel('r1');
    turn(probe, 1000);
    const { mark } = probe;
    probe.clock.advance(999);
    expect(probe.types(mark)).not.toContain('response.create');
    probe.clock.advance(1);
    expect(probe.types(mark)).toContain('response.create');
    expect(short(probe.events())).toContain('response_done r1 cancelled');
    probe.say(1, 'r2', 'i2', 20);
    probe.finish(1, 'r2');
    turn(probe, 2000);
    expect(probe.types().filter((type) => type === 'response.create')).toHaveLength(3);
  });

  test('one that was cancelled before it had a name is never told, and is cancelled again when it has one', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.cancel();
    probe.say(1, 'r1', 'i1', 100);
    probe.finish(1, 'r1', 'cancelled');
    expect(probe.events()).toEqual([]);
    expect(probe.sent().filter(({ type }) => type === 'response.cancel')).toEqual([
      { type: 'response.cancel' },
      { type: 'response.cancel', response_id: 'r1' },
    ]);
    turn(probe, 1000);
    probe.say(1, 'r2', 'i2', 20);
    expect(short(probe.events())[0]).toBe('response_started r2');
  });

  test('a refusal because another one runs is asked again', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    const error = { code: 'conversation_already_has_active_response', message: 'no', event_id: probe.eventId('response.create') };
    probe.server(1, 'error', { error });
    expect(probe.events()).toEqual([]);
    probe.clock.advance(1000);
    expect(probe.types().filter((type) => type === 'response.create')).toHaveLength(2);
  });

  test('a turn whose response is refused is answered by a failed one', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.server(1, 'error', { error: { code: 'rate_limit_exceeded', message: 'slow down', event_id: probe.eventId('response.create') } });
    expect(probe.events()).toMatchObject([
      { type: 'response_started' },
      { type: 'response_done', status: 'failed', error: { code: 'rate_limit_exceeded', message: 'slow down' } },
    ]);
  });
});

describe('a server that does not say what its error is about', () => {
  test.each([
    ['rate_limit_exceeded', 'response_started response_done'],
    ['invalid_value', 'fault'],
  ])('%s is taken for the refusal of what it sounds like', (code, types) => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.server(1, 'error', { error: { code, message: 'no' } });
    expect(
      probe
        .events()
        .map(({ type }) => type)
        .join(' '),
    ).toBe(types);
  });
});

describe('requests', () => {
  const request = { requestId: 'q1', conversation: 'auto' } as const;

  test('are named in their response, by metadata where servers give it back', () => {
    const probe = ConversationProbe.ready();
    probe.run((now) => probe.machine.respond({ ...request, requestId: 'q1', conversation: 'none', metadata: { topic: 'x' } }, now));
    probe.run((now) => probe.machine.respond({ ...request, requestId: 'q2', conversation: 'none' }, now));
    const [first, second] = probe.sent().filter(({ type }) => type === 'response.create') as [Wire, Wire];
    expect(first).toMatchObject({ response: { conversation: 'none', metadata: { topic: 'x' } } });
    const { metadata } = second['response'] as { metadata: unknown };
    probe.server(1, 'response.created', { response: { id: 'rB', conversation_id: null, metadata } });
    probe.server(1, 'response.created', { response: { id: 'rA', conversation_id: null } });
    expect(short(probe.events())).toEqual(['response_started rB for q2', 'response_started rA for q1']);
  });

  test('outside of the conversation are refused where the server has none', () => {
    const probe = ConversationProbe.ready({ profile: upstreamProfile('generic') });
    probe.run((now) => probe.machine.respond({ ...request, conversation: 'none' }, now));
    expect(probe.events()).toMatchObject([{ type: 'fault', code: 'unsupported', param: 'response.conversation', requestId: 'q1' }]);
    expect(probe.types()).toEqual(['session.update']);
  });

  test('that the server refuses are faults that name them, without our key', () => {
    const probe = ConversationProbe.ready({ secret: 'sk-secret' });
    probe.run((now) => probe.machine.respond(request, now));
    const error = {
      code: 'invalid_value',
      message: 'sk-secret may not do this',
      param: 'response.tools',
      event_id: probe.eventId('response.create'),
    };
    probe.server(1, 'error', { error });
    expect(probe.events()).toEqual([
      { type: 'fault', code: 'invalid_value', message: '[key] may not do this', param: 'response.tools', requestId: 'q1' },
    ]);
  });

  test('are bounded', () => {
    const probe = ConversationProbe.ready();
    for (let n = 0; n < 10; n++) probe.run((now) => probe.machine.respond({ ...request, requestId: `q${n}` }, now));
    expect(probe.events()).toMatchObject([
      { type: 'fault', code: 'too_many_responses', requestId: 'q8' },
      { type: 'fault', code: 'too_many_responses', requestId: 'q9' },
    ]);
  });

  test('that are cancelled before they have a name are told as cancelled', () => {
    const probe = ConversationProbe.ready();
    probe.run((now) => probe.machine.respond(request, now));
    probe.cancel();
    expect(probe.events()).toMatchObject([
      { type: 'response_started', requestId: 'q1' },
      { type: 'response_done', status: 'cancelled' },
    ]);
  });
});

describe('what the caller has not heard', () => {
  function interrupted(sentMs: number, profile = upstreamProfile('openai')): ConversationProbe {
    const probe = ConversationProbe.ready({ profile });
    turn(probe);
    probe.say(1, 'r1', 'i1', 1000);
    probe.cancel('r1');
    probe.run((now) => probe.machine.truncate('i1', sentMs, now));
    return probe;
  }

  test('is cut off at the server, in whole milliseconds that it has', () => {
    const truncations = (sentMs: number): unknown => interrupted(sentMs).sent().at(-1);
    expect(truncations(480.7)).toEqual({ type: 'conversation.item.truncate', item_id: 'i1', content_index: 0, audio_end_ms: 480 });
    expect(truncations(5000)).toMatchObject({ audio_end_ms: 1000 });
  });

  test('is deleted when nothing of it was heard, or cut to nothing where the server cannot delete', () => {
    expect(interrupted(0).sent().at(-1)).toEqual({ type: 'conversation.item.delete', item_id: 'i1' });
    expect(interrupted(0, upstreamProfile('generic')).sent().at(-1)).toMatchObject({ type: 'conversation.item.truncate', audio_end_ms: 0 });
  });

  test('is cut off too when it came after the session had stopped', () => {
    const probe = ConversationProbe.ready();
    turn(probe);
    probe.say(1, 'r1', 'i1', 200);
    probe.cancel('r1');
    const { mark } = probe;
    probe.audio(1, 'r1', 'i1', 500);
    probe.finish(1, 'r1', 'cancelled');
    expect(short(probe.events(mark))).toEqual(['item_done i1 incomplete', 'response_done r1 cancelled']);
    expect(probe.sent(mark)).toEqual([{ type: 'conversation.item.truncate', item_id: 'i1', content_index: 0, audio_end_ms: 200 }]);
  });
});

describe('items', () => {
  test('keep our ids where the server allows it', () => {
    const probe = ConversationProbe.ready();
    const item = { type: 'message', id: 'mine', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'hi' }] } as const;
    probe.run((now) => probe.machine.addItem(item, undefined, now));
    probe.run((now) => probe.machine.addItem({ ...item, id: 'second' }, 'mine', now));
    probe.run((now) => probe.machine.addItem({ ...item, id: 'between' }, 'mine', now));
    probe.run((now) => probe.machine.addItem({ ...item, id: 'first' }, 'root', now));
    expect(probe.sent().slice(1)).toMatchObject([
      { type: 'conversation.item.create', item: { id: 'mine', role: 'user' } },
      { item: { id: 'second' } },
      { previous_item_id: 'mine', item: { id: 'between' } },
      { previous_item_id: 'root', item: { id: 'first' } },
    ]);
    probe.run((now) => probe.machine.removeItem('mine', now));
    expect(probe.sent().at(-1)).toEqual({ type: 'conversation.item.delete', item_id: 'mine' });
  });

  test('are known by both names where it does not', () => {
    const probe = ConversationProbe.ready({ profile: upstreamProfile('generic', { supports: { delete: true } }) });
    const item = { type: 'function_call_output', id: 'mine', status: 'completed', call_id: 'c1', output: '42' } as const;
    probe.run((now) => probe.machine.addItem(item, undefined, now));
    expect(probe.sent().at(-1)).toEqual({
      type: 'conversation.item.create',
      item: { type: 'function_call_output', call_id: 'c1', output: '42' },
    });
    probe.server(1, 'conversation.item.created', { item: { id: 'theirs', type: 'function_call_output' } });
    probe.run((now) => probe.machine.removeItem('mine', now));
    expect(probe.sent().at(-1)).toEqual({ type: 'conversation.item.delete', item_id: 'theirs' });
  });

  test('that the server does not take are faults that name them', () => {
    const probe = ConversationProbe.ready();
    const item = { type: 'message', id: 'mine', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'hi' }] } as const;
    probe.run((now) => probe.machine.addItem(item, undefined, now));
    probe.server(1, 'error', { error: { code: 'invalid_value', message: 'bad', event_id: probe.eventId('conversation.item.create') } });
    expect(probe.events()).toEqual([{ type: 'fault', code: 'invalid_value', message: 'bad', itemId: 'mine' }]);
  });
});

import { describe, expect, it } from 'vitest';
import { BenchClient, type Json, SurfaceBench } from './surface-bench.ts';

const USER = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello' }] };

function create(item: Json, more: Json = {}): Json {
  return { type: 'conversation.item.create', item, ...more };
}

describe('items', () => {
  it('are added at the end, told, and given to the model', () => {
    const bench = new SurfaceBench();
    bench.client.take();
    bench.client.send(create(USER)).send(create({ ...USER, id: 'second' }));
    const events = bench.client.take();
    expect(events.map(({ type }) => type)).toEqual([
      'conversation.item.added',
      'conversation.item.done',
      'conversation.item.added',
      'conversation.item.done',
    ]);
    const { id: first } = bench.client.itemOf(events[0]);
    expect(first).toMatch(/^item_[\w-]{16}$/);
    expect(events[2]).toMatchObject({ previous_item_id: first, item: { id: 'second', object: 'realtime.item', status: 'completed' } });
    expect(bench.model.told.filter(([what]) => what === 'addItem')).toHaveLength(2);
  });

  it('go where the client says, and nowhere that is not', () => {
    const bench = new SurfaceBench();
    bench.client.send(create({ ...USER, id: 'a' })).send(create({ ...USER, id: 'c' }));
    bench.client.take();
    bench.client.send(create({ ...USER, id: 'b' }, { previous_item_id: 'a' }));
    expect(bench.client.last('conversation.item.added')).toMatchObject({ previous_item_id: 'a' });
    bench.client.send(create({ ...USER, id: 'first' }, { previous_item_id: 'root' }));
    expect(bench.client.last('conversation.item.added')).toMatchObject({ previous_item_id: null });
    bench.client.send(create({ ...USER, id: 'd' }, { previous_item_id: 'nobody', event_id: 'e' }));
    expect(bench.client.error()).toMatchObject({ code: 'item_not_found', param: 'previous_item_id', event_id: 'e' });
    bench.client.send(create({ ...USER, id: 'a' }));
    expect(bench.client.error()).toMatchObject({ code: 'item_already_exists', param: 'item.id' });
  });

  it('can be retrieved by who asks, and deleted', () => {
    const bench = new SurfaceBench();
    const other = new BenchClient(bench.surface);
    bench.client.send(create({ ...USER, id: 'a' }));
    other.take();
    bench.client.send({ type: 'conversation.item.retrieve', item_id: 'a' });
    expect(bench.client.last('conversation.item.retrieved')).toMatchObject({ item: { id: 'a', content: USER.content } });
    expect(other.types()).toEqual([]);
    bench.client.send({ type: 'conversation.item.delete', item_id: 'a' });
    expect(other.take()).toMatchObject([{ type: 'conversation.item.deleted', item_id: 'a' }]);
    expect(bench.model.told.at(-1)).toEqual(['removeItem', 'a']);
    bench.client.send({ type: 'conversation.item.delete', item_id: 'a', event_id: 'd' });
    expect(bench.client.error()).toMatchObject({ code: 'item_not_found', param: 'item_id', event_id: 'd' });
    bench.client.send({ type: 'conversation.item.retrieve', item_id: 'a' });
    expect(bench.client.error()).toMatchObject({ code: 'item_not_found' });
  });

  it.each([
    ['a picture', { ...USER, content: [{ type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'low' }] }],
    ['audio', { ...USER, content: [{ type: 'input_audio', audio: 'AAAA' }] }],
    ['what the assistant wrote', { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hm.' }] }],
    ['a word of the system', { type: 'message', role: 'system', content: [{ type: 'input_text', text: 'Be kind.' }] }],
    ['a call', { type: 'function_call', name: 'f', arguments: '{}' }],
    ["a call's output", { type: 'function_call_output', call_id: 'call_1', output: '42' }],
  ])('may be %s', (_, item) => {
    const bench = new SurfaceBench();
    bench.client.take();
    bench.client.send(create(item));
    expect(bench.client.types()).toEqual(['conversation.item.added', 'conversation.item.done']);
  });

  it.each([
    [{ type: 'message', role: 'assistant', content: [{ type: 'output_audio', audio: 'AAAA' }] }, 'item.content[0].audio', 'invalid_type'],
    [{ ...USER, content: [{ type: 'input_image', image_url: 'https://example.com/a.png' }] }, 'item.content[0].image_url', 'invalid_value'],
    [{ type: 'message', role: 'user' }, 'item.content', 'missing_required_parameter'],
    [{ ...USER, colour: 'red' }, 'item.colour', 'unknown_parameter'],
    [{ type: 'mcp_approval_response', approval_request_id: 'x', approve: true }, 'item.approval_request_id', 'item_not_found'],
    [{ type: 'poem' }, 'item.type', 'invalid_value'],
  ])('may not be %j', (item, param, code) => {
    const bench = new SurfaceBench();
    bench.client.send(create(item, { event_id: 'bad' }));
    expect(bench.client.error()).toMatchObject({ param, code, event_id: 'bad', type: 'invalid_request_error' });
    expect(bench.model.told).toEqual([['start']]);
  });

  it('do not send audio and large pictures back to everybody, but to who retrieves them', () => {
    const bench = new SurfaceBench();
    const image = `data:image/png;base64,${'A'.repeat(10_000)}`;
    bench.client.take();
    bench.client.send(
      create({
        ...USER,
        id: 'i',
        content: [
          { type: 'input_audio', audio: 'AAAA' },
          { type: 'input_image', image_url: image },
        ],
      }),
    );
    expect(bench.client.take()[0]).toMatchObject({ item: { content: [{ type: 'input_audio' }, { image_url: '' }] } });
    bench.client.send({ type: 'conversation.item.retrieve', item_id: 'i' });
    expect(bench.client.last('conversation.item.retrieved')).toMatchObject({
      item: { content: [{ audio: 'AAAA' }, { image_url: image }] },
    });
  });
});

describe('responses', () => {
  it('are asked for with all they may have, and told as they are', () => {
    const bench = new SurfaceBench();
    bench.client.send(create({ ...USER, id: 'a' }));
    bench.client.send({
      type: 'response.create',
      response: {
        instructions: 'Be brief.',
        output_modalities: ['text'],
        tools: [{ type: 'function', name: 'f', parameters: { type: 'object' } }],
        tool_choice: { type: 'function', name: 'f' },
        max_output_tokens: 100,
        metadata: { topic: 'x' },
        input: [{ type: 'item_reference', id: 'a' }, USER],
      },
    });
    const [request] = bench.model.requests;
    expect(request).toMatchObject({
      conversation: 'auto',
      config: { instructions: 'Be brief.', outputModality: 'text', toolChoice: { type: 'function', name: 'f' }, maxOutputTokens: 100 },
      input: [{ type: 'item_reference', id: 'a' }, { role: 'user' }],
      metadata: { topic: 'x' },
    });
    bench.model.emit({ type: 'response_started', responseId: 'r', requestId: request?.requestId });
    expect(bench.client.last('response.created')).toMatchObject({
      response: { id: 'r', status: 'in_progress', output_modalities: ['text'], metadata: { topic: 'x' }, max_output_tokens: 100 },
    });
  });

  it('write text', () => {
    const bench = new SurfaceBench({ session: { output_modalities: ['text'] } });
    expect(bench.model.configs[0]).toMatchObject({ outputModality: 'text' });
    bench.client.take();
    const place = { responseId: 'r', itemId: 'i', contentIndex: 0 };
    bench.model.emit({ type: 'response_started', responseId: 'r' });
    bench.model.emit({ type: 'text', ...place, delta: 'Good ' });
    bench.model.emit({ type: 'text', ...place, delta: 'day.' });
    const usage = { total_tokens: 3, input_tokens: 1, output_tokens: 2 };
    bench.model.emit({ type: 'response_done', responseId: 'r', status: 'completed', usage });
    const events = bench.client.take();
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.output_item.added',
      'conversation.item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
    ]);
    expect(events.at(-1)).toMatchObject({
      response: { usage, output: [{ id: 'i', status: 'completed', content: [{ type: 'output_text', text: 'Good day.' }] }] },
    });
    expect(bench.session.snapshot().state).toBe('idle');
  });

  it('call functions', () => {
    const bench = new SurfaceBench();
    bench.client.take();
    bench.model.emit({ type: 'response_started', responseId: 'r' });
    const item = { type: 'function_call', id: 'i', status: 'in_progress', call_id: 'call_1', name: 'f', arguments: '' } as const;
    bench.model.emit({ type: 'item_started', responseId: 'r', item });
    bench.model.emit({ type: 'arguments', responseId: 'r', itemId: 'i', delta: '{"a":' });
    bench.model.emit({ type: 'arguments', responseId: 'r', itemId: 'i', delta: '1}' });
    bench.model.emit({ type: 'item_done', responseId: 'r', item: { ...item, arguments: '{"a":1}', status: 'completed' } });
    bench.model.emit({ type: 'response_done', responseId: 'r', status: 'completed' });
    const events = bench.client.take();
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.output_item.added',
      'conversation.item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
    ]);
    expect(events[5]).toMatchObject({ call_id: 'call_1', name: 'f', arguments: '{"a":1}' });
    expect(events[7]).toMatchObject({ item: { status: 'completed', arguments: '{"a":1}' } });
  });

  it('come one at a time in the conversation', () => {
    const bench = new SurfaceBench();
    bench.client.send({ type: 'response.create' });
    bench.client.send({ type: 'response.create', event_id: 'second' });
    expect(bench.client.error()).toMatchObject({ code: 'conversation_already_has_active_response', event_id: 'second' });
    bench.model.say('r', 1000, { requestId: bench.model.requests[0]?.requestId ?? '', done: false });
    bench.client.send({ type: 'response.create', event_id: 'third' });
    expect(bench.client.error()).toMatchObject({ message: expect.stringContaining('r'), event_id: 'third' });
    expect(bench.model.requests).toHaveLength(1);
  });

  it('run beside the conversation when they are out of band, unheard and not part of it', () => {
    const bench = new SurfaceBench();
    bench.client.send({ type: 'response.create', response: { conversation: 'none', metadata: { for: 'me' } } });
    bench.client.send({ type: 'response.create' });
    const [side, main] = bench.model.requests;
    bench.client.take();
    bench.model.say('side', 1000, { text: 'secret', requestId: side?.requestId ?? '' });
    const events = bench.client.take();
    expect(events.map(({ type }) => type)).not.toContain('conversation.item.added');
    expect(events.at(-1)).toMatchObject({ type: 'response.done', response: { conversation_id: null, metadata: { for: 'me' } } });
    bench.silence(200);
    expect(bench.client.types()).toEqual([]);
    bench.model.say('main', 1000, { requestId: main?.requestId ?? '', done: false });
    bench.client.send({ type: 'response.create', response: { conversation: 'none' } });
    bench.model.say('other', 0, { requestId: bench.model.requests[2]?.requestId ?? '', done: false });
    bench.silence(200).voice(1000);
    expect(bench.client.events.filter(({ type }) => type === 'response.done')).toMatchObject([{ response: { id: 'main' } }]);
    bench.client.send({ type: 'conversation.item.retrieve', item_id: 'side_item' });
    expect(bench.client.error()).toMatchObject({ code: 'item_not_found' });
  });

  it('are bounded out of band too', () => {
    const bench = new SurfaceBench();
    for (let n = 0; n < 20; n++) bench.client.send({ type: 'response.create', response: { conversation: 'none' } });
    expect(bench.model.requests).toHaveLength(16);
    expect(bench.client.error()).toMatchObject({ code: 'rate_limit_exceeded' });
  });

  it('are not kept from being made by ones that were cancelled and never heard of again', () => {
    const bench = new SurfaceBench();
    for (let n = 0; n < 100; n++) bench.client.send({ type: 'response.create' }).send({ type: 'response.cancel' });
    expect(bench.model.requests).toHaveLength(100);
    expect(bench.client.types()).not.toContain('error');
  });

  it('can be cancelled, by name or without, before and after they have one', () => {
    const bench = new SurfaceBench();
    bench.client.send({ type: 'response.cancel', event_id: 'none' });
    expect(bench.client.error()).toMatchObject({ code: 'response_cancel_not_active', event_id: 'none' });
    bench.client.send({ type: 'response.create' }).send({ type: 'response.cancel' });
    expect(bench.model.told.at(-1)).toEqual(['cancelResponse', undefined]);
    bench.model.say('late', 100, { requestId: bench.model.requests[0]?.requestId ?? '' });
    expect(bench.model.told.at(-1)).toEqual(['cancelResponse', 'late']);
    bench.client.send({ type: 'response.create' });
    bench.model.say('r', 100, { requestId: bench.model.requests[1]?.requestId ?? '', done: false });
    bench.client.send({ type: 'response.cancel', response_id: 'r' });
    expect(bench.client.last('response.done')).toMatchObject({
      response: { id: 'r', status: 'cancelled', status_details: { reason: 'client_cancelled' } },
    });
  });

  it('that fail are told to who asked, with the name of the event', () => {
    const bench = new SurfaceBench();
    const other = new BenchClient(bench.surface);
    other.take();
    bench.client.send({ type: 'response.create', event_id: 'mine' });
    bench.model.emit({ type: 'fault', code: 'no_credit', message: 'Pay first.', requestId: bench.model.requests[0]?.requestId ?? '' });
    expect(bench.client.error()).toMatchObject({ code: 'no_credit', event_id: 'mine' });
    expect(other.types()).toEqual([]);
    bench.model.emit({ type: 'fault', code: 'busy', message: 'Slow.' });
    expect(other.error()).toMatchObject({ code: 'busy', type: 'server_error' });
    bench.client.send({ type: 'response.create' });
    expect(bench.model.requests).toHaveLength(2);
  });

  it('end as failed when the model is lost', () => {
    const bench = new SurfaceBench();
    bench.model.say('r', 100, { done: false });
    bench.model.emit({ type: 'closed', reason: 'test' });
    expect(bench.client.last('response.done')).toMatchObject({
      response: { status: 'failed', status_details: { error: { code: 'model_connection_lost' } } },
    });
  });

  it('that are asked for while the call rings are made when it is answered', () => {
    const bench = new SurfaceBench({ answer: 'manual' });
    bench.client.send({ type: 'response.create' });
    expect(bench.model.requests).toEqual([]);
    bench.session.accept();
    expect(bench.commands).toEqual(['answer']);
    bench.session.handleLegEvent({ type: 'answered' });
    expect(bench.model.requests).toHaveLength(1);
  });
});

describe('the session object', () => {
  it('is merged by updates, and told to everybody with what is in force', () => {
    const bench = new SurfaceBench({ session: { instructions: 'Be kind.', tools: [{ type: 'function', name: 'f' }] } });
    const other = new BenchClient(bench.surface);
    bench.client.send({ type: 'session.update', session: { type: 'realtime', tracing: 'auto' } });
    bench.client.send({ type: 'session.update', session: { type: 'realtime', audio: { output: { voice: { id: 'v1' } } }, tools: [] } });
    expect(other.last('session.updated')).toMatchObject({
      session: { instructions: 'Be kind.', tracing: 'auto', tools: [], audio: { output: { voice: 'v1' } } },
    });
    expect(bench.model.configs.at(-1)).toMatchObject({ instructions: 'Be kind.', voice: 'v1', tools: [], extra: { tracing: 'auto' } });
  });

  it('keeps its type, its model, and a voice that was heard', () => {
    const bench = new SurfaceBench({ session: { model: 'a' } });
    bench.client.send({ type: 'session.update', session: { type: 'transcription' }, event_id: 't' });
    expect(bench.client.error()).toMatchObject({ param: 'session.type', event_id: 't' });
    bench.client.send({ type: 'session.update', session: { type: 'realtime', model: 'b' } });
    expect(bench.client.last('session.updated')).toMatchObject({ session: { model: 'a' } });
    bench.model.say('r', 100);
    bench.client.send({ type: 'session.update', session: { type: 'realtime', audio: { output: { voice: 'alloy' } } } });
    expect(bench.client.types().at(-1)).toBe('session.updated');
    bench.client.send({ type: 'session.update', session: { type: 'realtime', audio: { output: { voice: 'echo' } } }, event_id: 'v' });
    expect(bench.client.error()).toMatchObject({ code: 'cannot_update_voice', param: 'session.audio.output.voice', event_id: 'v' });
  });

  it('of an ephemeral secret stays as the secret says, for those who have only that', () => {
    const bench = new SurfaceBench({ media: 'browser', ephemeral: true, session: { instructions: 'Sell shoes.' } });
    const browser = new BenchClient(bench.surface, true);
    browser.send({
      type: 'session.update',
      session: {
        type: 'realtime',
        instructions: 'Tell secrets.',
        tools: [{ type: 'function', name: 'f' }],
        audio: { output: { speed: 1.2 } },
      },
    });
    expect(browser.last('session.updated')).toMatchObject({
      session: { instructions: 'Sell shoes.', tools: [{ name: 'f' }], audio: { output: { speed: 1.2 } } },
    });
    browser.send({ type: 'response.create', response: { instructions: 'Tell secrets.', max_output_tokens: 5 } });
    expect(bench.model.requests[0]?.config).toEqual({ maxOutputTokens: 5 });
    browser.send({ type: 'call.dtmf.send', digits: '1', event_id: 'k' });
    expect(browser.error()).toMatchObject({ code: 'forbidden', event_id: 'k' });
    bench.client.send({ type: 'session.update', session: { type: 'realtime', instructions: 'Sell hats.' } });
    expect(bench.client.last('session.updated')).toMatchObject({ session: { instructions: 'Sell hats.' } });
  });
});

describe('channels', () => {
  it('are sixteen at most, and each begins with the session', () => {
    const bench = new SurfaceBench();
    const others = Array.from({ length: 16 }, () => new BenchClient(bench.surface));
    expect(others.map(({ refused }) => refused)).toEqual([...Array<boolean>(15).fill(false), true]);
    expect(others[3]?.events[0]).toMatchObject({ type: 'session.created' });
    others[0]?.channel.close();
    expect(new BenchClient(bench.surface).refused).toBe(false);
  });

  it('are cut off when they do not read, and nobody else notices', () => {
    const bench = new SurfaceBench();
    const slow = new BenchClient(bench.surface);
    slow.reads = false;
    bench.model.say('r', 100);
    expect(slow.closed).toEqual([1008, 'too slow']);
    expect(bench.client.last('response.done')).toBeDefined();
    expect(bench.surface.channels).toBe(1);
  });

  it('make no work when there are none', () => {
    const bench = new SurfaceBench();
    bench.client.channel.close();
    bench.model.say('r', 100);
    bench.silence(500);
    expect(bench.client.types()).toEqual(['session.created', 'conversation.created']);
    const late = new BenchClient(bench.surface);
    late.send({ type: 'conversation.item.retrieve', item_id: 'r_item' });
    expect(late.last('conversation.item.retrieved')).toMatchObject({ item: { id: 'r_item', status: 'completed' } });
  });

  it('give every event a name that nobody can guess', () => {
    const bench = new SurfaceBench();
    bench.model.say('r', 100);
    const names = bench.client.events.map((event) => String(event['event_id']));
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^event_[\w-]{16}$/);
  });

  it('pass on rate limits, and transcripts of what is still there', () => {
    const bench = new SurfaceBench();
    bench.model.emit({ type: 'rate_limits', limits: [{ name: 'tokens', limit: 100, remaining: 1, reset_seconds: 2.5 }] });
    expect(bench.client.last('rate_limits.updated')).toMatchObject({ rate_limits: [{ name: 'tokens', remaining: 1 }] });
    bench.client.take();
    bench.model.emit({ type: 'input_transcript', itemId: 'nobody', transcript: 'late' });
    expect(bench.client.types()).toEqual([]);
    bench.model.onCommit = (itemId) =>
      bench.model.emit({ type: 'input_transcript_failed', itemId, code: 'noise', message: 'Nothing but noise.' });
    bench.voice(600).silence(1000);
    expect(bench.client.last('conversation.item.input_audio_transcription.failed')).toMatchObject({ error: { code: 'noise' } });
  });
});

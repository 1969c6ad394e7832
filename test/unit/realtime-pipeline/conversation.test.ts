import { describe, expect, test } from 'vitest';
import type { Item, ModelConfig } from '../../../src/realtime/model.ts';
import { PipelineProbe } from './pipeline-probe.ts';

const CONFIG: ModelConfig = { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: {} };
const userItem = (id: string, text: string): Item => ({
  ...{ type: 'message', id, role: 'user', status: 'completed' },
  content: [{ type: 'input_text', text }],
});

/** A turn that was understood and is being answered. */
function asked(probe: PipelineProbe, text = 'Hi.'): void {
  probe.turn();
  probe.request('transcription').hear(text);
}

describe('a turn', () => {
  test('is transcribed, answered and spoken, each as soon as it can be', () => {
    const probe = new PipelineProbe({ instructions: 'Be brief.' });
    probe.turn(500, { itemId: 'item_turn' });
    expect(probe.events).toEqual([{ type: 'response_started', responseId: expect.any(String), requestId: undefined }]);
    const ears = probe.request('transcription');
    expect(ears.body).toContain('name="model"\r\n\r\nears\r\n');
    expect(ears.body).toContain('name="stream"\r\n\r\ntrue\r\n');
    expect(ears.body.length).toBeGreaterThan(24_000);
    ears.hear('What time is it?');
    expect(probe.of('input_transcript')).toEqual([{ type: 'input_transcript', itemId: 'item_turn', transcript: 'What time is it?' }]);
    const mind = probe.request('chat');
    expect(mind.json).toEqual({
      model: 'mind',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'What time is it?' },
      ],
      stream: true,
      stream_options: { include_usage: true },
    });
    mind.head('text/event-stream').delta({ role: 'assistant', content: '' }).delta({ content: 'It is three.' });
    expect(probe.count('speech')).toBe(0);
    mind.delta({ content: ' Anything' });
    expect(probe.request('speech').json).toEqual({ model: 'mouth', input: 'It is three.', voice: 'alto', response_format: 'pcm' });
    probe.request('speech').head('audio/pcm').sound(100);
    expect([probe.soundMs, probe.said]).toEqual([100, 'It is three.']);
    mind.delta({ content: ' else, dear caller?' }).delta({}, 'stop').data('data: [DONE]\n\n').end();
    probe.request('speech', 2).speak(300);
    expect(probe.soundMs).toBe(100); // the first is not over
    probe.request('speech', 1).sound(100).end();
    expect([probe.soundMs, probe.said]).toEqual([500, 'It is three. Anything else, dear caller?']);
    expect(probe.events.at(-2)).toMatchObject({
      type: 'item_done',
      item: { status: 'completed', content: [{ type: 'output_audio', transcript: 'It is three. Anything else, dear caller?' }] },
    });
    expect(probe.events.at(-1)).toMatchObject({ type: 'response_done', status: 'completed' });
  });

  test('without words is answered by silence, and is not part of the conversation', () => {
    const probe = new PipelineProbe();
    asked(probe, ' ');
    expect(probe.of('response_done')).toMatchObject([{ status: 'completed' }]);
    expect(probe.count('chat')).toBe(0);
    asked(probe);
    expect(probe.request('chat').json.messages).toEqual([{ role: 'user', content: 'Hi.' }]);
  });

  test('in which nobody spoke is told as silence', () => {
    const probe = new PipelineProbe();
    probe.hear(3000);
    probe.run((machine, now) => machine.commitTurn({ startMs: 0, endMs: 3000 }, now));
    expect(probe.count('transcription')).toBe(0);
    expect(probe.request('chat').json.messages).toEqual([{ role: 'user', content: '(The caller is silent.)' }]);
  });

  test('that is to be kept only is understood, and answered with the next', () => {
    const probe = new PipelineProbe();
    probe.turn(500, { respond: false });
    probe.request('transcription').hear('One.');
    expect(probe.events.map(({ type }) => type)).toEqual(['input_transcript']);
    asked(probe, 'Two.');
    expect(probe.request('chat').json.messages).toEqual([
      { role: 'user', content: 'One.' },
      { role: 'user', content: 'Two.' },
    ]);
  });

  test('that goes on after a commit that was too early is one turn, whenever that is', () => {
    for (const when of ['transcribing', 'writing', 'speaking']) {
      const probe = new PipelineProbe();
      probe.turn(500, { itemId: 'a' });
      const [first] = probe.of('response_started');
      if (when !== 'transcribing') probe.request('transcription').hear('I want');
      if (when === 'speaking') probe.request('chat').head('text/event-stream').delta({ content: 'What is it? You' });
      probe.run((machine, now) => machine.cancelResponse(first?.responseId, now));
      probe.run((machine, now) => machine.speechStarted(0, now));
      expect(probe.requests.filter(({ state }) => state === 'open').map(({ stage }) => stage)).toEqual([]);
      probe.hear(700);
      probe.run((machine, now) => machine.commitTurn({ startMs: 0, endMs: 1200, itemId: 'b' }, now));
      const whole = probe.request('transcription');
      expect(whole.body.length).toBeGreaterThan(1200 * 48);
      whole.hear('I want to book a table.');
      expect(probe.request('chat').json.messages).toEqual([{ role: 'user', content: 'I want to book a table.' }]);
      expect(probe.of('response_done').map(({ status }) => status)).toEqual(['cancelled']);
    }
  });

  test('is told to nobody in writing who does not want it', () => {
    const probe = new PipelineProbe();
    probe.machine.configure({ ...CONFIG, transcription: null });
    asked(probe);
    expect(probe.of('input_transcript')).toEqual([]);
    expect(probe.count('chat')).toBe(1);
  });

  test('streamed as words is told as words', () => {
    const probe = new PipelineProbe();
    probe.turn(500, { itemId: 'a' });
    const ears = probe.request('transcription').head('text/event-stream');
    ears.data('data: {"type":"transcript.text.delta","delta":"Hel"}\n\n').data('data: {"type":"transcript.text.delta","delta":"lo"}\n\n');
    expect(probe.of('input_transcript_delta').map(({ delta }) => delta)).toEqual(['Hel', 'lo']);
    ears.data('data: {"type":"transcript.text.done","text":"Hello."}\n\n');
    expect(probe.of('input_transcript')).toEqual([{ type: 'input_transcript', itemId: 'a', transcript: 'Hello.' }]);
    expect(ears.state).toBe('finished');
  });
});

describe('a turn that may be over', () => {
  const prepared = (): PipelineProbe => {
    const probe = new PipelineProbe({ patienceMs: 1500 });
    probe.run((machine, now) => machine.speechStarted(0, now));
    probe.hear(500);
    probe.run((machine, now) => machine.prepareTurn({ startMs: 0, endMs: 500 }, now));
    probe.request('transcription').hear('What time is it?');
    probe.request('chat').head('text/event-stream').delta({ content: 'It is three. And' });
    probe.request('speech').head('audio/pcm').sound(300);
    probe.pass(1000);
    return probe;
  };

  test('has its answer at hand when it is, and nothing is told before', () => {
    const probe = prepared();
    // But to whom decides about turns.
    expect(probe.events.splice(0)).toEqual([{ type: 'caller_words', words: 'What time is it?' }]);
    probe.hear(300);
    probe.run((machine, now) => machine.commitTurn({ startMs: 0, endMs: 800, itemId: 'item_turn' }, now));
    expect(probe.count('transcription')).toBe(1);
    expect(probe.events.map(({ type }) => type)).toEqual(['response_started', 'input_transcript', 'item_started', 'transcript', 'audio']);
    expect(probe.of('input_transcript')).toMatchObject([{ itemId: 'item_turn', transcript: 'What time is it?' }]);
    probe.request('speech').sound(100).end();
    probe.request('chat').delta({ content: ' a half.' }).delta({}, 'stop').end();
    probe.request('speech').speak(400);
    expect([probe.soundMs, probe.said]).toEqual([800, 'It is three. And a half.']);
    asked(probe, 'Thanks.');
    expect(probe.request('chat').json.messages).toEqual([
      { role: 'user', content: 'What time is it?' },
      { role: 'assistant', content: 'It is three. And a half.' },
      { role: 'user', content: 'Thanks.' },
    ]);
  });

  test('and is not, leaves no trace', () => {
    const probe = prepared();
    probe.run((machine, now) => machine.dropPreparation(now));
    expect(probe.requests.filter(({ state }) => state === 'open')).toEqual([]);
    expect(probe.of('caller_words').map((event) => 'words' in event && event.words)).toEqual(['What time is it?', '']);
    expect([probe.events.length, probe.machine.nextTimeout()]).toEqual([2, undefined]);
    probe.hear(500);
    probe.run((machine, now) => machine.commitTurn({ startMs: 0, endMs: 1000 }, now));
    probe.request('transcription').hear('What time is it in Ulm?');
    expect(probe.request('chat').json.messages).toEqual([{ role: 'user', content: 'What time is it in Ulm?' }]);
  });

  test('says its words as they are made out, and no more of them once it is over', () => {
    const probe = new PipelineProbe();
    probe.run((machine, now) => machine.speechStarted(0, now));
    probe.hear(500);
    probe.run((machine, now) => machine.prepareTurn({ startMs: 0, endMs: 500 }, now));
    const ears = probe.request('transcription').head('text/event-stream');
    const delta = (text: string) => ears.data(`data: ${JSON.stringify({ type: 'transcript.text.delta', delta: text })}\n\n`);
    delta('I would');
    delta(' like to');
    expect(probe.events).toEqual([
      { type: 'caller_words', words: 'I would' },
      { type: 'caller_words', words: 'I would like to' },
    ]);
    probe.run((machine, now) => machine.commitTurn({ startMs: 0, endMs: 500 }, now));
    delta(' go.');
    ears.data('data: [DONE]\n\n').end();
    expect(probe.of('caller_words')).toHaveLength(2);
  });

  test('and whose preparation fails is asked for anew', () => {
    const probe = new PipelineProbe();
    probe.run((machine, now) => machine.speechStarted(0, now));
    probe.hear(500);
    probe.run((machine, now) => machine.prepareTurn({ startMs: 0, endMs: 500 }, now));
    probe.request('transcription').refuse(401);
    expect(probe.events).toEqual([]);
    probe.run((machine, now) => machine.commitTurn({ startMs: 0, endMs: 500 }, now));
    expect(probe.count('transcription')).toBe(2);
  });
});

describe('a voice over the answer', () => {
  const burst = (): PipelineProbe => {
    const probe = new PipelineProbe();
    probe.hear(2000);
    probe.run((machine, now) => machine.findWords(1200, 1800, now));
    return probe;
  };

  test('is made out for whom it may concern, and is part of nothing', () => {
    const probe = burst();
    probe.request('transcription').hear('Stop.');
    expect(probe.events).toEqual([{ type: 'caller_words', words: 'Stop.' }]);
    expect([probe.requests.length, probe.machine.nextTimeout()]).toEqual([1, undefined]);
  });

  test('changes nothing when its words come late, or none are in it, or the service fails or never answers', () => {
    const late = burst();
    late.pass(1600);
    late.request('transcription').hear('Stop.');
    const empty = burst();
    empty.request('transcription').hear('');
    const failing = burst();
    failing.request('transcription').refuse(500);
    const silent = burst();
    silent.pass(60_000);
    expect([late, empty, failing, silent].map(({ events }) => events)).toEqual([[], [], [], []]);
  });

  test('is not asked about any more when it became a turn, or another voice came', () => {
    const probe = burst();
    probe.run((machine, now) => machine.findWords(1400, 2000, now));
    probe.run((machine, now) => machine.speechStarted(1200, now));
    expect(probe.requests.map(({ state }) => state)).toEqual(['aborted', 'aborted']);
    probe.run((machine, now) => machine.findWords(1990, 2000, now));
    expect(probe.requests).toHaveLength(2);
  });
});

describe('an answer', () => {
  test('is asked for two sentences ahead of the one that is said', () => {
    const probe = new PipelineProbe();
    asked(probe);
    const sentence = (n: number) => `This is sentence number ${n} of them. `;
    probe.request('chat').write([1, 2, 3, 4, 5].map(sentence).join(''));
    expect(probe.count('speech')).toBe(3);
    probe.request('speech', 1).speak(1000);
    expect(probe.count('speech')).toBe(4);
    probe.request('speech', 3).speak(1000);
    expect(probe.count('speech')).toBe(4);
    probe.request('speech', 2).speak(1000);
    expect([probe.count('speech'), probe.soundMs]).toEqual([5, 3000]);
  });

  test('is not fetched further ahead of the ear than 20 s', () => {
    const probe = new PipelineProbe();
    asked(probe);
    probe.request('chat').write(Array.from({ length: 9 }, (_, n) => `This is sentence number ${n} of them. `).join(''));
    for (let n = 1; n <= probe.count('speech'); n++) probe.request('speech', n).speak(10_000);
    expect(probe.soundMs).toBe(50_000); // 20 s ahead, and what was asked for by then
    probe.pass(29_000);
    expect(probe.count('speech')).toBe(5);
    probe.pass(2000);
    expect(probe.count('speech')).toBeGreaterThan(5);
  });

  test('that is cancelled stops all there is within the same moment', () => {
    const probe = new PipelineProbe();
    asked(probe);
    const mind = probe.request('chat').head('text/event-stream').delta({ content: 'This is the first one. This is the second one. And' });
    probe.request('speech', 1).head('audio/pcm').sound(100);
    const [{ responseId } = { responseId: '' }] = probe.of('response_started');
    probe.run((machine, now) => machine.cancelResponse(responseId, now));
    expect([mind, ...probe.requests.filter(({ stage }) => stage === 'speech')].map(({ state }) => state)).toEqual([
      'aborted',
      'aborted',
      'aborted',
    ]);
    const before = probe.events.length;
    mind.delta({ content: ' so on.' });
    probe.request('speech', 1).sound(100);
    expect(probe.events.length).toBe(before);
    expect(probe.machine.nextTimeout()).toBeUndefined();
  });

  test('that was cut off is remembered as far as it was heard', () => {
    const probe = new PipelineProbe();
    asked(probe);
    probe.request('chat').write('First one here. Second sentence of it all. Third sentence of it all.');
    for (const n of [1, 2, 3]) probe.request('speech', n).speak(1000);
    const [{ itemId } = { itemId: '' }] = probe.of('audio');
    const heard = (ms: number): unknown => {
      probe.machine.truncate(itemId, ms);
      const count = probe.count('chat');
      probe.run((machine, now) => machine.addItem(userItem(`u${ms}`, 'And?'), undefined, now));
      probe.run((machine, now) => machine.respond({ requestId: 'r', conversation: 'none' }, now));
      const { content } = probe.request('chat', count + 1).json.messages[1];
      probe.request('chat', count + 1).write('');
      return content;
    };
    expect(heard(3000)).toBe('First one here. Second sentence of it all. Third sentence of it all.');
    expect(heard(2000)).toBe('First one here. Second sentence of it all.');
    expect(heard(1600)).toBe('First one here. Second sentence …');
    expect(heard(1020)).toBe('First one here.');
    expect(heard(0)).toBe('And?'); // nothing was heard
  });

  test('in writing is not spoken', () => {
    const probe = new PipelineProbe();
    probe.machine.configure({ ...CONFIG, outputModality: 'text' });
    probe.run((machine, now) => machine.addItem(userItem('u', 'Hi.'), undefined, now));
    probe.run((machine, now) => machine.respond({ requestId: 'r1', conversation: 'auto' }, now));
    expect(probe.of('response_started')).toMatchObject([{ requestId: 'r1' }]);
    probe.request('chat').write('Hello **there**.');
    expect(probe.of('text').map(({ delta }) => delta)).toEqual(['Hello **there**.']);
    expect(probe.count('speech')).toBe(0);
    expect(probe.events.at(-1)).toMatchObject({ type: 'response_done', status: 'completed' });
  });

  test('that is longer than it may be, or filtered, is incomplete', () => {
    for (const [finish, reason] of [
      ['length', 'max_output_tokens'],
      ['content_filter', 'content_filter'],
    ] as const) {
      const probe = new PipelineProbe();
      asked(probe);
      probe.request('chat').head('text/event-stream').delta({ content: 'One two' }).delta({}, finish).end();
      probe.request('speech').speak(100);
      expect(probe.events.at(-1)).toMatchObject({ type: 'response_done', status: 'incomplete', reason });
    }
  });

  test('has its usage', () => {
    const probe = new PipelineProbe();
    asked(probe);
    const mind = probe.request('chat').head('text/event-stream').delta({}, 'stop');
    mind.data('data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n\n');
    expect(probe.events.at(-1)).toMatchObject({ type: 'response_done', usage: { total_tokens: 7, input_tokens: 3, output_tokens: 4 } });
  });

  test('goes by what the session says: voice, speed, tokens, tools', () => {
    const probe = new PipelineProbe({ instructions: 'Ours.' });
    const tools = [{ type: 'function', name: 'f', description: 'd', parameters: { type: 'object' } }] as const;
    probe.machine.configure({
      ...CONFIG,
      ...{ instructions: 'Theirs.', voice: 'bass', speed: 1.2, tools, toolChoice: { type: 'function', name: 'f' } },
      ...{ parallelToolCalls: false, maxOutputTokens: 50, reasoningEffort: 'low' },
    });
    asked(probe);
    expect(probe.request('chat').json).toMatchObject({
      messages: [{ role: 'system', content: 'Theirs.' }, { role: 'user' }],
      tools: [{ type: 'function', function: { name: 'f', description: 'd', parameters: { type: 'object' } } }],
      tool_choice: { type: 'function', function: { name: 'f' } },
      parallel_tool_calls: false,
      max_tokens: 50,
      reasoning_effort: 'low',
    });
    probe.request('chat').write('Yes.');
    expect(probe.request('speech').json).toMatchObject({ voice: 'bass', speed: 1.2 });
  });
});

describe('function calls', () => {
  const call = (index: number, id: string, name: string, args: string) => ({
    tool_calls: [{ index, id, function: { name, arguments: args } }],
  });

  test('come side by side, beside what is said, and are answered when their results are there', () => {
    const probe = new PipelineProbe();
    asked(probe, 'Weather in Ulm and Bonn?');
    const mind = probe.request('chat').head('text/event-stream').delta({ content: 'One moment.' });
    mind.delta(call(0, 'c1', 'weather', '{"city":')).delta({ tool_calls: [{ index: 0, function: { arguments: '"Ulm"}' } }] });
    mind
      .delta(call(1, 'c2', 'weather', '{"city":"Bonn"}'))
      .delta({}, 'tool_calls')
      .data('data: [DONE]\n\n');
    expect(probe.of('arguments').map(({ delta }) => delta)).toEqual(['{"city":', '"Ulm"}', '{"city":"Bonn"}']);
    // They are whole before all is said.
    expect(probe.of('item_done').map(({ item }) => item)).toMatchObject([
      { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{"city":"Ulm"}', status: 'completed' },
      { type: 'function_call', call_id: 'c2', name: 'weather', arguments: '{"city":"Bonn"}', status: 'completed' },
    ]);
    probe.request('speech').speak(500);
    expect(probe.events.at(-1)).toMatchObject({ type: 'response_done', status: 'completed' });
    const output = (id: string, callId: string, text: string): Item => ({
      ...{ type: 'function_call_output', id, status: 'completed', call_id: callId, output: text },
    });
    probe.run((machine, now) => machine.addItem(output('o1', 'c1', 'sunny'), undefined, now));
    probe.run((machine, now) => machine.addItem(output('o3', 'unknown', '?'), undefined, now));
    probe.run((machine, now) => machine.respond({ requestId: 'r', conversation: 'auto' }, now));
    expect(probe.request('chat').json.messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: 'One moment.',
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":"Ulm"}' } },
          { id: 'c2', type: 'function', function: { name: 'weather', arguments: '{"city":"Bonn"}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'sunny' },
      { role: 'tool', tool_call_id: 'c2', content: '(no result yet)' },
    ]);
    probe.request('chat').write('Sunny in Ulm.');
    probe.request('speech').speak(500);
    probe.run((machine, now) => machine.addItem(output('o2', 'c2', 'rain'), undefined, now));
    probe.run((machine, now) => machine.respond({ requestId: 'r2', conversation: 'none' }, now));
    const { messages } = probe.request('chat').json;
    expect(messages.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant', 'tool', 'tool', 'assistant']);
    expect(messages[3].content).toBe('rain');
  });

  test('all numbered 0, or without a name of their own, are told apart or given one', () => {
    const probe = new PipelineProbe();
    asked(probe);
    const mind = probe.request('chat').head('text/event-stream');
    mind.delta(call(0, 'x1', 'f', '{}')).delta(call(0, 'x2', 'g', '{}'));
    mind
      .delta({ tool_calls: [{ index: 1, function: { name: 'h', arguments: 'not json' } }] })
      .delta({}, 'tool_calls')
      .end();
    const items = probe.of('item_done').map(({ item }) => item);
    expect(items).toMatchObject([
      { call_id: 'x1', name: 'f' },
      { call_id: 'x2', name: 'g' },
      { name: 'h', arguments: 'not json' },
    ]);
    asked(probe, 'And?');
    expect(probe.request('chat').json.messages[1].tool_calls[2].function.arguments).toBe('{}');
  });
});

describe('items and requests', () => {
  test('pictures go to chat, sound is transcribed first', () => {
    const probe = new PipelineProbe();
    const audio = Buffer.alloc(24_000).toString('base64');
    const content = [
      { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'low' },
      { type: 'input_audio', audio },
    ] as const;
    probe.run((machine, now) => machine.addItem({ type: 'message', id: 'u', role: 'user', status: 'completed', content }, undefined, now));
    probe.run((machine, now) => machine.respond({ requestId: 'r', conversation: 'auto' }, now));
    expect(probe.count('chat')).toBe(0);
    probe.request('transcription').hear('What is this?');
    expect(probe.request('chat').json.messages).toEqual([
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } },
          { type: 'text', text: 'What is this?' },
        ],
      },
    ]);
  });

  test('out of band is beside the conversation, with items of its own or of it', () => {
    const probe = new PipelineProbe();
    probe.run((machine, now) => machine.addItem(userItem('a', 'A'), undefined, now));
    probe.run((machine, now) => machine.addItem(userItem('b', 'B'), 'root', now));
    const input = [{ type: 'item_reference', id: 'a' }, userItem('x', 'X')] as const;
    const config = { outputModality: 'text', instructions: 'Sum up.' } as const;
    probe.run((machine, now) => machine.respond({ requestId: 'r', conversation: 'none', input, config }, now));
    expect(probe.request('chat').json.messages).toEqual([
      { role: 'system', content: 'Sum up.' },
      { role: 'user', content: 'A' },
      { role: 'user', content: 'X' },
    ]);
    probe.request('chat').write('Sum.');
    probe.run((machine, now) => machine.removeItem('a', now));
    probe.run((machine, now) => machine.respond({ requestId: 'r2', conversation: 'auto' }, now));
    expect(probe.request('chat').json.messages).toEqual([{ role: 'user', content: 'B' }]);
  });

  test('requests wait for each other, and too many are refused', () => {
    const probe = new PipelineProbe();
    for (let n = 0; n < 12; n++) probe.run((machine, now) => machine.respond({ requestId: `r${n}`, conversation: 'auto' }, now));
    expect(probe.count('chat')).toBe(1);
    expect(probe.of('fault').map(({ requestId }) => requestId)).toEqual(['r9', 'r10', 'r11']);
    probe.run((machine, now) => machine.cancelResponse(undefined, now));
    expect(probe.of('response_done').map(({ status }) => status)).toEqual(Array(8).fill('cancelled'));
    probe.request('chat').write('');
    expect(probe.of('response_done').at(-1)).toMatchObject({ status: 'completed' });
    expect(probe.machine.nextTimeout()).toBeUndefined();
  });
});

describe('the greeting', () => {
  test('is said word for word, and at the next call at once', () => {
    const probe = new PipelineProbe({ greeting: 'Hello, who is there?' });
    expect(probe.requests).toEqual([]); // nobody is contacted before
    probe.run((machine, now) => machine.answer(now));
    probe.request('speech').speak(800);
    expect([probe.soundMs, probe.said]).toEqual([800, 'Hello, who is there?']);
    asked(probe);
    expect(probe.request('chat').json.messages[0]).toEqual({ role: 'assistant', content: 'Hello, who is there?' });
  });

  test('is left to somebody else who wants it', () => {
    const probe = new PipelineProbe({ greeting: 'Hello.' }, undefined, false);
    probe.run((machine, now) => machine.answer(now));
    expect(probe.requests).toEqual([]);
  });
});

test('after the end nothing is asked, told or awaited', () => {
  const probe = new PipelineProbe();
  asked(probe);
  probe.run((machine) => machine.close());
  const { length } = probe.events;
  probe.turn();
  expect([probe.events.length, probe.machine.nextTimeout()]).toEqual([length, undefined]);
});

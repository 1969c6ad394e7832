import { describe, expect, it } from 'vitest';
import { EmbeddedAgent } from '../../../src/realtime/embedded/agent.ts';
import { loadPrompts } from '../../../src/realtime/embedded/prompts.ts';
import { loadVoiceDetectors } from '../../../src/realtime/fvad-detector.ts';
import { speech } from '../../support/speech.ts';
import { type BenchOptions, type Json, SurfaceBench } from './surface-bench.ts';

const prompts = await loadPrompts();
const createVoiceDetector = await loadVoiceDetectors();
const HELLO = 'Hello. This is Ringdown. I do not understand speech. Say something, and I will say it back to you.';
const WEATHER = { type: 'function', name: 'weather', description: 'Tells the weather.', parameters: { type: 'object' } };

function bench(session: Json = {}, options: BenchOptions = {}): SurfaceBench {
  const made = new SurfaceBench({ media: 'websocket', session, model: new EmbeddedAgent({ prompts }), createVoiceDetector, ...options });
  made.client.take();
  return made;
}

function say(call: SurfaceBench, text: string, response: Json = {}): Json[] {
  call.client.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] } });
  call.client.take();
  call.client.send({ type: 'response.create', response });
  return call.client.take();
}

function outputOf(events: readonly Json[]): Json[] {
  const done = events.findLast(({ type }) => type === 'response.done')?.['response'] as Json;
  return done['output'] as Json[];
}

describe('the embedded agent and programs', () => {
  it('says what it is when it is asked to speak, and writes what it says', () => {
    const events = say(bench(), 'Hello?');
    expect(outputOf(events)).toMatchObject([
      { role: 'assistant', status: 'completed', content: [{ type: 'output_audio', transcript: HELLO }] },
    ]);
    const bytes = events.flatMap(({ type, delta }) =>
      type === 'response.output_audio.delta' ? [Buffer.from(String(delta), 'base64')] : [],
    );
    expect(Buffer.concat(bytes)).toHaveLength(2 * prompts.hello.length);
  });

  it('writes when text is wanted', () => {
    const call = bench({ output_modalities: ['text'] });
    expect(outputOf(say(call, 'Hello?'))).toMatchObject([
      { content: [{ type: 'output_text', text: 'I do not understand language. You wrote: Hello?' }] },
    ]);
    expect(outputOf(say(bench(), 'Hello?', { output_modalities: ['text'] }))).toMatchObject([{ content: [{ type: 'output_text' }] }]);
  });

  it('calls a tool when it is told to, and reads its output back', () => {
    const call = bench({ tools: [WEATHER] });
    const events = say(call, 'call weather {"city": "Ulm"}');
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.output_item.added',
      'conversation.item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
    ]);
    const [item] = outputOf(events);
    expect(item).toMatchObject({
      type: 'function_call',
      name: 'weather',
      arguments: '{"city": "Ulm"}',
      call_id: expect.stringMatching(/^call_/),
    });
    const output = { type: 'function_call_output', call_id: item?.['call_id'], output: 'sunny' };
    call.client.send({ type: 'conversation.item.create', item: output }).send({ type: 'response.create' });
    expect(outputOf(call.client.take())).toMatchObject([{ content: [{ type: 'output_text', text: 'The tool says: sunny' }] }]);
  });

  it('calls no tool that is not there, that must not be called, or with arguments that are none', () => {
    expect(outputOf(say(bench({ tools: [WEATHER] }), 'call moon'))).toMatchObject([
      { content: [{ text: 'There is no tool of the name moon. Declared: weather.' }] },
    ]);
    expect(outputOf(say(bench({ tools: [WEATHER] }), 'call weather [1]'))).toMatchObject([
      { content: [{ text: 'The arguments of weather are no JSON object.' }] },
    ]);
    expect(outputOf(say(bench({ tools: [WEATHER], tool_choice: 'none' }), 'call weather {}'))).toMatchObject([{ type: 'message' }]);
    expect(outputOf(say(bench({ tools: [WEATHER] }), 'Hi', { tool_choice: 'required' }))).toMatchObject([
      { type: 'function_call', name: 'weather' },
    ]);
  });

  it('answers out of band from what it is given, and forgets nothing of the conversation by it', () => {
    const call = bench({ tools: [WEATHER] });
    const text = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Sum up.' }] };
    call.client.send({ type: 'response.create', response: { conversation: 'none', output_modalities: ['text'], input: [text] } });
    const events = call.client.take();
    expect(events.map(({ type }) => type)).not.toContain('conversation.item.added');
    expect(outputOf(events)).toMatchObject([{ content: [{ text: 'I do not understand language. You wrote: Sum up.' }] }]);
  });

  it('says a turn back that was committed by hand, and has no words for it', () => {
    const call = bench({ audio: { input: { turn_detection: null, transcription: { model: 'whisper-1' } } } });
    const said = speech(800, { rateHz: 24_000, seed: 3, peak: 9000 });
    call.client.send({
      type: 'input_audio_buffer.append',
      audio: Buffer.from(said.buffer, said.byteOffset, said.byteLength).toString('base64'),
    });
    call.client.send({ type: 'input_audio_buffer.commit' });
    expect(call.client.last('conversation.item.input_audio_transcription.failed')).toMatchObject({
      error: { code: 'transcription_unavailable' },
    });
    call.client.take();
    call.client.send({ type: 'response.create' });
    const events = call.client.take();
    expect(outputOf(events)).toMatchObject([{ content: [{ type: 'output_audio' }] }]);
    expect(events.map(({ type }) => type)).not.toContain('response.output_audio_transcript.done');
    const bytes = events.flatMap(({ type, delta }) =>
      type === 'response.output_audio.delta' ? [Buffer.from(String(delta), 'base64')] : [],
    );
    expect(Buffer.concat(bytes).length).toBeGreaterThan(700 * 48);
  });

  it('says a spoken turn back over a WebSocket', () => {
    const call = bench();
    const said = speech(1500, { rateHz: 24_000, seed: 7, peak: 9000 });
    const audio = new Int16Array(24_000 * 3);
    audio.set(said, 12_000);
    for (let at = 0; at < audio.length; at += 480) {
      const frame = audio.subarray(at, at + 480);
      call.client.send({
        type: 'input_audio_buffer.append',
        audio: Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength).toString('base64'),
      });
      call.wait(20);
    }
    expect(call.client.types()).toEqual(
      expect.arrayContaining([
        'input_audio_buffer.speech_started',
        'input_audio_buffer.committed',
        'response.output_audio.delta',
        'response.done',
      ]),
    );
  });

  it('keeps its menu for the keys of a phone, and greets when it may speak first', () => {
    const call = bench({}, { media: 'phone' });
    expect(call.client.types()).toEqual([]);
    call.session.handleLegEvent({ type: 'dtmf', digit: '1', durationMs: 80 });
    expect(outputOf(call.client.take())).toMatchObject([{ content: [{ transcript: 'Parrot. Say something.' }] }]);
    call.session.handleLegEvent({ type: 'dtmf', digit: '4', durationMs: 80 });
    expect(outputOf(call.client.take())).toMatchObject([
      { content: [{ transcript: expect.stringMatching(/seconds\. .* turns\. .*percent lost\./) }] },
    ]);
  });
});

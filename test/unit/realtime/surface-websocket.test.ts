import { describe, expect, it } from 'vitest';
import { PCMA, PCMU } from '../../../src/audio/g711.ts';
import { findTone, sine } from './surface-audio.ts';
import { type Json, SurfaceBench } from './surface-bench.ts';

function bench(session?: Json, options: Partial<ConstructorParameters<typeof SurfaceBench>[0]> = {}): SurfaceBench {
  return new SurfaceBench({ media: 'websocket', ...(session ? { session } : {}), ...options });
}

const MANUAL = { audio: { input: { turn_detection: null } } };

describe('a session over a WebSocket', () => {
  it('gives audio as it comes from the model, and no news of a wire it does not know', () => {
    const call = bench();
    call.client.take();
    call.model.say('resp_1', 500, { text: 'Hello.' });
    call.run(1000);
    const events = call.client.take();
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.output_item.added',
      'conversation.item.added',
      'response.content_part.added',
      'response.output_audio_transcript.delta',
      'response.output_audio.delta',
      'response.output_audio.done',
      'response.output_audio_transcript.done',
      'response.content_part.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
    ]);
    expect(Buffer.from(String(events[5]?.['delta']), 'base64')).toHaveLength(500 * 48);
  });

  it('ends a response at the first sound of a voice, and leaves truncating to the client', () => {
    const call = bench();
    call.model.say('resp_1', 3000, { done: false });
    call.silence(1000);
    call.client.take();
    call.voice(200);
    expect(call.client.take().map(({ type }) => type)).toEqual([
      'input_audio_buffer.speech_started',
      'response.output_audio.done',
      'response.content_part.done',
      'conversation.item.done',
      'response.output_item.done',
      'response.done',
    ]);
    expect(call.model.told.filter(([what]) => what === 'truncate')).toEqual([]);
    call.client.send({ type: 'conversation.item.truncate', item_id: 'resp_1_item', content_index: 0, audio_end_ms: 900 });
    expect(call.client.last('conversation.item.truncated')).toMatchObject({ audio_end_ms: 900, content_index: 0 });
    expect(call.model.told.at(-1)).toEqual(['truncate', 'resp_1_item', 900]);
  });

  it('refuses to truncate beyond what was said, or what was never said', () => {
    const call = bench();
    call.model.say('resp_1', 1000);
    const truncate = { type: 'conversation.item.truncate', item_id: 'resp_1_item', content_index: 0 };
    call.client.send({ ...truncate, audio_end_ms: 1001, event_id: 'far' });
    expect(call.client.error()).toMatchObject({
      message: expect.stringContaining('1000ms is already shorter than 1001ms'),
      event_id: 'far',
    });
    call.client.send({ ...truncate, audio_end_ms: 1, item_id: 'nobody' });
    expect(call.client.error()).toMatchObject({ code: 'item_not_found', param: 'item_id' });
    call.client.send({ ...truncate, audio_end_ms: 1, content_index: 1 });
    expect(call.client.error()).toMatchObject({ code: 'invalid_value' });
    expect(call.model.told.filter(([what]) => what === 'truncate')).toEqual([]);
  });

  it('hears a file at once that takes its time to be listened to', () => {
    const call = bench();
    call.client.take();
    call.silence(20);
    const minute = Buffer.alloc(60 * 48_000).toString('base64');
    call.client.send({ type: 'input_audio_buffer.append', audio: minute });
    const atOnce = call.model.heardSamples;
    expect(atOnce).toBeLessThanOrEqual(2 * 24_000);
    call.wait(1300);
    expect(call.model.heardSamples).toBe(480 + 60 * 24_000);
    expect(call.client.types()).toEqual([]);
  });

  it('lets what follows on audio wait until it is heard, in order', () => {
    const call = bench({ audio: { input: { format: { type: 'audio/pcmu' }, turn_detection: null } } });
    call.client.take();
    call.client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(600 * 8000).toString('base64') });
    call.client.send({ type: 'input_audio_buffer.commit' });
    call.client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(8000).toString('base64') });
    call.client.send({ type: 'input_audio_buffer.commit' }).send({ type: 'response.create' });
    expect(call.client.types()).toEqual([]);
    expect(call.model.heardSamples).toBeLessThan(5 * 24_000);
    call.wait(7000);
    expect(call.model.told.filter(([what]) => what === 'commitTurn')).toEqual([
      ['commitTurn', 0, 600_000, false],
      ['commitTurn', 600_000, 601_000, false],
    ]);
    expect(call.model.requests).toHaveLength(1);
  });

  it('takes turns in audio that comes faster than time goes by', () => {
    const call = bench();
    call.client.take();
    call.voice(20);
    call.client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(48_000).toString('base64') });
    call.wait(40);
    call.silence(20);
    call.client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(48_000).toString('base64') });
    call.wait(40);
    expect(call.client.types()).toEqual([
      'input_audio_buffer.speech_started',
      'input_audio_buffer.speech_stopped',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
    ]);
  });

  it('does not end a turn whose audio stops coming: the client says what is silence', () => {
    const call = bench();
    call.voice(500);
    call.client.take();
    call.wait(3000);
    expect(call.client.types()).toEqual([]);
  });

  it('commits by hand, to the last sample', () => {
    const call = bench(MANUAL);
    call.client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(48 * 110).toString('base64') });
    call.client.take();
    call.client.send({ type: 'input_audio_buffer.commit' });
    expect(call.client.types()).toEqual(['input_audio_buffer.committed', 'conversation.item.added', 'conversation.item.done']);
    // The last 10 ms are filled up to a frame.
    expect(call.model.told.at(-1)).toEqual(['commitTurn', 0, 120, false]);
  });

  it('knows nothing to commit, and nothing to clear on a wire that is not there', () => {
    const call = bench(MANUAL);
    call.client.send({ type: 'input_audio_buffer.commit', event_id: 'c' });
    expect(call.client.error()).toMatchObject({ code: 'input_audio_buffer_commit_empty', event_id: 'c' });
    call.client.send({ type: 'output_audio_buffer.clear' });
    expect(call.client.error()).toMatchObject({ code: 'invalid_event_for_transport' });
    call.client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(9600).toString('base64') });
    call.client.send({ type: 'input_audio_buffer.clear' });
    expect(call.client.last('input_audio_buffer.cleared')).toBeDefined();
    call.client.send({ type: 'input_audio_buffer.commit' });
    expect(call.client.error()).toMatchObject({ code: 'input_audio_buffer_commit_empty' });
  });

  it.each([
    ['audio/pcmu', PCMU],
    ['audio/pcma', PCMA],
  ] as const)('speaks %s both ways: a tone stays a tone', (type, law) => {
    const heard: Int16Array[] = [];
    const call = bench({ audio: { input: { format: { type }, turn_detection: null }, output: { format: { type } } } });
    call.model.appendAudio = (pcm) => void heard.push(pcm.slice());
    const tone = sine(440, 1000, 8000);
    const coded = Buffer.alloc(tone.length);
    law.encode(tone, coded);
    for (let at = 0; at < coded.length; at += 333) {
      call.client.send({ type: 'input_audio_buffer.append', audio: coded.subarray(at, at + 333).toString('base64') });
    }
    call.client.send({ type: 'input_audio_buffer.commit' });
    expect(call.model.told.at(-1)).toEqual(['commitTurn', 0, 1000, false]);
    const up = Int16Array.from(heard.flatMap((each) => [...each]));
    expect(findTone(up, 24_000)).toBeCloseTo(440, -1);
    call.client.take();
    call.model.emit({ type: 'response_started', responseId: 'r' });
    call.model.emit({ type: 'audio', responseId: 'r', itemId: 'i', pcm: sine(1000, 500, 24_000) });
    call.model.emit({ type: 'response_done', responseId: 'r', status: 'completed' });
    const bytes = Buffer.concat(
      call.client
        .take()
        .flatMap(({ type: each, delta }) => (each === 'response.output_audio.delta' ? [Buffer.from(String(delta), 'base64')] : [])),
    );
    expect(bytes.length).toBeGreaterThanOrEqual(4000);
    const down = new Int16Array(bytes.length);
    law.decode(bytes, down);
    expect(findTone(down, 8000)).toBeCloseTo(1000, -1);
  });

  it('refuses what is no base64, and more than it can hear', () => {
    const call = bench();
    call.client.send({ type: 'input_audio_buffer.append', audio: 'not base64!', event_id: 'x' });
    expect(call.client.error()).toMatchObject({ param: 'audio', event_id: 'x' });
    const large = Buffer.alloc(11 * 1024 * 1024).toString('base64');
    for (let n = 0; n < 3; n++) call.client.send({ type: 'input_audio_buffer.append', audio: large });
    expect(call.client.error()).toMatchObject({ code: 'input_audio_buffer_full' });
  });

  it('writes down and makes no response in a transcription session', () => {
    const call = bench({ type: 'transcription', audio: { input: { transcription: { model: 'whisper-1' } } } });
    expect(call.client.events).toMatchObject([
      { type: 'session.created', session: { type: 'transcription', object: 'realtime.transcription_session' } },
    ]);
    expect(call.model.configs.at(-1)).toMatchObject({ transcription: { model: 'whisper-1' } });
    call.model.onCommit = (itemId) => {
      call.model.emit({ type: 'input_transcript_delta', itemId, delta: 'good ' });
      call.model.emit({ type: 'input_transcript', itemId, transcript: 'good day' });
    };
    call.client.take();
    call.voice(700).silence(700);
    const events = call.client.take();
    expect(events.map(({ type }) => type)).toEqual([
      'input_audio_buffer.speech_started',
      'input_audio_buffer.speech_stopped',
      'input_audio_buffer.committed',
      'conversation.item.added',
      'conversation.item.done',
      'conversation.item.input_audio_transcription.delta',
      'conversation.item.input_audio_transcription.completed',
    ]);
    expect(events.at(-1)).toMatchObject({ transcript: 'good day', usage: { type: 'duration', seconds: 0.8 } });
    expect(call.model.told).toContainEqual(['commitTurn', 0, 800, false]);
    call.client.send({ type: 'response.create', event_id: 'r' });
    expect(call.client.error()).toMatchObject({ code: 'invalid_state', event_id: 'r' });
  });
});

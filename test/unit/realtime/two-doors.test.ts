import { describe, expect, it } from 'vitest';
import { SurfaceBench } from './surface-bench.ts';

/*
 * One machine for phones, browsers and WebSockets: the same caller, the same model, the same turns. Only who plays the audio differs, and with it
 * who knows what was heard.
 */

const types = (call: SurfaceBench): unknown[] => call.client.take().map(({ type }) => type);
const TURN_EVENTS = new Set(['input_audio_buffer.speech_started', 'input_audio_buffer.speech_stopped', 'input_audio_buffer.committed']);

describe.each(['phone', 'browser', 'websocket'] as const)('a caller by %s', (media) => {
  const open = (): SurfaceBench => {
    const call = new SurfaceBench({ media, session: { audio: { input: { turn_detection: { type: 'server_vad' } } } } });
    call.client.take();
    return call;
  };

  it('has a turn that begins, ends and is committed at the same moments', () => {
    const call = open();
    call.silence(600);
    call.voice(1000).silence(1500);
    const events = call.client.take().filter(({ type }) => TURN_EVENTS.has(String(type)));
    expect(events.map(({ type, audio_start_ms, audio_end_ms }) => [type, audio_start_ms ?? audio_end_ms])).toEqual([
      ['input_audio_buffer.speech_started', 300],
      ['input_audio_buffer.speech_stopped', 1700],
      ['input_audio_buffer.committed', undefined],
    ]);
    expect(call.model.told.filter(([what]) => what === 'commitTurn')).toHaveLength(1);
  });

  it('is told where the time of an answer went', () => {
    const call = open();
    call.model.onCommit = () => call.clock.setTimer(200, () => call.model.say('resp_1', 500));
    call.silence(600);
    call.voice(1000).silence(1500);
    expect(call.client.last('turn.latency')).toMatchObject({ decided_ms: 500, requested_ms: 500, first_delta_ms: 700, ear_ms: null });
  });

  it('interrupts by speaking for a second', () => {
    const call = open();
    call.model.say('resp_1', 5000, { done: false });
    call.silence(1000);
    call.client.take();
    call.voice(1000);
    const told = types(call);
    expect(told).toContain('input_audio_buffer.speech_started');
    expect(call.client.events).toEqual([]);
    expect(told).toContain('response.done');
    // Who plays knows what was heard.
    expect(told.includes('conversation.item.truncated')).toBe(media !== 'websocket');
  });

  it('may say how far it has played an item, and not farther than it got', () => {
    const call = open();
    call.model.say('resp_1', 1000);
    call.silence(1400);
    const truncate = { type: 'conversation.item.truncate', item_id: 'resp_1_item', content_index: 0 };
    call.client.send({ ...truncate, audio_end_ms: 1001, event_id: 'far' });
    expect(call.client.error()).toMatchObject({ code: 'invalid_value', event_id: 'far' });
    expect(call.client.events.some(({ type }) => type === 'conversation.item.truncated')).toBe(false);
    call.client.send({ ...truncate, audio_end_ms: 400 });
    expect(call.client.last('conversation.item.truncated')).toMatchObject({ audio_end_ms: 400 });
    expect(call.model.told.at(-1)).toEqual(['truncate', 'resp_1_item', 400]);
    expect(call.session.snapshot().ledger.truncations).toBe(1);
  });
});

import { describe, expect, it } from 'vitest';
import { Conversation } from '../../../web/conversation.ts';

const message = (id: string, role: string, content: readonly object[] = []) => ({ id, type: 'message', role, content });

describe('the conversation on the page', () => {
  it('follows a spoken turn and its answer', () => {
    const conversation = new Conversation();
    const floors = [];
    for (const event of [
      { type: 'input_audio_buffer.speech_started', item_id: 'u1' },
      { type: 'input_audio_buffer.committed', item_id: 'u1' },
      { type: 'conversation.item.added', item: message('a1', 'assistant') },
      { type: 'response.output_audio_transcript.delta', item_id: 'a1', delta: 'Hello, ' },
      { type: 'output_audio_buffer.started' },
      { type: 'response.output_audio_transcript.delta', item_id: 'a1', delta: 'world.' },
      { type: 'conversation.item.input_audio_transcription.completed', item_id: 'u1', transcript: 'Hi.' },
      { type: 'output_audio_buffer.stopped' },
    ]) {
      conversation.handle(event);
      floors.push(conversation.floor);
    }
    expect(floors).toEqual(['caller', 'thinking', 'thinking', 'thinking', 'agent', 'agent', 'agent', 'listening']);
    expect(conversation.turns.map(({ who, text, unwritten }) => [who, text, unwritten])).toEqual([
      ['caller', 'Hi.', false],
      ['agent', 'Hello, world.', false],
    ]);
  });

  it('marks what was interrupted, and gives the newest answer its latency', () => {
    const conversation = new Conversation();
    conversation.handle({
      type: 'conversation.item.added',
      item: message('a1', 'assistant', [{ type: 'output_audio', transcript: 'One.' }]),
    });
    conversation.addLatency({ decidingMs: 500, answeringMs: 80 });
    conversation.handle({
      type: 'turn.latency',
      item_id: 'u1',
      decided_ms: 500,
      requested_ms: 500,
      first_delta_ms: null,
      first_packet_ms: 570,
      ear_ms: null,
    });
    expect(conversation.turns[0]?.stages).toEqual([
      { name: 'decided', text: 'end of turn', ms: 500 },
      { name: 'requested', text: 'request', ms: 0 },
      { name: 'packet', text: 'first packet', ms: 70 },
    ]);
    conversation.handle({ type: 'conversation.item.truncated', item_id: 'a1' });
    expect(conversation.turns).toMatchObject([{ text: 'One.', interrupted: true, latency: { decidingMs: 500, answeringMs: 80 } }]);
  });

  it('says which tool is used, shows written words, leaves instructions out, and forgets what is deleted', () => {
    const conversation = new Conversation();
    conversation.handle({ type: 'conversation.item.added', item: message('s1', 'system', [{ type: 'input_text', text: 'Be brief.' }]) });
    conversation.handle({ type: 'conversation.item.added', item: message('u1', 'user', [{ type: 'input_text', text: 'Weather?' }]) });
    conversation.handle({ type: 'conversation.item.added', item: { id: 'f1', type: 'function_call', name: 'weather' } });
    expect(conversation.turns.map(({ who, text }) => [who, text])).toEqual([
      ['caller', 'Weather?'],
      ['note', 'The agent uses weather'],
    ]);
    conversation.handle({ type: 'conversation.item.deleted', item_id: 'u1' });
    expect(conversation.turns.map(({ id }) => id)).toEqual(['f1']);
  });

  it('shows what went wrong in its own words', () => {
    const conversation = new Conversation();
    conversation.note('The model is gone.');
    expect(conversation.turns).toMatchObject([{ who: 'note', text: 'The model is gone.', unwritten: false }]);
  });

  it('keeps a bounded number of turns, and is not upset by events it cannot read', () => {
    const conversation = new Conversation();
    for (let n = 0; n < 1000; n++) conversation.handle({ type: 'conversation.item.added', item: message(`m${n}`, 'user') });
    expect(conversation.turns.length).toBe(200);
    for (const item of [null, 7, 'x', {}, { id: 3 }, { id: 'y', type: 'message', content: 'no list' }]) {
      conversation.handle({ type: 'conversation.item.added', item });
    }
    conversation.handle({ type: 'something.new', item_id: {} });
    expect(conversation.turns.length).toBe(200);
  });
});

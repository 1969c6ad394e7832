import { describe, expect, test } from 'vitest';
import { upstreamProfile } from '../../../src/realtime/upstream/profile.ts';
import { ConversationProbe } from './conversation-probe.ts';

const APPEND = 'input_audio_buffer.append';
const COMMIT = 'input_audio_buffer.commit';
const CLEAR = 'input_audio_buffer.clear';

function sentMs(probe: ConversationProbe, from = 0): number {
  return probe
    .sent(from)
    .filter(({ type }) => type === APPEND)
    .reduce((sum, { ms }) => sum + Number(ms), 0);
}

describe('a turn on its way to the server', () => {
  test('the session is told to detect no turns, and is told it once', () => {
    const probe = ConversationProbe.ready();
    expect(probe.sent()).toEqual([
      {
        type: 'session.update',
        session: {
          type: 'realtime',
          output_modalities: ['audio'],
          instructions: 'Be kind.',
          tools: [],
          tool_choice: 'auto',
          max_output_tokens: 'inf',
          audio: {
            input: { format: { type: 'audio/pcm', rate: 24_000 }, turn_detection: null, transcription: { model: 'whisper-1' } },
            output: { format: { type: 'audio/pcm', rate: 24_000 } },
          },
        },
      },
    ]);
    const { mark } = probe;
    probe.run((now) =>
      probe.machine.configure(
        { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: null, voice: 'ash' },
        now,
      ),
    );
    expect(probe.sent(mark)).toEqual([
      {
        type: 'session.update',
        session: { type: 'realtime', audio: { input: { transcription: null }, output: { voice: 'ash' } } },
      },
    ]);
  });

  test('silence is not sent; a turn is sent from its beginning on in messages of 40 ms, committed and answered', () => {
    const probe = ConversationProbe.ready();
    probe.hear(10_000);
    expect(probe.types()).toEqual(['session.update']);
    const { mark } = probe;
    probe.speak(9600);
    expect(probe.sent(mark)).toEqual([{ type: APPEND, ms: 400 }]);
    probe.hear(100);
    expect(probe.sent(mark).slice(1)).toEqual([
      { type: APPEND, ms: 40 },
      { type: APPEND, ms: 40 },
    ]);
    probe.commit(9600, 10_100, 'item_mine');
    expect(probe.types(mark).slice(3)).toEqual([APPEND, COMMIT, 'response.create']);
    expect(sentMs(probe, mark)).toBe(500);
  });

  test('a turn shorter than the server takes is filled up with silence', () => {
    const probe = ConversationProbe.ready();
    probe.hear(200);
    probe.speak(140);
    probe.commit(140, 200);
    expect(sentMs(probe)).toBe(100);
  });

  test('a turn of which nobody said that it began is sent at its commit', () => {
    const probe = ConversationProbe.ready();
    probe.hear(2000);
    probe.commit(500, 1500);
    expect(sentMs(probe)).toBe(1000);
    expect(probe.types().slice(-2)).toEqual([COMMIT, 'response.create']);
  });

  test('a turn that may not be answered is only kept', () => {
    const probe = ConversationProbe.ready();
    probe.hear(1000);
    probe.run((now) => probe.machine.commitTurn({ startMs: 0, endMs: 900, respond: false }, now));
    expect(probe.types().at(-1)).toBe(COMMIT);
  });

  test('a turn that is none is cleared, by a key and by the next turn', () => {
    const probe = ConversationProbe.ready();
    probe.hear(1000);
    probe.speak(500);
    probe.run((now) => probe.machine.discardTurn(now));
    expect(probe.types().at(-1)).toBe(CLEAR);
    probe.speak(600);
    const { mark } = probe;
    probe.speak(800);
    expect(probe.types(mark)).toEqual([CLEAR, APPEND]);
  });

  test('a turn that nobody ends is not sent for ever', () => {
    const probe = ConversationProbe.ready();
    probe.speak(0);
    probe.hear(700_000);
    expect(sentMs(probe)).toBeLessThanOrEqual(600_000);
    expect(probe.types().at(-1)).toBe(CLEAR);
  });

  test('a commit that was too early is replaced by the whole turn', () => {
    const probe = ConversationProbe.ready();
    probe.hear(1000);
    probe.speak(200);
    probe.commit(200, 1000, 'item_a');
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'up_a' });
    probe.cancel();
    const { mark } = probe;
    probe.hear(300);
    probe.speak(200);
    probe.hear(300);
    probe.commit(200, 1600, 'item_a');
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'up_b' });
    expect(sentMs(probe, mark)).toBe(1400);
    expect(probe.sent(mark)).toContainEqual({ type: 'conversation.item.delete', item_id: 'up_a' });
    probe.server(1, 'conversation.item.input_audio_transcription.completed', { item_id: 'up_a', content_index: 0, transcript: 'I want' });
    probe.server(1, 'conversation.item.input_audio_transcription.completed', {
      item_id: 'up_b',
      content_index: 0,
      transcript: 'I want tea',
    });
    expect(probe.events().filter(({ type }) => type === 'input_transcript')).toEqual([
      { type: 'input_transcript', itemId: 'item_a', transcript: 'I want tea' },
    ]);
  });

  test('the first part is deleted as soon as the server has named it', () => {
    const probe = ConversationProbe.ready();
    probe.hear(1000);
    probe.commit(200, 1000, 'item_a');
    probe.cancel();
    probe.speak(200);
    probe.hear(300);
    probe.commit(200, 1300, 'item_b');
    const { mark } = probe;
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'up_a' });
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'up_b' });
    expect(probe.sent(mark)).toEqual([{ type: 'conversation.item.delete', item_id: 'up_a' }]);
    probe.server(1, 'conversation.item.input_audio_transcription.completed', { item_id: 'up_b', transcript: 'whole' });
    expect(probe.events().at(-1)).toEqual({ type: 'input_transcript', itemId: 'item_b', transcript: 'whole' });
  });

  test('a server that cannot delete is given the rest, and the words are put together', () => {
    const probe = ConversationProbe.ready({ profile: upstreamProfile('generic') });
    probe.hear(1000);
    probe.speak(200);
    probe.commit(200, 1000, 'item_a');
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'up_a' });
    probe.server(1, 'conversation.item.input_audio_transcription.completed', { item_id: 'up_a', transcript: 'I want' });
    probe.cancel();
    const { mark } = probe;
    probe.hear(300);
    probe.speak(200);
    probe.commit(200, 1300, 'item_b');
    expect(sentMs(probe, mark)).toBe(300);
    expect(probe.types(mark)).not.toContain('conversation.item.delete');
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'up_b' });
    probe.server(1, 'conversation.item.input_audio_transcription.completed', { item_id: 'up_b', transcript: 'some tea' });
    expect(probe.events().at(-1)).toEqual({ type: 'input_transcript', itemId: 'item_b', transcript: 'I want some tea' });
  });

  test.each([
    ['pcmu', 8000, 8],
    ['pcm', 16_000, 32],
  ] as const)('audio goes as %s at %i Hz where the server wants that', (encoding, rateHz, bytesPerMs) => {
    const probe = ConversationProbe.ready({ profile: upstreamProfile('generic', { input: { encoding, rateHz } }) });
    probe.hear(1000);
    probe.commit(0, 1000);
    const bytes = sentMs(probe) * 48;
    expect(bytes / bytesPerMs).toBeGreaterThan(995);
    expect(bytes / bytesPerMs).toBeLessThan(1010);
  });

  test('the greeting is asked for when the call is answered, once, and only when it is wanted', () => {
    const silent = ConversationProbe.ready();
    silent.run((now) => silent.machine.answer(now));
    expect(silent.types()).not.toContain('response.create');
    const probe = new ConversationProbe({ greeting: { instructions: 'Say hello.' } });
    probe.run((now) => probe.machine.start(now));
    probe.run((now) => probe.machine.answer(now));
    probe.run((now) => probe.machine.answer(now));
    expect(probe.sent()).toEqual([]);
    probe.server(1, 'session.created');
    expect(probe.types()).toEqual(['session.update', 'response.create']);
    expect(probe.sent()[1]).toMatchObject({ response: { instructions: 'Say hello.' } });
  });
});

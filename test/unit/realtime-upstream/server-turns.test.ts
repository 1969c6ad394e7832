import { describe, expect, test } from 'vitest';
import { upstreamProfile } from '../../../src/realtime/upstream/profile.ts';
import { ConversationProbe, type ProbeOptions } from './conversation-probe.ts';

const APPEND = 'input_audio_buffer.append';
const SEMANTIC = { type: 'semantic_vad', eagerness: 'low', create_response: true, interrupt_response: false };

function probeOf(options: ProbeOptions = {}): ConversationProbe {
  return ConversationProbe.ready({ turns: 'upstream', ...options });
}

function detectionsOf(probe: ConversationProbe): unknown[] {
  return probe
    .sent()
    .filter(({ type }) => type === 'session.update')
    .flatMap(({ session }) => {
      const input = (session as { audio?: { input?: Record<string, unknown> } }).audio?.input;
      return input && 'turn_detection' in input ? [input['turn_detection']] : [];
    });
}

function sentMs(probe: ConversationProbe, from = 0): number {
  return probe
    .sent(from)
    .filter(({ type }) => type === APPEND)
    .reduce((sum, { ms }) => sum + Number(ms), 0);
}

/** The audio itself, as samples. */
function sentPcm(probe: ConversationProbe, from = 0): number[] {
  return probe.outputs.slice(from).flatMap((output) => {
    const { type, audio } = output.type === 'send' ? (JSON.parse(output.message) as { type: string; audio?: string }) : { type: '' };
    if (type !== APPEND || !audio) return [];
    const bytes = Buffer.from(audio, 'base64');
    return Array.from({ length: bytes.length / 2 }, (_, n) => bytes.readInt16LE(2 * n));
  });
}

function listen(probe: ConversationProbe, how: 'through' | 'gated' | 'duck', again = false): void {
  probe.run(() => probe.machine.listen(how, -60, again));
}

function take(probe: ConversationProbe, startMs: number, endMs: number, itemId: string): void {
  probe.run((now) => probe.machine.turnTaken({ startMs, endMs, itemId, respond: true }, now));
}

describe('a server that takes the turns', () => {
  test('is told how, as the session wishes it', () => {
    expect(detectionsOf(probeOf())).toEqual([{ type: 'server_vad' }]);
    expect(detectionsOf(probeOf({ config: { turnDetection: SEMANTIC } }))).toEqual([SEMANTIC]);
    expect(detectionsOf(probeOf({ config: { turnDetection: SEMANTIC }, profile: upstreamProfile('generic') }))).toEqual([
      { type: 'server_vad', create_response: true, interrupt_response: false },
    ]);
  });

  test('hears the caller all the time, silence too', () => {
    const probe = probeOf();
    probe.hear(1000);
    expect(probe.types().slice(1)).toEqual(Array.from({ length: 25 }, () => APPEND));
    expect(sentMs(probe)).toBe(1000);
  });

  test('says when turns begin and end, names them, writes them down and answers unasked', () => {
    const probe = probeOf();
    probe.hear(1000);
    const { mark } = probe;
    probe.server(1, 'input_audio_buffer.speech_started', { audio_start_ms: 700, item_id: 'item_theirs' });
    probe.speak(700);
    probe.hear(1000);
    probe.server(1, 'input_audio_buffer.speech_stopped', { audio_end_ms: 1500, item_id: 'item_theirs' });
    take(probe, 700, 1600, 'item_ours');
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'item_theirs' });
    probe.server(1, 'conversation.item.added', { item: { id: 'item_theirs', type: 'message', role: 'user' } });
    probe.server(1, 'conversation.item.input_audio_transcription.completed', { item_id: 'item_theirs', transcript: 'Hello.' });
    probe.say(1, 'resp_1', 'item_2', 400);
    expect(probe.events(mark).filter(({ type }) => type !== 'item_started' && type !== 'audio')).toEqual([
      { type: 'caller_started', startMs: 700 },
      { type: 'caller_ended', endMs: 1500 },
      { type: 'input_transcript', itemId: 'item_ours', transcript: 'Hello.' },
      { type: 'response_started', responseId: 'resp_1' },
    ]);
    expect(new Set(probe.types(mark))).toEqual(new Set([APPEND]));
  });

  test('that does not say which item it is says so with the commit', () => {
    const probe = probeOf();
    probe.hear(1000);
    probe.server(1, 'input_audio_buffer.speech_started', {});
    probe.speak(900);
    probe.server(1, 'input_audio_buffer.speech_stopped', {});
    take(probe, 900, 1000, 'item_ours');
    probe.server(1, 'input_audio_buffer.committed', { item_id: 'late' });
    probe.server(1, 'conversation.item.input_audio_transcription.completed', { item_id: 'late', transcript: 'Yes.' });
    expect(probe.events()).toContainEqual({ type: 'input_transcript', itemId: 'item_ours', transcript: 'Yes.' });
    expect(probe.events().slice(0, 2)).toEqual([
      { type: 'caller_started', startMs: 1000 },
      { type: 'caller_ended', endMs: 1000 },
    ]);
  });

  test('hears comfort noise while we speak, a voice over us from before it was believed, and its time stays that of the call', () => {
    const probe = probeOf();
    probe.hear(1000);
    listen(probe, 'gated');
    const gated = probe.mark;
    probe.hear(2000);
    const noise = sentPcm(probe, gated);
    const power = noise.reduce((sum, sample) => sum + sample * sample, 0) / noise.length;
    expect(10 * Math.log10(power / 32768 ** 2)).toBeGreaterThan(-62);
    expect(10 * Math.log10(power / 32768 ** 2)).toBeLessThan(-58);
    const { mark } = probe;
    listen(probe, 'through', true);
    expect(sentMs(probe, mark)).toBe(400);
    expect(new Set(sentPcm(probe, mark))).toEqual(new Set([1000]));
    probe.hear(400);
    // 3000 ms of it had come when the 400 ms were sent again, which began at 2600 ms of the call.
    probe.server(1, 'input_audio_buffer.speech_started', { audio_start_ms: 3100 });
    probe.server(1, 'input_audio_buffer.speech_stopped', { audio_end_ms: 3700 });
    probe.server(1, 'input_audio_buffer.speech_started', { audio_start_ms: 800 });
    probe.server(1, 'input_audio_buffer.speech_started', { audio_start_ms: 99_000 });
    expect(probe.events()).toEqual([
      { type: 'caller_started', startMs: 2700 },
      { type: 'caller_ended', endMs: 3300 },
      { type: 'caller_started', startMs: 800 },
      { type: 'caller_started', startMs: 3400 },
    ]);
  });

  test('hears nothing twice that was kept back for a moment only', () => {
    const probe = probeOf();
    probe.hear(1000);
    listen(probe, 'gated');
    probe.hear(120);
    const { mark } = probe;
    listen(probe, 'through', true);
    expect(sentMs(probe, mark)).toBe(120);
  });

  test('hears the caller a quarter as loud where that is wished', () => {
    const probe = probeOf();
    listen(probe, 'duck');
    probe.hear(200);
    expect(new Set(sentPcm(probe))).toEqual(new Set([250]));
  });

  test('that is replaced in the middle of a turn hears it from its beginning, and earlier ones before it takes turns', () => {
    const probe = probeOf();
    probe.hear(1000);
    probe.server(1, 'input_audio_buffer.speech_started', { audio_start_ms: 500, item_id: 'a' });
    probe.speak(500);
    probe.server(1, 'input_audio_buffer.speech_stopped', { audio_end_ms: 1000, item_id: 'a' });
    take(probe, 500, 1000, 'first');
    probe.hear(1000);
    probe.server(1, 'input_audio_buffer.speech_started', { audio_start_ms: 1500, item_id: 'b' });
    probe.speak(1500);
    probe.hear(500);
    probe.fail(1);
    probe.hear(200);
    const { mark } = probe;
    probe.clock.advance(200);
    probe.server(2, 'session.created');
    expect(probe.types(mark).filter((type) => type !== APPEND)).toEqual(['session.update', 'input_audio_buffer.commit', 'session.update']);
    expect(detectionsOf(probe).slice(1)).toEqual([null, { type: 'server_vad' }]);
    // The first turn, and then 1200 ms of the second.
    expect(sentMs(probe, mark)).toBe(500 + 1200);
    probe.server(2, 'input_audio_buffer.speech_stopped', { audio_end_ms: 500 + 1000, item_id: 'c' });
    expect(probe.events().at(-1)).toEqual({ type: 'caller_ended', endMs: 2500 });
  });

  test('is sent turns by hand where the session does not want it to take them, and all again when it does', () => {
    const probe = probeOf({ config: { turnDetection: null } });
    probe.hear(1000);
    expect(probe.types()).toEqual(['session.update']);
    probe.speak(800);
    probe.commit(800, 1000);
    expect([sentMs(probe), probe.types().slice(-2)]).toEqual([200, ['input_audio_buffer.commit', 'response.create']]);
    const { mark } = probe;
    probe.run((now) => probe.machine.configure({ ...PLAIN, turnDetection: { type: 'server_vad' } }, now));
    probe.hear(400);
    expect(sentMs(probe, mark)).toBe(400);
    probe.run((now) => probe.machine.configure({ ...PLAIN, turnDetection: null }, now));
    const off = probe.mark;
    probe.hear(400);
    expect(sentMs(probe, off)).toBe(0);
    probe.run((now) => probe.machine.configure({ ...PLAIN, turnDetection: { type: 'server_vad' } }, now));
    probe.hear(400);
    // 200 and 400 ms were sent before.
    probe.server(1, 'input_audio_buffer.speech_started', { audio_start_ms: 700 });
    expect(probe.events().at(-1)).toEqual({ type: 'caller_started', startMs: 1900 });
  });

  test('commits by hand what it did not end itself, and forgets what a key took the place of', () => {
    const probe = probeOf();
    probe.hear(1010);
    probe.speak(500);
    probe.commit(500, 1000);
    expect(probe.types().slice(-3)).toEqual([APPEND, 'input_audio_buffer.commit', 'response.create']);
    probe.run((now) => probe.machine.discardTurn(now));
    expect(probe.types().at(-1)).toBe('input_audio_buffer.clear');
  });

  test('that says nonsense of turns changes nothing', () => {
    const probe = probeOf();
    probe.hear(1000);
    for (const fields of [{ audio_start_ms: -5 }, { audio_start_ms: 'x', item_id: 7 }, { audio_start_ms: null }, { audio_start_ms: 1e300 }])
      probe.server(1, 'input_audio_buffer.speech_started', fields);
    probe.server(1, 'input_audio_buffer.speech_stopped', { audio_end_ms: {}, item_id: '' });
    for (const event of probe.events()) expect(Object.values(event)).toContain(1000);
  });
});

const PLAIN = { outputModality: 'audio', tools: [], toolChoice: 'auto', maxOutputTokens: 'inf', transcription: null } as const;

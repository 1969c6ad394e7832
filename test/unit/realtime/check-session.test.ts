import { describe, expect, it } from 'vitest';
import { checkSession } from '../../../src/realtime/surface/check-session.ts';
import { effectiveSession, LOCAL_SETTINGS } from '../../../src/realtime/surface/effective-session.ts';
import { mergeSession } from '../../../src/realtime/surface/merge-session.ts';
import { sessionConfigOf } from '../../../src/realtime/surface/session-config-of.ts';
import type { SessionSettings } from '../../../src/realtime/surface/session-schema.ts';

type Json = Record<string, unknown>;

function settings(json: Json): SessionSettings {
  const checked = checkSession({ type: 'realtime', ...json });
  if ('fault' in checked) throw new Error(`${checked.fault.param}: ${checked.fault.message}`);
  return checked.session;
}

function input(json: Json): Json {
  return { audio: { input: json } };
}

describe('a session object', () => {
  it.each([
    ['nothing but its type', {}],
    ['what the Agents SDK sends first', { tracing: 'auto' }],
    [
      'what the Agents SDK sends next',
      {
        instructions: '',
        model: 'gpt-realtime-2.1',
        output_modalities: ['audio'],
        audio: {
          input: {
            format: { type: 'audio/pcm', rate: 24_000 },
            noise_reduction: null,
            transcription: { model: 'gpt-4o-mini-transcribe' },
            turn_detection: { type: 'semantic_vad' },
          },
          output: { format: { type: 'audio/pcm', rate: 24_000 }, voice: 'ash', speed: 1 },
        },
        tools: [{ type: 'function', name: 'weather', description: 'd', parameters: { type: 'object', properties: {} } }],
      },
    ],
    [
      'every knob of server_vad',
      input({
        turn_detection: { type: 'server_vad', threshold: 0, prefix_padding_ms: 0, silence_duration_ms: 200, idle_timeout_ms: null },
      }),
    ],
    [
      'null where null clears',
      { instructions: null, tools: null, tracing: null, prompt: null, include: null, reasoning: null, ...input({ turn_detection: null }) },
    ],
    [
      'a prompt, truncation, reasoning',
      {
        prompt: { id: 'p', variables: { a: 'b' } },
        truncation: { type: 'retention_ratio', retention_ratio: 0.8 },
        reasoning: { effort: 'low' },
      },
    ],
    ['a limit of tokens', { max_output_tokens: 4096 }],
  ])('may hold %s', (_, json) => {
    expect(checkSession({ type: 'realtime', ...json })).toHaveProperty('session');
  });

  it.each([
    [undefined, 'session', 'missing_required_parameter'],
    ['text', 'session', 'invalid_type'],
    [{}, 'session.type', 'missing_required_parameter'],
    [{ type: 'live' }, 'session.type', 'invalid_value'],
    [{ type: 'realtime', colour: 1 }, 'session.colour', 'unknown_parameter'],
    [{ type: 'realtime', instructions: 5 }, 'session.instructions', 'invalid_type'],
    [
      { type: 'realtime', ...input({ turn_detection: { type: 'server_vad', threshold: 1.1 } }) },
      'session.audio.input.turn_detection.threshold',
      'integer_above_max_value',
    ],
    [
      { type: 'realtime', ...input({ turn_detection: { type: 'server_vad', threshold: 'high' } }) },
      'session.audio.input.turn_detection.threshold',
      'invalid_type',
    ],
    [
      { type: 'realtime', ...input({ turn_detection: { threshold: 0.5 } }) },
      'session.audio.input.turn_detection.type',
      'missing_required_parameter',
    ],
    [
      { type: 'realtime', ...input({ turn_detection: { type: 'semantic_vad', threshold: 0.5 } }) },
      'session.audio.input.turn_detection.threshold',
      'unknown_parameter',
    ],
    [{ type: 'realtime', ...input({ format: { type: 'audio/pcm', rate: 16_000 } }) }, 'session.audio.input.format.rate', 'invalid_value'],
    [{ type: 'realtime', ...input({ format: 'pcm16' }) }, 'session.audio.input.format', 'invalid_type'],
    [{ type: 'realtime', audio: { output: { speed: 2 } } }, 'session.audio.output.speed', 'integer_above_max_value'],
    [{ type: 'realtime', audio: { output: { voice: '' } } }, 'session.audio.output.voice', 'string_below_min_length'],
    [{ type: 'realtime', output_modalities: ['video'] }, 'session.output_modalities[0]', 'invalid_value'],
    [{ type: 'realtime', tools: [{ type: 'function' }] }, 'session.tools[0].name', 'missing_required_parameter'],
    [{ type: 'realtime', tools: [{ type: 'function', name: 'a b' }] }, 'session.tools[0].name', 'invalid_value'],
    [
      { type: 'realtime', tools: [{ type: 'mcp', server_label: 'x', connector_id: 'connector_gmail' }] },
      'session.tools[0].connector_id',
      'unsupported_tool',
    ],
    [{ type: 'realtime', tools: [{ type: 'mcp', server_label: 'a b' }] }, 'session.tools[0].server_label', 'invalid_value'],
    [{ type: 'realtime', tools: [{ type: 'mcp', server_label: 'x', command: 'sh' }] }, 'session.tools[0].command', 'unknown_parameter'],
    [{ type: 'realtime', max_output_tokens: 0 }, 'session.max_output_tokens', 'integer_below_min_value'],
    [{ type: 'transcription', instructions: 'x' }, 'session.instructions', 'unknown_parameter'],
  ])('is refused: %j', (json, param, code) => {
    expect(checkSession(json)).toMatchObject({
      fault: { param, code, message: expect.stringContaining(code === 'unsupported_tool' ? 'not supported' : param) },
    });
  });

  it('is refused when it is as deep as a well', () => {
    let deep: unknown = {};
    for (let n = 0; n < 100_000; n++) deep = { deep };
    expect(checkSession(deep)).toMatchObject({ fault: { param: 'session' } });
  });

  it('is merged field by field', () => {
    const base = settings({
      instructions: 'a',
      tools: [{ name: 'f' }],
      ...input({ turn_detection: { type: 'server_vad', threshold: 0.7 }, transcription: { model: 'm' } }),
    });
    const merged = mergeSession(
      base,
      settings({ tools: [], ...input({ turn_detection: { type: 'server_vad', silence_duration_ms: 900 }, transcription: null }) }),
    );
    expect(merged).toEqual(
      settings({
        instructions: 'a',
        tools: [],
        ...input({ turn_detection: { type: 'server_vad', threshold: 0.7, silence_duration_ms: 900 }, transcription: null }),
      }),
    );
    const other = mergeSession(merged, settings(input({ turn_detection: { type: 'semantic_vad', eagerness: 'low' } })));
    expect(other.audio?.input?.turn_detection).toEqual({ type: 'semantic_vad', eagerness: 'low' });
  });

  it('is told whole', () => {
    expect(effectiveSession(settings({}), { id: 'sess_1', expiresAt: 5 })).toEqual({
      type: 'realtime',
      object: 'realtime.session',
      id: 'sess_1',
      expires_at: 5,
      model: 'ringdown',
      output_modalities: ['audio'],
      instructions: '',
      tools: [],
      tool_choice: 'auto',
      max_output_tokens: 'inf',
      tracing: null,
      truncation: 'auto',
      prompt: null,
      audio: {
        input: {
          format: { type: 'audio/pcm', rate: 24_000 },
          transcription: null,
          noise_reduction: null,
          turn_detection: {
            type: 'server_vad',
            threshold: 0.5,
            prefix_padding_ms: 300,
            silence_duration_ms: 500,
            idle_timeout_ms: null,
            create_response: true,
            interrupt_response: true,
          },
        },
        output: { format: { type: 'audio/pcm', rate: 24_000 }, voice: 'alloy', speed: 1 },
      },
      include: null,
    });
  });

  it('is told again as it was told: what is effective can be sent back', () => {
    const { id: _, object: __, expires_at: ___, ...told } = effectiveSession(settings({}), { id: 'sess_1', expiresAt: 5 });
    const again = checkSession(told);
    expect(again).toHaveProperty('session');
  });

  it('means the turns that our own agent takes when no program says otherwise', () => {
    expect(sessionConfigOf(LOCAL_SETTINGS).turns).toMatchObject({
      endOfTurn: { type: 'pause_adaptive', z: 1 },
      takesBack: true,
      respond: true,
      interrupt: true,
    });
    expect(sessionConfigOf(settings({})).turns).toMatchObject({ endOfTurn: { type: 'fixed', waitMs: 500 }, takesBack: false });
    expect(sessionConfigOf(settings(input({ turn_detection: null }))).turns).toBeNull();
  });
});

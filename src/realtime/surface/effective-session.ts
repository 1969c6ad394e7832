import { shownTool } from './mcp-schema.ts';
import type { AudioFormat, RealtimeSettings, SessionSettings, TranscriptionConfig, TurnDetection } from './session-schema.ts';

export interface SessionIdentity {
  /** `sess_…`, or the id of the call. */
  readonly id: string;
  /** Unix seconds. */
  readonly expiresAt: number;
}

/** What a session is called when nobody named a model. */
const DEFAULT_MODEL = 'ringdown';

/** Used when a session does not say otherwise, and told. */
const DEFAULT_FORMAT: AudioFormat = { type: 'audio/pcm', rate: 24_000 };
const DEFAULT_VOICE = 'alloy';
const DEFAULT_TURN_DETECTION: TurnDetection = { type: 'server_vad' };

/** A session that no program configured: turns are taken as our own agent takes them, by this caller's pauses. */
export const LOCAL_SETTINGS: SessionSettings = {
  type: 'realtime',
  audio: { input: { turn_detection: { type: 'semantic_vad' } } },
};

/** The whole session object with every default in it, as `session.created` and `session.updated` tell it. */
export function effectiveSession(settings: SessionSettings, identity: SessionIdentity): Record<string, unknown> {
  return settings.type === 'realtime' ? effectiveRealtime(settings, identity) : effectiveTranscription(settings, identity);
}

/** Turn detection as it is in force; null when it is off. */
export function turnDetectionOf(settings: SessionSettings): TurnDetection | null {
  const given = settings.audio?.input?.turn_detection;
  return given === undefined ? DEFAULT_TURN_DETECTION : given;
}

/** How audio of a session without a media leg is written; on media legs it is told and means nothing. */
export function formatOf(settings: SessionSettings, direction: 'input' | 'output'): AudioFormat {
  if (direction === 'input') return settings.audio?.input?.format ?? DEFAULT_FORMAT;
  return (settings.type === 'realtime' ? settings.audio?.output?.format : undefined) ?? DEFAULT_FORMAT;
}

function effectiveRealtime(settings: RealtimeSettings, { id, expiresAt }: SessionIdentity): Record<string, unknown> {
  const output = settings.audio?.output;
  return {
    type: 'realtime',
    object: 'realtime.session',
    id,
    expires_at: expiresAt,
    model: settings.model ?? DEFAULT_MODEL,
    output_modalities: settings.output_modalities ?? ['audio'],
    instructions: settings.instructions ?? '',
    tools: (settings.tools ?? []).map(shownTool),
    tool_choice: settings.tool_choice ?? 'auto',
    ...(settings.parallel_tool_calls === undefined ? {} : { parallel_tool_calls: settings.parallel_tool_calls }),
    max_output_tokens: settings.max_output_tokens ?? 'inf',
    tracing: settings.tracing ?? null,
    truncation: settings.truncation ?? 'auto',
    prompt: settings.prompt ?? null,
    ...(settings.reasoning ? { reasoning: settings.reasoning } : {}),
    audio: {
      input: effectiveInput(settings),
      output: { format: formatOf(settings, 'output'), voice: voiceName(output?.voice) ?? DEFAULT_VOICE, speed: output?.speed ?? 1 },
    },
    include: settings.include ?? null,
  };
}

function effectiveTranscription(settings: SessionSettings, { id, expiresAt }: SessionIdentity): Record<string, unknown> {
  return {
    type: 'transcription',
    object: 'realtime.transcription_session',
    id,
    expires_at: expiresAt,
    audio: { input: effectiveInput(settings) },
    include: settings.include ?? null,
  };
}

function effectiveInput(settings: SessionSettings): Record<string, unknown> {
  const input = settings.audio?.input;
  const transcription: TranscriptionConfig | null = input?.transcription ?? null;
  const reduction = input?.noise_reduction;
  return {
    format: formatOf(settings, 'input'),
    transcription,
    noise_reduction: reduction
      ? { type: reduction.type ?? 'near_field', ...(reduction.strength === undefined ? {} : { strength: reduction.strength }) }
      : null,
    turn_detection: effectiveTurnDetection(turnDetectionOf(settings), settings.type),
  };
}

function effectiveTurnDetection(detection: TurnDetection | null, type: SessionSettings['type']): TurnDetection | null {
  if (!detection) return null;
  const answers = type === 'realtime';
  const common = { create_response: detection.create_response ?? answers, interrupt_response: detection.interrupt_response ?? answers };
  if (detection.type === 'semantic_vad') return { type: 'semantic_vad', eagerness: detection.eagerness ?? 'auto', ...common };
  return {
    type: 'server_vad',
    threshold: detection.threshold ?? 0.5,
    prefix_padding_ms: detection.prefix_padding_ms ?? 300,
    silence_duration_ms: detection.silence_duration_ms ?? 500,
    idle_timeout_ms: detection.idle_timeout_ms ?? null,
    ...common,
  };
}

/** A voice is a name or a reference to one. */
export function voiceName(voice: string | { readonly id: string } | undefined): string | undefined {
  return typeof voice === 'object' ? voice.id : voice;
}

import { functionName } from '../mcp/tool-list.ts';
import type { FunctionTool, ModelConfig } from '../model.ts';
import type { SessionConfig } from '../session-config.ts';
import type { HostedTool } from '../tools/tool-source.ts';
import type { TurnPolicy } from '../turn-policy.ts';
import { turnDetectionOf, voiceName } from './effective-session.ts';
import type { RealtimeSettings, SessionSettings, TurnDetection } from './session-schema.ts';

/** How patient: our own pauses' rule, not an understanding of words (docs/turns.md). */
const PATIENCE = { low: 1.6, medium: 1, auto: 1, high: 0.7 } as const;

/** Threshold 0.5 is what our detector does by itself. Above it frames must be louder: -55 dBov at 0.5, -15 dBov at 1. */
const DEFAULT_THRESHOLD = 0.5;
const FLOOR_DB = -55;
const DB_A_THRESHOLD = 80;

/** Below it a shorter sound is a voice already. */
const EAGER_EVIDENCE_MS = 40;

/** What a session object means to the session. */
export function sessionConfigOf(settings: SessionSettings): SessionConfig {
  const detection = turnDetectionOf(settings);
  return {
    model: modelConfigOf(settings),
    turns: detection && turnPolicyOf(detection),
    transcribeOnly: settings.type === 'transcription',
    hosted: settings.type === 'realtime' ? hostedTools(settings) : [],
  };
}

/** For models that take turns. Idle prompts are ours in any case. */
function detectionFor(settings: SessionSettings): (ModelConfig['turnDetection'] & object) | null {
  const detection = turnDetectionOf(settings);
  if (!detection) return null;
  const answers = settings.type === 'realtime';
  const { create_response = answers, interrupt_response = answers, ...given } = detection;
  const { idle_timeout_ms: _, ...rest } = { idle_timeout_ms: undefined, ...given };
  return { ...rest, create_response, interrupt_response };
}

function modelConfigOf(settings: SessionSettings): ModelConfig {
  const input = settings.audio?.input;
  const common = {
    // Fields beyond the contract's go along: models of the reference's kind know them.
    transcription: (input?.transcription ?? null) as ModelConfig['transcription'],
    turnDetection: detectionFor(settings),
    ...(input?.noise_reduction ? { noiseReduction: input.noise_reduction.type ?? 'near_field' } : {}),
  } as const;
  if (settings.type === 'transcription') {
    return {
      ...common,
      outputModality: 'text',
      tools: [],
      toolChoice: 'none',
      maxOutputTokens: 'inf',
      extra: { include: settings.include ?? undefined },
    };
  }
  return { ...realtimeConfig(settings), ...common } as ModelConfig;
}

function realtimeConfig(settings: RealtimeSettings): Omit<ModelConfig, 'transcription'> {
  const output = settings.audio?.output;
  const voice = voiceName(output?.voice);
  const { truncation, prompt, tracing, include } = settings;
  return {
    ...(settings.model === undefined ? {} : { model: settings.model }),
    ...(settings.instructions ? { instructions: settings.instructions } : {}),
    outputModality: modalityOf(settings.output_modalities) ?? 'audio',
    ...(voice === undefined ? {} : { voice }),
    ...(output?.speed === undefined ? {} : { speed: output.speed }),
    tools: (settings.tools ?? []).filter(({ type }) => type === 'function') as readonly FunctionTool[],
    toolChoice: toolChoiceOf(settings.tool_choice ?? 'auto'),
    ...(settings.parallel_tool_calls === undefined ? {} : { parallelToolCalls: settings.parallel_tool_calls }),
    maxOutputTokens: settings.max_output_tokens ?? 'inf',
    ...(settings.reasoning?.effort ? { reasoningEffort: settings.reasoning.effort } : {}),
    extra: Object.fromEntries(
      Object.entries({ truncation, prompt, tracing, include }).filter(([, value]) => value !== undefined && value !== null),
    ),
  };
}

/** A server's tool by the name models have for it; any of a server's tools is any tool. */
export function toolChoiceOf(choice: NonNullable<RealtimeSettings['tool_choice']>): ModelConfig['toolChoice'] {
  if (typeof choice === 'string' || choice.type === 'function') return choice;
  const { server_label: label, name } = choice;
  return name === undefined || name === null ? 'required' : { type: 'function', name: functionName(label, name) };
}

/** Tools that the gateway runs. */
function hostedTools({ tools }: RealtimeSettings): readonly HostedTool[] {
  return (tools ?? []).filter(({ type }) => type !== 'function') as readonly HostedTool[];
}

/** Audio comes with its transcript; both together mean audio. */
export function modalityOf(modalities: readonly ('audio' | 'text')[] | undefined): 'audio' | 'text' | undefined {
  if (!modalities) return undefined;
  return modalities.includes('audio') ? 'audio' : 'text';
}

function turnPolicyOf(detection: TurnDetection): TurnPolicy {
  const common = { respond: detection.create_response ?? true, interrupt: detection.interrupt_response ?? true };
  if (detection.type === 'semantic_vad') {
    return { ...common, endOfTurn: { type: 'pause_adaptive', z: PATIENCE[detection.eagerness ?? 'auto'] }, takesBack: true };
  }
  const threshold = detection.threshold ?? DEFAULT_THRESHOLD;
  return {
    ...common,
    endOfTurn: { type: 'fixed', waitMs: detection.silence_duration_ms ?? 500 },
    prefixMs: detection.prefix_padding_ms ?? 300,
    ...(threshold > DEFAULT_THRESHOLD ? { quietestDb: FLOOR_DB + DB_A_THRESHOLD * (threshold - DEFAULT_THRESHOLD) } : {}),
    ...(threshold < DEFAULT_THRESHOLD ? { onsetEvidenceMs: EAGER_EVIDENCE_MS } : {}),
    takesBack: false,
    idleTimeoutMs: detection.idle_timeout_ms ?? undefined,
  };
}

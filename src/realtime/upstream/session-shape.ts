import type { FunctionTool, ModelConfig, ResponseRequest } from '../model.ts';
import { wireItem } from './item-shape.ts';
import type { UpstreamAudioFormat, UpstreamProfile } from './profile.ts';

/** What a session is told, by path (`audio.output.voice`), so that only what changed need be told again. */
export type SessionFields = ReadonlyMap<string, unknown>;

/** Fields of a session that are ours to say, whatever else a client may have put there. */
const OURS = new Set(['id', 'object', 'type', 'model', 'audio', 'turn_detection', 'client_secret', 'expires_at']);

/** What is said of a field that is not wanted any more; of the others the last word stands. */
const CLEARED_BY = new Map<string, unknown>([
  ['instructions', ''],
  ['audio.input.noise_reduction', null],
  ['input_audio_noise_reduction', null],
]);

/** How a server shall take turns, in its words; null: it detects none. */
export type TurnDetectionFields = Readonly<Record<string, unknown>> | null;

/** All that a server shall know of a session. */
export function sessionFields(config: ModelConfig, profile: UpstreamProfile, detection: TurnDetectionFields): SessionFields {
  return profile.dialect === 'beta' ? betaFields(config, profile, detection) : gaFields(config, profile, detection);
}

function gaFields(config: ModelConfig, profile: UpstreamProfile, detection: TurnDetectionFields): SessionFields {
  const fields = new Map<string, unknown>([...extraFields(config), ['type', 'realtime'], ['output_modalities', [config.outputModality]]]);
  fields.set('audio.input.format', gaFormat(profile.input));
  fields.set('audio.input.turn_detection', detection);
  if (config.noiseReduction !== undefined) fields.set('audio.input.noise_reduction', { type: config.noiseReduction });
  if (profile.supports.inputTranscription) fields.set('audio.input.transcription', config.transcription);
  fields.set('audio.output.format', gaFormat(profile.output));
  setDefined(fields, 'audio.output.voice', config.voice);
  setDefined(fields, 'audio.output.speed', config.speed);
  setShared(fields, config);
  fields.set('max_output_tokens', config.maxOutputTokens);
  setDefined(fields, 'reasoning', config.reasoningEffort === undefined ? undefined : { effort: config.reasoningEffort });
  return fields;
}

function betaFields(config: ModelConfig, profile: UpstreamProfile, detection: TurnDetectionFields): SessionFields {
  const fields = new Map<string, unknown>([['modalities', betaModalities(config.outputModality)]]);
  fields.set('input_audio_format', betaFormat(profile.input));
  fields.set('output_audio_format', betaFormat(profile.output));
  fields.set('turn_detection', detection);
  if (profile.supports.inputTranscription) fields.set('input_audio_transcription', config.transcription);
  if (config.noiseReduction !== undefined) fields.set('input_audio_noise_reduction', { type: config.noiseReduction });
  setDefined(fields, 'voice', config.voice);
  setDefined(fields, 'speed', config.speed);
  setShared(fields, config);
  fields.set('max_response_output_tokens', config.maxOutputTokens);
  return fields;
}

function setShared(fields: Map<string, unknown>, config: ModelConfig): void {
  setDefined(fields, 'instructions', config.instructions);
  fields.set('tools', config.tools.map(wireTool));
  fields.set('tool_choice', config.toolChoice);
  setDefined(fields, 'parallel_tool_calls', config.parallelToolCalls);
}

function extraFields({ extra }: ModelConfig): [string, unknown][] {
  return Object.entries(extra ?? {}).filter(([name, value]) => !OURS.has(name) && !name.includes('.') && value !== undefined);
}

function setDefined(fields: Map<string, unknown>, path: string, value: unknown): void {
  if (value !== undefined) fields.set(path, value);
}

function wireTool({ name, description, parameters }: FunctionTool): Record<string, unknown> {
  return {
    type: 'function',
    name,
    ...(description === undefined ? {} : { description }),
    ...(parameters === undefined ? {} : { parameters }),
  };
}

function gaFormat({ encoding, rateHz }: UpstreamAudioFormat): Record<string, unknown> {
  return encoding === 'pcm' ? { type: 'audio/pcm', rate: rateHz } : { type: `audio/${encoding}` };
}

function betaFormat({ encoding }: UpstreamAudioFormat): string {
  return { pcm: 'pcm16', pcmu: 'g711_ulaw', pcma: 'g711_alaw' }[encoding];
}

/** The preview says its words beside its audio, and has no audio alone. */
function betaModalities(modality: 'audio' | 'text'): string[] {
  return modality === 'audio' ? ['text', 'audio'] : ['text'];
}

/** What a server knows of its session, so that the next update holds only the difference. */
export class ToldSession {
  readonly #told = new Map<string, string>();

  /** The session object of the update that is due, or undefined when nothing changed. */
  update(fields: SessionFields, dialect: UpstreamProfile['dialect']): Record<string, unknown> | undefined {
    const changed: [string, unknown][] = [];
    for (const [path, value] of fields) {
      const text = JSON.stringify(value);
      if (this.#told.get(path) === text) continue;
      this.#told.set(path, text);
      changed.push([path, value]);
    }
    for (const path of [...this.#told.keys()]) {
      if (fields.has(path)) continue;
      this.#told.delete(path);
      if (CLEARED_BY.has(path)) changed.push([path, CLEARED_BY.get(path)]);
    }
    if (changed.length === 0) return undefined;
    return nested(dialect === 'ga' ? [['type', 'realtime'], ...changed] : changed);
  }
}

function nested(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [path, value] of entries) {
    const names = path.split('.');
    const last = names.pop() ?? path;
    let at = root;
    for (const name of names) {
      at[name] ??= {};
      at = at[name] as Record<string, unknown>;
    }
    // A client's own field may be called anything: `__proto__` shall be a field, too.
    Object.defineProperty(at, last, { value, enumerable: true, configurable: true, writable: true });
  }
  return root;
}

/** The `response` of a response.create. @param idOf the server's id of an item of ours */
export function wireResponse(
  request: ResponseRequest,
  profile: UpstreamProfile,
  idOf: (itemId: string) => string | undefined,
): Record<string, unknown> {
  const { config = {}, input, metadata } = request;
  const response: Record<string, unknown> = {};
  if (request.conversation === 'none') response['conversation'] = 'none';
  if (metadata !== undefined) response['metadata'] = metadata;
  if (config.instructions !== undefined) response['instructions'] = config.instructions;
  if (config.tools) response['tools'] = config.tools.map(wireTool);
  if (config.toolChoice !== undefined) response['tool_choice'] = config.toolChoice;
  if (config.parallelToolCalls !== undefined) response['parallel_tool_calls'] = config.parallelToolCalls;
  if (input) {
    response['input'] = input.map((item) =>
      item.type === 'item_reference' ? { type: item.type, id: idOf(item.id) ?? item.id } : wireItem(item, undefined, profile.dialect),
    );
  }
  return { ...response, ...(profile.dialect === 'beta' ? betaResponse(config) : gaResponse(config)) };
}

function gaResponse(config: Partial<ModelConfig>): Record<string, unknown> {
  return {
    ...(config.outputModality === undefined ? {} : { output_modalities: [config.outputModality] }),
    ...(config.maxOutputTokens === undefined ? {} : { max_output_tokens: config.maxOutputTokens }),
    ...(config.voice === undefined ? {} : { audio: { output: { voice: config.voice } } }),
    ...(config.reasoningEffort === undefined ? {} : { reasoning: { effort: config.reasoningEffort } }),
  };
}

function betaResponse(config: Partial<ModelConfig>): Record<string, unknown> {
  return {
    ...(config.outputModality === undefined ? {} : { modalities: betaModalities(config.outputModality) }),
    ...(config.maxOutputTokens === undefined ? {} : { max_response_output_tokens: config.maxOutputTokens }),
    ...(config.voice === undefined ? {} : { voice: config.voice }),
  };
}

import type { ModelConfig } from '../model.ts';
import { effectiveSession, voiceName } from './effective-session.ts';
import type { Fault } from './fault.ts';
import { mergeSession } from './merge-session.ts';
import type { SessionSettings } from './session-schema.ts';

/** What a secret says of these holds for everybody who has no more than the secret. */
const LOCKED = [
  'model',
  'instructions',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'prompt',
  'max_output_tokens',
  'reasoning',
] as const;

/** The same, as a response may ask for them. */
const LOCKED_CONFIG: Readonly<Record<string, keyof ModelConfig>> = {
  instructions: 'instructions',
  tools: 'tools',
  tool_choice: 'toolChoice',
  parallel_tool_calls: 'parallelToolCalls',
  prompt: 'extra',
  max_output_tokens: 'maxOutputTokens',
  reasoning: 'reasoningEffort',
};

/** The session object in force, and what updates may change of it. */
export class SessionUpdates {
  readonly #locked: readonly string[];
  #settings: SessionSettings;

  constructor(settings: SessionSettings, options: { readonly ephemeral: boolean }) {
    this.#settings = settings;
    this.#locked = options.ephemeral ? LOCKED.filter((key) => (settings as Readonly<Record<string, unknown>>)[key] !== undefined) : [];
  }

  get settings(): SessionSettings {
    return this.#settings;
  }

  replace(settings: SessionSettings): void {
    this.#settings = settings;
  }

  /** Merges an update. What is fixed stays as it is, and the effective session tells so; only a voice that was heard is refused. */
  merge(update: SessionSettings, by: { readonly ephemeral: boolean; readonly hasSpoken: boolean }): Fault | undefined {
    if (update.type !== this.#settings.type) {
      return {
        message: `The type of a session cannot be changed: this is '${this.#settings.type}'.`,
        code: 'invalid_value',
        param: 'session.type',
      };
    }
    const fixed = new Set<string>(by.ephemeral ? this.#locked : []);
    if ('model' in this.#settings && this.#settings.model !== undefined) fixed.add('model');
    const allowed = Object.fromEntries(Object.entries(update).filter(([key]) => !fixed.has(key))) as SessionSettings;
    const merged = mergeSession(this.#settings, allowed);
    if (by.hasSpoken && voiceOf(merged) !== voiceOf(this.#settings)) {
      return {
        message: "Cannot update a conversation's voice if assistant audio is present.",
        code: 'cannot_update_voice',
        param: 'session.audio.output.voice',
      };
    }
    this.#settings = merged;
    return undefined;
  }

  /** What of a response's own settings is left for those who have only the secret. */
  restrict(config: Partial<ModelConfig>): Partial<ModelConfig> {
    const fixed = new Set(this.#locked.map((key) => LOCKED_CONFIG[key]));
    return Object.fromEntries(Object.entries(config).filter(([key]) => !fixed.has(key as keyof ModelConfig)));
  }
}

function voiceOf(settings: SessionSettings): string | undefined {
  if (settings.type !== 'realtime') return undefined;
  const { audio } = effectiveSession(settings, { id: '', expiresAt: 0 }) as {
    audio: { output: { voice: string | { readonly id: string } } };
  };
  return voiceName(audio.output.voice);
}

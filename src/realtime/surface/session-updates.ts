import type { ModelConfig } from '../model.ts';
import type { CommandFault } from '../session-event.ts';
import type { HostedTool } from '../tools/tool-source.ts';
import { effectiveSession, voiceName } from './effective-session.ts';
import type { Fault } from './fault.ts';
import { bringsKeys, keepKeys, sameServer } from './mcp-schema.ts';
import { mergeSession } from './merge-session.ts';
import type { RealtimeSettings, SessionSettings } from './session-schema.ts';

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
  readonly #refuse: ((tool: HostedTool) => CommandFault | undefined) | undefined;
  #settings: SessionSettings;

  constructor(
    settings: SessionSettings,
    options: { readonly ephemeral: boolean; readonly refuseTool?: ((tool: HostedTool) => CommandFault | undefined) | undefined },
  ) {
    this.#settings = settings;
    this.#refuse = options.refuseTool;
    this.#locked = options.ephemeral ? LOCKED.filter((key) => (settings as Readonly<Record<string, unknown>>)[key] !== undefined) : [];
  }

  get settings(): SessionSettings {
    return this.#settings;
  }

  replace(settings: SessionSettings): void {
    this.#settings = settings;
  }

  /** Merges an update. What opens servers of tools is refused to those who have only the secret. What is fixed stays as it is, and the effective session tells so; only a voice that was heard is refused. */
  merge(update: SessionSettings, by: { readonly ephemeral: boolean; readonly hasSpoken: boolean }): Fault | undefined {
    if (update.type !== this.#settings.type) {
      return {
        message: `The type of a session cannot be changed: this is '${this.#settings.type}'.`,
        code: 'invalid_value',
        param: 'session.type',
      };
    }
    const refused = this.#refuseTools(update, by.ephemeral);
    if (refused) return refused;
    const fixed = new Set<string>(by.ephemeral ? this.#locked : []);
    if ('model' in this.#settings && this.#settings.model !== undefined) fixed.add('model');
    const allowed = Object.fromEntries(Object.entries(update).filter(([key]) => !fixed.has(key))) as SessionSettings;
    if (by.ephemeral && toolsOf(allowed).some(({ type }) => type === 'call')) {
      return { message: 'An ephemeral secret may not move calls.', code: 'forbidden', type: 'permission_error', param: 'session.tools' };
    }
    const merged = this.#withServers(mergeSession(this.#settings, allowed), by.ephemeral);
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

  /** Who has only the secret may not have us speak to other machines, but to those that the session was made with. */
  #refuseTools(update: SessionSettings, ephemeral: boolean): Fault | undefined {
    for (const [index, tool] of toolsOf(update).entries()) {
      if (tool.type !== 'mcp') continue;
      const param = `session.tools[${index}]`;
      if (ephemeral && (bringsKeys(tool) || !sameServer(tool, toolsOf(this.#settings)))) {
        return { message: 'A client secret cannot add tools of other machines.', code: 'forbidden', param, type: 'permission_error' };
      }
      const refusal = this.#refuse?.(tool as HostedTool);
      if (refusal) return { ...refusal, param };
    }
    return undefined;
  }

  /** Servers stay open that were, and for those who have only the secret they stay as they are. */
  #withServers(merged: SessionSettings, ephemeral: boolean): SessionSettings {
    if (merged.type !== 'realtime' || !merged.tools) return merged;
    const before = toolsOf(this.#settings);
    const tools = ephemeral ? merged.tools.map((tool) => sameServer(tool, before) ?? tool) : keepKeys(merged.tools, before);
    return { ...merged, tools };
  }

  /** What of a response's own settings is left for those who have only the secret. */
  restrict(config: Partial<ModelConfig>): Partial<ModelConfig> {
    const fixed = new Set(this.#locked.map((key) => LOCKED_CONFIG[key]));
    return Object.fromEntries(Object.entries(config).filter(([key]) => !fixed.has(key as keyof ModelConfig)));
  }
}

function toolsOf(settings: SessionSettings): readonly NonNullable<RealtimeSettings['tools']>[number][] {
  return (settings.type === 'realtime' ? settings.tools : undefined) ?? [];
}

function voiceOf(settings: SessionSettings): string | undefined {
  if (settings.type !== 'realtime') return undefined;
  const { audio } = effectiveSession(settings, { id: '', expiresAt: 0 }) as {
    audio: { output: { voice: string | { readonly id: string } } };
  };
  return voiceName(audio.output.voice);
}

import type { ModelConfig } from './model.ts';
import type { HostedTool } from './tools/tool-source.ts';
import type { TurnPolicy } from './turn-policy.ts';

/** How a conversation shall be: what the model is told, and how turns are taken. Always whole. */
export interface SessionConfig {
  readonly model: ModelConfig;
  /** null: nobody listens for turns; they are committed by hand. */
  readonly turns: TurnPolicy | null;
  /** Only written down: no response is ever made. */
  readonly transcribeOnly?: boolean;
  /** Tools that the gateway runs, beside those of its configuration. */
  readonly hosted?: readonly HostedTool[];
}

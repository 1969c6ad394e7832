import { z } from 'zod';
import { isOpen, LEAST_MODEL_KEY, text, urlOf } from './model-fields.ts';
import { type PipelineModelConfig, pipeline, pipelineOf, shownPipeline } from './pipeline.ts';
import { maskedSecret, type SecretValue, secret } from './secrets.ts';

/** The `model:` section: who talks to callers. */

const MODEL_PROFILES = ['openai', 'azure', 'generic', 'generic-beta'] as const;
export type ModelProfile = (typeof MODEL_PROFILES)[number];

const OPENAI_URL = 'wss://api.openai.com/v1/realtime';
/** https and http are taken for wss and ws. */
const SCHEMES = ['wss:', 'ws:', 'https:', 'http:'];

const url = urlOf(SCHEMES, 'a wss:, ws:, https: or http: URL');

const realtime = z.strictObject({
  type: z.literal('realtime'),
  profile: z.enum(MODEL_PROFILES, { error: MODEL_PROFILES.join(', ') }).default('openai'),
  url: url.optional(),
  /** What the vendor calls it; for Azure the deployment. Servers with one model need no name. */
  model: text(256).optional(),
  key: secret(LEAST_MODEL_KEY).optional(),
  /** Certificates to trust beside the system's. */
  ca: text(4096).optional(),
  voice: text(256).optional(),
  instructions: text(100_000).optional(),
  /** true: the model speaks first; a text: by these instructions. */
  greet: z.union([z.boolean(), text(10_000)], { error: 'true, false or instructions for the first words' }).default(true),
  /** The vendor ends a session after so long; ours goes on in a new one. The profile's own when left out. */
  /** Who takes turns: the gateway, or the server, which then hears the caller all the time. */
  turns: z.enum(['gateway', 'upstream'], { error: 'gateway or upstream' }).default('gateway'),
  /** What a server that takes turns hears while the agent speaks. */
  'uplink-while-speaking': z.enum(['auto', 'gated', 'through', 'duck'], { error: 'auto, gated, through or duck' }).optional(),
  'cap-minutes': z.number({ error: 'minutes, 1 to 1440' }).min(1, 'minutes, 1 to 1440').max(1440, 'minutes, 1 to 1440').optional(),
});

const embedded = z.strictObject({ type: z.literal('embedded') });

export const model = z
  .discriminatedUnion('type', [embedded, realtime, pipeline], {
    error: (issue) => (issue.code === 'invalid_union' ? 'type is embedded, realtime or pipeline' : 'must be a map with type'),
  })
  .superRefine((value, context) => {
    if (value.type !== 'realtime') return;
    const { profile, url: given, key, model: name } = value;
    if (value['uplink-while-speaking'] !== undefined && value.turns !== 'upstream') {
      const message = 'only where the server takes turns (turns: upstream): else it hears nothing but turns';
      context.addIssue({ code: 'custom', path: ['uplink-while-speaking'], message });
    }
    const isVendor = profile === 'openai' || profile === 'azure';
    if (given === undefined && profile !== 'openai')
      context.addIssue({ code: 'custom', path: ['url'], message: `profile ${profile} needs one` });
    for (const [path, at] of [
      ['key', key],
      ['model', name],
    ] as const) {
      if (isVendor && at === undefined) context.addIssue({ code: 'custom', path: [path], message: `profile ${profile} needs one` });
    }
    if (key !== undefined && given !== undefined && isOpen(given)) {
      context.addIssue({ code: 'custom', path: ['url'], message: 'a key does not go to another machine unencrypted: use wss: or https:' });
    }
  });

export type ModelValues = z.output<typeof model>;

/** A Realtime-compatible server as the code uses it. */
export interface RealtimeModelConfig {
  readonly type: 'realtime';
  readonly profile: ModelProfile;
  readonly url: string;
  readonly model?: string;
  readonly key?: string;
  /** A PEM file. */
  readonly caFile?: string;
  readonly voice?: string;
  readonly instructions?: string;
  readonly greet: boolean | string;
  readonly capMinutes?: number;
  readonly turns: 'gateway' | 'upstream';
  readonly uplinkWhileSpeaking?: 'auto' | 'gated' | 'through' | 'duck';
}

export type ModelConfig = { readonly type: 'embedded' } | RealtimeModelConfig | PipelineModelConfig;

/** @param fetch gets a secret from where it is */
export function modelOf(values: ModelValues, fetch: (value: SecretValue, path: readonly PropertyKey[]) => string): ModelConfig {
  if (values.type === 'embedded') return values;
  if (values.type === 'pipeline') return pipelineOf(values, fetch);
  const { type, profile, url: given = OPENAI_URL, model: name, ca, voice, instructions, greet, 'cap-minutes': capMinutes, turns } = values;
  const uplinkWhileSpeaking = values['uplink-while-speaking'];
  return {
    type,
    profile,
    url: given,
    ...(name === undefined ? {} : { model: name }),
    ...(values.key === undefined ? {} : { key: fetch(values.key, ['key']) }),
    ...(ca === undefined ? {} : { caFile: ca }),
    ...(voice === undefined ? {} : { voice }),
    ...(instructions === undefined ? {} : { instructions }),
    greet,
    ...(capMinutes === undefined ? {} : { capMinutes }),
    turns,
    ...(uplinkWhileSpeaking === undefined ? {} : { uplinkWhileSpeaking }),
  };
}

export function shownModel(values: ModelValues): unknown {
  if (values.type === 'pipeline') return shownPipeline(values);
  return values.type === 'embedded' || values.key === undefined ? values : { ...values, key: maskedSecret(values.key) };
}

import { z } from 'zod';
import { isOpen, LEAST_MODEL_KEY, text, urlOf, within } from './model-fields.ts';
import { maskedSecret, type SecretValue, secret } from './secrets.ts';

/** `model: {type: pipeline}`: services in a row that talk to callers. */

const STAGES = ['transcription', 'chat', 'speech'] as const;
type Stage = (typeof STAGES)[number];

/** What we say in a request ourselves. */
const OURS = new Set(['model', 'messages', 'stream', 'input', 'file', 'response_format', 'tools']);

const extra = z
  .record(text(64), z.unknown(), { error: 'must be a map' })
  .refine((value) => Object.keys(value).length <= 32, 'more than 32 fields')
  .superRefine((value, context) => {
    for (const name of Object.keys(value))
      if (OURS.has(name)) context.addIssue({ code: 'custom', path: [name], message: 'is ours to say' });
  });

const service = {
  url: urlOf(['https:', 'http:'], 'an https: or http: URL'),
  model: text(256),
  key: secret(LEAST_MODEL_KEY).optional(),
  /** Seconds for the first word. */
  timeout: within(0.1, 60, 'seconds').optional(),
  extra: extra.optional(),
};

const guarded = <Shape extends z.ZodRawShape & typeof service>(shape: Shape) =>
  z.strictObject(shape).superRefine((value, context) => {
    const { url, key } = value as { readonly url: string; readonly key?: SecretValue };
    if (key === undefined || !isOpen(url)) return;
    context.addIssue({ code: 'custom', path: ['url'], message: 'a key does not go to another machine unencrypted: use https:' });
  });

export const pipeline = z.strictObject({
  type: z.literal('pipeline'),
  transcription: guarded({
    ...service,
    language: z
      .string()
      .regex(/^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?$/, 'a language like en')
      .optional(),
    prompt: text(4000).optional(),
    stream: z.boolean({ error: 'true or false' }).default(true),
  }),
  chat: guarded(service),
  speech: guarded({
    ...service,
    voice: text(256),
    speed: within(0.25, 4, 'times').optional(),
    format: z.enum(['pcm', 'wav'], { error: 'pcm or wav' }).default('pcm'),
    /** Of pcm. */
    rate: z
      .number({ error: 'Hz, 8000 to 48000' })
      .int('Hz, 8000 to 48000')
      .min(8000, 'Hz, 8000 to 48000')
      .max(48_000, 'Hz, 8000 to 48000')
      .multipleOf(25, 'a rate that voices have')
      .default(24_000),
  }),
  instructions: text(100_000).optional(),
  greeting: text(2000).optional(),
  fallback: text(500).optional(),
  patience: text(500).optional(),
  'patience-ms': within(0, 60_000, 'milliseconds').default(1500),
});

export type PipelineValues = z.output<typeof pipeline>;

/** One service as the code uses it. */
interface ServiceConfig {
  readonly url: string;
  readonly model: string;
  readonly key?: string;
  readonly timeoutMs?: number;
  readonly extra?: Readonly<Record<string, unknown>>;
}

export interface PipelineModelConfig {
  readonly type: 'pipeline';
  readonly transcription: ServiceConfig & { readonly language?: string; readonly prompt?: string; readonly stream: boolean };
  readonly chat: ServiceConfig;
  readonly speech: ServiceConfig & {
    readonly voice: string;
    readonly speed?: number;
    readonly format: 'pcm' | 'wav';
    readonly rateHz: number;
  };
  readonly instructions?: string;
  readonly greeting?: string;
  readonly fallback?: string;
  readonly patience?: string;
  readonly patienceMs: number;
}

/** @param fetch gets a secret from where it is */
export function pipelineOf(
  values: PipelineValues,
  fetch: (value: SecretValue, path: readonly PropertyKey[]) => string,
): PipelineModelConfig {
  const common = (stage: Stage): ServiceConfig => {
    const { url, model, key, timeout, extra: more } = values[stage];
    return {
      url,
      model,
      ...(key === undefined ? {} : { key: fetch(key, [stage, 'key']) }),
      ...(timeout === undefined ? {} : { timeoutMs: timeout * 1000 }),
      ...(more === undefined ? {} : { extra: more }),
    };
  };
  const { language, prompt, stream } = values.transcription;
  const { voice, speed, format, rate } = values.speech;
  const { type, instructions, greeting, fallback, patience, 'patience-ms': patienceMs } = values;
  return {
    type,
    transcription: {
      ...common('transcription'),
      ...(language === undefined ? {} : { language }),
      ...(prompt === undefined ? {} : { prompt }),
      stream,
    },
    chat: common('chat'),
    speech: { ...common('speech'), voice, ...(speed === undefined ? {} : { speed }), format, rateHz: rate },
    ...(instructions === undefined ? {} : { instructions }),
    ...(greeting === undefined ? {} : { greeting }),
    ...(fallback === undefined ? {} : { fallback }),
    ...(patience === undefined ? {} : { patience }),
    patienceMs,
  };
}

export function shownPipeline(values: PipelineValues): unknown {
  const masked = STAGES.map((stage) => {
    const { key } = values[stage];
    return [stage, key === undefined ? values[stage] : { ...values[stage], key: maskedSecret(key) }];
  });
  return { ...values, ...Object.fromEntries(masked) };
}

import { z } from 'zod';
import { text, within } from './model-fields.ts';
import { LEAST_WEBHOOK_SECRET, signedUrl } from './routes.ts';
import { maskedSecret, type SecretValue } from './secrets.ts';

/** The `tools:` section: what the model may do by itself, and what is heard meanwhile. Whom and what it may reach stands here, and not with the model. */

const KEYS = '0123456789*#';

const filler = z.strictObject({
  sound: z.enum(['none', 'tone', 'typing', 'phrase'], { error: 'none, tone, typing or phrase' }),
  'after-ms': within(0, 10_000, 'milliseconds').default(600),
  text: text(500).optional(),
});

const target = z.strictObject({
  uri: text(256).regex(/^(?:sip|tel):[!#-;=?-~]{1,250}$/, 'a sip: or tel: URI'),
  description: text(500).optional(),
});

const transfer = z.strictObject({
  targets: z
    .record(z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'letters, digits, _ and -'), target, { error: 'a map of names' })
    .refine((all) => Object.keys(all).length <= 32, 'more than 32 targets'),
});

const keys = z.strictObject({
  allow: text(16)
    .regex(/^[0-9A-D*#]+$/, 'keys: 0 to 9, A to D, * and #')
    .default(KEYS),
  most: within(1, 64, 'keys').int('a whole number').default(32),
});

/** `true`: with its defaults. */
const orTrue = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === true ? {} : value === false ? undefined : value), schema.optional());

export const tools = z.strictObject({
  transfer: transfer.optional(),
  'hang-up': z.boolean({ error: 'true or false' }).default(false),
  'send-dtmf': orTrue(keys),
  'hold-music': orTrue(z.strictObject({ minutes: within(1, 60, 'minutes').default(10) })),
  'collect-digits': orTrue(
    z.strictObject({
      secure: z.boolean({ error: 'true or false' }).default(false),
      most: within(1, 64, 'keys').int('a whole number').default(32),
      webhook: signedUrl.optional(),
    }),
  ),
  filler: filler.optional(),
  music: text(4096).optional(),
});

export type ToolsValues = z.output<typeof tools>;

/** The same as the code uses it. */
export interface ToolsConfig {
  readonly transfer?: {
    readonly targets: readonly { readonly name: string; readonly uri: string; readonly description?: string | undefined }[];
  };
  readonly hangUp: boolean;
  readonly sendDtmf?: { readonly allow: string; readonly most: number };
  readonly holdMusic?: { readonly mostMs: number };
  readonly collectDigits?: {
    readonly secure: boolean;
    readonly most: number;
    readonly webhook?: { readonly url: string; readonly secrets: readonly string[] };
  };
  readonly filler?: { readonly sound: 'none' | 'tone' | 'typing' | 'phrase'; readonly afterMs: number; readonly text?: string };
  /** File of what those hear who wait; the shipped music when absent. */
  readonly music?: string;
}

export function toolsOf(
  values: ToolsValues,
  secret: (value: SecretValue, path: readonly PropertyKey[], least: number) => string,
): ToolsConfig {
  const {
    transfer: to,
    'hang-up': hangUp,
    'send-dtmf': send,
    'hold-music': hold,
    'collect-digits': collect,
    filler: heard,
    music,
  } = values;
  return {
    ...(to ? { transfer: { targets: Object.entries(to.targets).map(([name, each]) => ({ name, ...each })) } } : {}),
    hangUp,
    ...(send ? { sendDtmf: send } : {}),
    ...(hold ? { holdMusic: { mostMs: hold.minutes * 60_000 } } : {}),
    ...(collect ? { collectDigits: collectOf(collect, secret) } : {}),
    ...(music === undefined ? {} : { music }),
    ...(heard
      ? { filler: { sound: heard.sound, afterMs: heard['after-ms'], ...(heard.text === undefined ? {} : { text: heard.text }) } }
      : {}),
  };
}

/** As --print-config shows it. */
export function shownTools({ 'collect-digits': collect, ...values }: ToolsValues): unknown {
  const webhook = collect?.webhook && { ...collect.webhook, secrets: collect.webhook.secrets.map(maskedSecret) };
  const shown = { ...values, 'collect-digits': collect && { ...collect, ...(webhook && { webhook }) } };
  return Object.fromEntries(Object.entries(shown).filter(([, value]) => value !== undefined));
}

function collectOf(
  { webhook, ...collect }: NonNullable<ToolsValues['collect-digits']>,
  secret: (value: SecretValue, path: readonly PropertyKey[], least: number) => string,
): NonNullable<ToolsConfig['collectDigits']> {
  if (!webhook) return collect;
  const secrets = webhook.secrets.map((each, at) => secret(each, ['collect-digits', 'webhook', 'secrets', at], LEAST_WEBHOOK_SECRET));
  return { ...collect, webhook: { url: webhook.url, secrets } };
}

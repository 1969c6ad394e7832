import { z } from 'zod';
import { projectName } from './projects.ts';
import { maskedSecret, secret } from './secrets.ts';
import { whole } from './whole-number.ts';

/** The `routes:` section: what becomes of a phone call that comes in. The first route that fits is taken. */

/** `whsec_` and base64 of at least 16 bytes; a plain text is taken as it is. */
export const LEAST_WEBHOOK_SECRET = 16;
/** An old one and a new one, while receivers change over. */
const MOST_SECRETS = 4;
const MOST_ROUTES = 1000;
/** A caller hears ringing for so long at the most; networks give up after three minutes. */
const LONGEST_DECISION_S = 180;

/** A number or name that was dialled: whole, or with `*` for any characters and `?` for one. */
const pattern = z
  .string({ error: 'must be text: put it in quotes, YAML takes +1555 for the number 1555' })
  .regex(/^[A-Za-z0-9+*?#_.!~%-]{1,64}$/, 'a number or a name, with * for any characters and ? for one');

/** A session object of the API; the gateway checks it when it starts. */
const session = z.record(z.string(), z.unknown(), { error: 'must be a session object of the API: {} has every default' });

const url = z.string({ error: 'must be text' }).superRefine((value, context) => {
  const parsed = URL.canParse(value) ? new URL(value) : undefined;
  if (!parsed || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')) {
    context.addIssue({ code: 'custom', message: 'an https: or http: URL' });
  } else if (parsed.username !== '' || parsed.password !== '') {
    context.addIssue({ code: 'custom', message: 'credentials do not belong in a URL: the signature says who calls' });
  }
});

/** A program that is told something, and can tell that we say it. */
export const signedUrl = z.strictObject({
  url,
  secrets: z
    .array(secret(LEAST_WEBHOOK_SECRET), { error: 'a list of secrets' })
    .min(1, 'needs a secret: without a signature anybody could send it')
    .max(MOST_SECRETS),
});

const webhook = signedUrl.extend({
  within: whole(1, LONGEST_DECISION_S).default(5),
  otherwise: z
    .union([z.strictObject({ answer: session }), z.strictObject({ reject: whole(300, 699) })], {
      error: 'answer: SESSION, or reject: STATUS from 300 to 699',
    })
    .default({ reject: 480 }),
});

/** What stands in a header, with * for any characters and ? for one. */
const header = z.strictObject({
  name: z.string({ error: 'must be text' }).regex(/^[A-Za-z0-9-]{1,64}$/, 'the name of a header field'),
  value: z.string({ error: 'must be text: put it in quotes' }).regex(/^[\x20-\x7e]{1,128}$/, 'visible ASCII, 128 at the most'),
});

const WEEK = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;

const time = z.string({ error: 'must be text: put it in quotes, YAML takes 9:30 for a number' }).transform((text, context): number => {
  const [, hour, minute] = /^(\d{2}):(\d{2})$/.exec(text) ?? [];
  const minutes = Number(hour) * 60 + Number(minute);
  if (Number(minute) < 60 && minutes <= 1440) return minutes;
  context.addIssue({ code: 'custom', message: 'a time like "09:30", up to "24:00"' });
  return z.NEVER;
});

/** Minutes ahead of UTC. An offset and no name of a zone: what a name means changes with the machine's files. */
const offset = z.string({ error: 'must be text: put it in quotes' }).transform((text, context): number => {
  const [, sign, hour, minute] = /^([+-])(\d{2}):(\d{2})$/.exec(text) ?? [];
  const minutes = Number(hour) * 60 + Number(minute);
  if (minutes <= 14 * 60 && Number(minute) < 60) return sign === '-' ? -minutes : minutes;
  context.addIssue({ code: 'custom', message: 'an offset like "+01:00"' });
  return z.NEVER;
});

const hours = z.strictObject({
  days: z
    .array(z.enum(WEEK, { error: WEEK.join(', ') }), { error: 'a list of days' })
    .min(1, 'at least one day')
    .optional(),
  from: time.default(0),
  until: time.default(1440),
  offset: offset.default(0),
});

const route = z
  .strictObject(
    {
      number: pattern.optional(),
      trunk: z.string({ error: 'must be text' }).optional(),
      user: pattern.optional(),
      caller: pattern.optional(),
      header: header.optional(),
      hours: hours.optional(),
      project: projectName.optional(),
      answer: session.optional(),
      webhook: webhook.optional(),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map with answer or webhook' : undefined) },
  )
  .refine(({ answer, webhook }) => (answer === undefined) !== (webhook === undefined), 'has either answer or webhook');

export const routes = z.array(route, { error: 'must be a list of routes' }).max(MOST_ROUTES);

export type RouteValues = z.output<typeof route>;

/** A program that decides about calls. */
export interface WebhookConfig {
  readonly url: string;
  /** Each signs: receivers change over from one to the next. */
  readonly secrets: readonly string[];
  readonly withinMs: number;
  readonly otherwise:
    | { readonly type: 'answer'; readonly session: Readonly<Record<string, unknown>> }
    | { readonly type: 'reject'; readonly status: number };
}

/** A route as the code uses it. */
export interface RouteConfig {
  /** Any number when absent. */
  readonly number?: string;
  /** By any trunk, or none, when absent. */
  readonly trunk?: string;
  /** Calls of these users. */
  readonly user?: string;
  readonly caller?: string;
  readonly header?: { readonly name: string; readonly value: string };
  /** When it comes; at any time when absent. */
  readonly hours?: {
    /** 0 is Sunday. */
    readonly days?: readonly number[];
    /** Minutes since midnight. */
    readonly from: number;
    readonly until: number;
    /** Minutes ahead of UTC. */
    readonly offset: number;
  };
  /** The default project when absent. */
  readonly project?: string;
  readonly action:
    | { readonly type: 'answer'; readonly session: Readonly<Record<string, unknown>> }
    | { readonly type: 'webhook'; readonly webhook: WebhookConfig };
  /** Where it stands, for a fault that is found later: `ringdown.yaml:12`. */
  readonly source: string;
}

/** @param secrets of its webhook, fetched */
export function routeOf(values: RouteValues, secrets: readonly string[], source: string): RouteConfig {
  const { number, trunk, user, caller, header, hours, project, answer, webhook } = values;
  return {
    ...(number === undefined ? {} : { number }),
    ...(trunk === undefined ? {} : { trunk }),
    ...(user === undefined ? {} : { user }),
    ...(caller === undefined ? {} : { caller }),
    ...(header === undefined ? {} : { header }),
    ...(hours === undefined ? {} : { hours: hoursOf(hours) }),
    ...(project === undefined ? {} : { project }),
    action: webhook ? { type: 'webhook', webhook: webhookOf(webhook, secrets) } : { type: 'answer', session: answer ?? {} },
    source,
  };
}

function hoursOf({ days, ...window }: z.output<typeof hours>): NonNullable<RouteConfig['hours']> {
  return { ...window, ...(days === undefined ? {} : { days: days.map((day) => WEEK.indexOf(day)) }) };
}

function webhookOf({ url, within, otherwise }: z.output<typeof webhook>, secrets: readonly string[]): WebhookConfig {
  return {
    url,
    secrets,
    withinMs: within * 1000,
    otherwise: 'answer' in otherwise ? { type: 'answer', session: otherwise.answer } : { type: 'reject', status: otherwise.reject },
  };
}

export function shownRoutes(all: readonly RouteValues[]): unknown[] {
  return all.map(({ webhook, hours, ...rest }) => ({
    ...rest,
    ...(hours && { hours: { ...hours, from: timeText(hours.from), until: timeText(hours.until), offset: offsetText(hours.offset) } }),
    ...(webhook && { webhook: { ...webhook, secrets: webhook.secrets.map(maskedSecret) } }),
  }));
}

function timeText(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}

function offsetText(minutes: number): string {
  return `${minutes < 0 ? '-' : '+'}${timeText(Math.abs(minutes))}`;
}

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type PhoneMediaConfig, phoneMediaFields, someMediaOf } from './phone-media.ts';
import { maskedSecret, type SecretValue, secret } from './secrets.ts';
import { destination } from './trunks.ts';
import { whole } from './whole-number.ts';

/** The `users:` section: softphones that register here, and what each of them may call. Stands in the file only. */

/** What a person types into a phone; the brake on guesses does the rest. */
const LEAST_USER_PASSWORD = 8;
/** Each may have as many phones as it likes to carry; the look-up of a call goes through all of them. */
const MOST_CONTACTS = 20;
const MOST_USERS = 1000;

const name = z
  .union([z.number().transform(String), z.string()], { error: 'must be text' })
  .pipe(z.string().regex(/^[A-Za-z0-9_.!~*+-]{1,64}$/, 'letters, digits and _ . ! ~ * + -, 64 at the most'));

/** RFC 7616 §3.4.2: H(name:realm:password), for lists that hold no passwords. */
const ha1 = z.strictObject({ 'sha-256': secret(64).optional(), md5: secret(32).optional() }, { error: 'a map with sha-256, md5 or both' });

const byTrunk = z.strictObject({
  trunk: z.string({ error: 'must be text' }),
  destinations: z.array(destination, { error: 'a list of destinations' }).min(1, 'needs a destination').max(1000),
});

const permission = z.union([z.enum(['agent', 'users']), byTrunk], { error: 'agent, users, or a map with trunk and destinations' });

const callerId = z
  .string({ error: 'must be text: put it in quotes, YAML takes +1555 for the number 1555' })
  .regex(/^\+?[A-Za-z0-9_.!~*-]{1,64}$/, 'a number or a name');

const user = z
  .strictObject(
    {
      name,
      password: secret(LEAST_USER_PASSWORD).optional(),
      ha1: ha1.optional(),
      'caller-id': callerId.optional(),
      calls: z
        .array(permission, { error: 'a list of agent, users, and maps with trunk and destinations' })
        .max(100)
        .default(['agent', 'users']),
      'max-contacts': whole(1, MOST_CONTACTS).default(5),
      ...phoneMediaFields,
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map with name and password' : undefined) },
  )
  .refine(
    ({ password, ha1 }) => (password === undefined) !== (ha1 === undefined || Object.keys(ha1).length === 0),
    'has either password or ha1',
  );

export const users = z
  .array(user, { error: 'must be a list of users' })
  .max(MOST_USERS)
  .superRefine((all, context) => {
    const seen = new Set<string>();
    for (const [index, { name }] of all.entries()) {
      if (seen.has(name)) context.addIssue({ code: 'custom', path: [index, 'name'], message: 'another user has this name' });
      seen.add(name);
    }
  });

export type UserValues = z.output<typeof user>;

/** What a user may call. */
export type UserPermission =
  | { readonly type: 'agent' }
  | { readonly type: 'users' }
  | { readonly type: 'trunk'; readonly trunk: string; readonly destinations: readonly string[] };

/** A user as the code uses it: of its password the digests are kept. */
export interface UserConfig {
  readonly name: string;
  /** RFC 7616 §3.4.2, by algorithm. */
  readonly ha1: { readonly 'SHA-256'?: string; readonly MD5?: string };
  readonly callerId?: string;
  readonly calls: readonly UserPermission[];
  readonly maxContacts: number;
  /** What it says of the media of its calls. */
  readonly media?: PhoneMediaConfig;
  /** Where it stands: `ringdown.yaml:12`. */
  readonly source: string;
}

/** How a secret of a user is fetched, and what is told when it is none. */
export interface UserSecrets {
  secret(value: SecretValue, path: readonly PropertyKey[], least: number): string;
  fault(path: readonly PropertyKey[], message: string): void;
}

/** @param realm that the digests are for */
export function userOf(values: UserValues, realm: string, secrets: UserSecrets, source: string): UserConfig {
  const { name, calls, 'caller-id': callerId, 'max-contacts': maxContacts } = values;
  const media = someMediaOf(values);
  return {
    name,
    ha1: digestsOf(values, realm, secrets),
    ...(callerId === undefined ? {} : { callerId }),
    calls: calls.map((each) => (typeof each === 'string' ? { type: each } : { type: 'trunk', ...each })),
    maxContacts,
    ...(media && { media }),
    source,
  };
}

const HASHES = { 'sha-256': { algorithm: 'SHA-256', digits: 64 }, md5: { algorithm: 'MD5', digits: 32 } } as const;

function digestsOf({ name, password, ha1 }: UserValues, realm: string, secrets: UserSecrets): UserConfig['ha1'] {
  if (password !== undefined) {
    const text = `${name}:${realm}:${secrets.secret(password, ['password'], LEAST_USER_PASSWORD)}`;
    const of = (hash: string): string => createHash(hash).update(text).digest('hex');
    return { 'SHA-256': of('sha256'), MD5: of('md5') };
  }
  const found: { 'SHA-256'?: string; MD5?: string } = {};
  for (const key of ['sha-256', 'md5'] as const) {
    const value = ha1?.[key];
    if (value === undefined) continue;
    const { algorithm, digits } = HASHES[key];
    const text = secrets.secret(value, ['ha1', key], digits).toLowerCase();
    if (text === '' || (text.length === digits && /^[0-9a-f]+$/.test(text))) found[algorithm] = text;
    else secrets.fault(['ha1', key], `must be ${digits} hexadecimal digits`);
  }
  return found;
}

export function shownUsers(all: readonly UserValues[]): unknown[] {
  return all.map(({ password, ha1, ...rest }) => ({
    ...rest,
    ...(password === undefined ? {} : { password: maskedSecret(password) }),
    ...(ha1 === undefined ? {} : { ha1: Object.fromEntries(Object.entries(ha1).map(([key, value]) => [key, maskedSecret(value)])) }),
  }));
}

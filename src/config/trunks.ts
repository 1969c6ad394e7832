import { isIP } from 'node:net';
import { z } from 'zod';
import { listedNetwork } from './listed-network.ts';
import { type NumberRules, numbers, numbersOf } from './number-rules.ts';
import { type PhoneMediaConfig, phoneMediaFields, someMediaOf } from './phone-media.ts';
import { type RegisterConfig, register, registerOf } from './register.ts';
import { MASKED, type SecretValue, secret } from './secrets.ts';
import { trunkStir } from './stir.ts';
import { type LookUp, peer, peerFaults, peerOf, type TrunkTls, type TrunkTransport, transport, trunkTls } from './trunk-peer.ts';
import { whole } from './whole-number.ts';

/** The `trunks:` section: neighbours that calls go to and come from. Stands in the file only: a list with passwords has no place on a command line. */

const text = (max: number) =>
  z
    .string({ error: 'must be text' })
    .min(1, 'must not be empty')
    .max(max, `longer than ${max} characters`)
    .regex(/^\P{Cc}*$/u, 'holds control characters'); // a line break would end a header

/** YAML makes numbers of user names like 1001. */
const textOrNumber = (max: number) => z.union([z.number().transform(String), text(max)], { error: 'must be text' });

const name = text(32).regex(/^[a-z0-9][a-z0-9-]*$/, 'lower-case letters, digits and hyphens');

const DESTINATION =
  /^(?:\+?[0-9*#]{1,32}|[A-Za-z0-9_.!~+#-]{1,64}\*?|sip:(?:\*|[A-Za-z0-9_.!~+%#-]{1,64})@(?:[0-9A-Fa-f.:[\]]{1,48}\*?|[A-Za-z0-9_.-]{1,253}(?::\d{1,5})?)|sip:[^\s*]{1,100}\*|\*)$/;

export const destination = z
  .string({ error: 'must be text: put it in quotes, YAML takes +1555 for the number 1555' })
  .regex(DESTINATION, 'a number, a name or a sip: URI, or the beginning of one with * at its end; sip:*@HOST is everybody there');

/** The usual of a small business line; whoever steals a password gets no further than this. */
const caps = z
  .strictObject({
    concurrent: whole(1, 10_000).default(10),
    'per-second': whole(1, 1000).default(1),
    'per-day': whole(1, 1_000_000).default(1000),
    duration: whole(1, 86_400).default(14_400),
  })
  .prefault({});

const plainPassword = textOrNumber(256).refine((value) => value !== MASKED, 'this is the mask of --print-config, not a password');

/** Carriers give what they give: one character is a password. */
const LEAST_TRUNK_PASSWORD = 1;

/** Itself, or where it is. */
const password = z.unknown().transform((value, context): SecretValue => {
  const isPlace = typeof value === 'object' && value !== null;
  const read = (isPlace ? secret(LEAST_TRUNK_PASSWORD) : plainPassword).safeParse(value);
  if (read.success) return read.data;
  for (const { message } of read.error.issues.slice(0, 1)) context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

/** What its calls must show. The realm is a name that both ends hash; phones show it to people. */
const auth = z.strictObject(
  {
    username: textOrNumber(128),
    password,
    realm: text(256).default('ringdown'),
    // Old phones give up on a challenge that they do not know, wherever it stands.
    algorithms: z
      .array(z.enum(['SHA-256', 'MD5'], { error: 'SHA-256 or MD5' }), { error: 'a list of SHA-256 and MD5' })
      .min(1, 'at least one of SHA-256 and MD5')
      .max(2)
      .default(['SHA-256', 'MD5']),
  },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map with username and password' : undefined) },
);

const KEEP_ALIVE = 'seconds from 5 to 3600, or 0 for none';

const trunk = z.strictObject(
  {
    name,
    peer,
    transport,
    tls: trunkTls.optional(),
    username: textOrNumber(128).optional(),
    password: password.optional(),
    realm: text(256).optional(),
    addresses: z.array(listedNetwork, { error: 'a list of addresses and networks' }).max(256).default([]),
    auth: auth.optional(),
    'keep-alive': z
      .number({ error: KEEP_ALIVE })
      .refine((value) => value === 0 || (Number.isInteger(value) && value >= 5 && value <= 3600), KEEP_ALIVE)
      .default(0),
    caps,
    destinations: z.array(destination, { error: 'a list of destinations' }).max(1000).default([]),
    register: register.optional(),
    numbers: numbers.optional(),
    redirects: z.enum(['refuse', 'follow'], { error: 'refuse or follow' }).default('refuse'),
    refer: z.enum(['refuse', 'allow'], { error: 'refuse or allow' }).default('refuse'),
    stir: trunkStir.optional(),
    ...phoneMediaFields,
  },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map with at least name and peer' : undefined) },
);

/** By it registered users are dialled. */
const USERS_TRUNK = 'users';

/** More than one gateway has carriers; the whole list is looked through for each call. */
const MAX_TRUNKS = 64;

export const trunks = z
  .array(trunk, { error: 'must be a list of trunks' })
  .max(MAX_TRUNKS)
  .superRefine((all, context) => {
    for (const [index, each] of all.entries()) {
      const { username, password } = each;
      if (all.findIndex((other) => other.name === each.name) < index) {
        context.addIssue({ code: 'custom', path: [index, 'name'], message: 'another trunk has this name' });
      }
      if ((username === undefined) !== (password === undefined)) {
        const missing = username === undefined ? 'username' : 'password';
        context.addIssue({ code: 'custom', path: [index], message: `has no ${missing}: it takes both or none` });
      }
      for (const { key, message } of peerFaults(each)) context.addIssue({ code: 'custom', path: [index, key], message });
      if (each.register && each.register.registrar === undefined && isIP(each.peer.address) === 0) {
        context.addIssue({
          code: 'custom',
          path: [index, 'register'],
          message: 'has no registrar: it needs an address when the peer is a name',
        });
      }
      if (each.register && username === undefined && each.register.username === undefined) {
        context.addIssue({ code: 'custom', path: [index, 'register'], message: 'has no username, and neither has the trunk' });
      }
      if (each.name === USERS_TRUNK) context.addIssue({ code: 'custom', path: [index, 'name'], message: 'this name stands for the users' });
    }
  });

export type TrunkValues = z.output<typeof trunk>;

/** A trunk as the code uses it. */
export interface TrunkConfig {
  readonly name: string;
  readonly peer: { readonly address: string; readonly port: number };
  readonly transport: TrunkTransport;
  /** When the peer is a name. */
  readonly lookUp?: LookUp;
  readonly tls?: TrunkTls;
  readonly username?: string;
  readonly password?: string;
  readonly realm?: string;
  readonly addresses: readonly string[];
  readonly auth?: {
    readonly username: string;
    readonly password: string;
    readonly realm: string;
    readonly algorithms: readonly ('SHA-256' | 'MD5')[];
  };
  readonly keepAliveS?: number;
  readonly caps: { readonly concurrent: number; readonly perSecond: number; readonly perDay: number; readonly durationS: number };
  readonly destinations: readonly string[];
  readonly redirects: 'refuse' | 'follow';
  readonly refer: 'refuse' | 'allow';
  /** What it says of the media of its calls. */
  readonly media?: PhoneMediaConfig;
  readonly register?: RegisterConfig;
  readonly numbers?: NumberRules;
  readonly stir?: z.output<typeof trunkStir>;
  /** Where it, or a part of it, stands: `ringdown.yaml:12`. */
  readonly at: (...path: readonly PropertyKey[]) => string;
}

/** What a trunk needs of the place it stands in. */
export interface TrunkBeside {
  secret(value: SecretValue, path: readonly PropertyKey[], least: number): string;
  at(...path: readonly PropertyKey[]): string;
}

export function trunkOf(
  {
    caps: given,
    username,
    password,
    realm,
    auth: login,
    'keep-alive': keepAliveS,
    register,
    numbers,
    codecs,
    srtp,
    'sdes-over-plain': overPlain,
    peer: at,
    transport: by,
    tls,
    stir,
    ...rest
  }: TrunkValues,
  beside: TrunkBeside,
): TrunkConfig {
  const media = someMediaOf({ codecs, srtp, 'sdes-over-plain': overPlain });
  const place = peerOf({ peer: at, transport: by, tls });
  const own = password === undefined ? undefined : beside.secret(password, ['password'], LEAST_TRUNK_PASSWORD);
  return {
    ...rest,
    at: (...path) => beside.at(...path),
    ...(media && { media }),
    ...place,
    ...(username === undefined ? {} : { username }),
    ...(own === undefined ? {} : { password: own }),
    ...(realm === undefined ? {} : { realm }),
    ...(login === undefined
      ? {}
      : { auth: { ...login, password: beside.secret(login.password, ['auth', 'password'], LEAST_TRUNK_PASSWORD) } }),
    ...(register === undefined ? {} : { register: registerOf(register, { peer: place.peer, username, password: own }, beside) }),
    ...(numbers === undefined ? {} : { numbers: numbersOf(numbers) }),
    ...(stir === undefined ? {} : { stir }),
    ...(keepAliveS === 0 ? {} : { keepAliveS }),
    caps: { concurrent: given.concurrent, perSecond: given['per-second'], perDay: given['per-day'], durationS: given.duration },
  };
}

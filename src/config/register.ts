import { isIP, isIPv4, isIPv6 } from 'node:net';
import { z } from 'zod';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../base/addresses.ts';
import { maskedSecret, type SecretValue, secret } from './secrets.ts';
import { whole } from './whole-number.ts';

/** `register:` of a trunk: where we say that its calls come to us (RFC 3261 §10). */

/** Carriers give what they give. */
const LEAST_PASSWORD = 1;
const MOST_REGISTRARS = 4;

const registrar = z.string({ error: 'ADDRESS:PORT with a literal address' }).transform((value, context): Endpoint => {
  const endpoint = parseEndpoint(isIPv4(value) ? `${value}:5060` : isIPv6(value) ? `[${value}]:5060` : value);
  if (endpoint && endpoint.port !== 0) return endpoint;
  context.addIssue({ code: 'custom', message: 'ADDRESS:PORT with a literal address: names are not resolved' });
  return z.NEVER;
});

const text = z
  .union([z.number().transform(String), z.string()])
  .pipe(z.string().regex(/^[!#-;=?-~]{1,128}$/, 'visible ASCII without < > and "'));

export const register = z.strictObject(
  {
    registrar: z
      .union([registrar.transform((one) => [one]), z.array(registrar).min(1).max(MOST_REGISTRARS)], {
        error: `ADDRESS:PORT with a literal address, or a list of up to ${MOST_REGISTRARS}`,
      })
      .optional(),
    domain: z
      .string({ error: 'must be text' })
      .regex(/^[A-Za-z0-9.:[\]-]{1,255}$/, 'a host name or an address')
      .optional(),
    username: text.optional(),
    'auth-username': text.optional(),
    password: secret(LEAST_PASSWORD).optional(),
    expires: whole(60, 86_400).default(3600),
    contact: z.enum(['learned', 'local'], { error: 'learned or local' }).default('learned'),
    'keep-alive': whole(0, 3600).default(25),
  },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map: {} takes everything from the trunk' : undefined) },
);

export interface RegisterConfig {
  /** Tried in turns. */
  readonly registrars: readonly Endpoint[];
  /** Host of the address that is registered. */
  readonly domain: string;
  /** Its user part. */
  readonly username: string;
  /** Whom a challenge asks for. */
  readonly authUsername: string;
  readonly password: string | undefined;
  readonly expiresS: number;
  /** Whether the Contact is what the registrar saw of us, or what we know ourselves. */
  readonly contact: 'learned' | 'local';
  /** Seconds between CRLF that keep a NAT open; 0 for none. */
  readonly keepAliveS: number;
}

/** @param trunk what it takes its defaults from */
export function registerOf(
  { registrar, domain, username, password, expires, contact, ...given }: z.output<typeof register>,
  trunk: { readonly peer: Endpoint; readonly username: string | undefined; readonly password: string | undefined },
  beside: { secret(value: SecretValue, path: readonly PropertyKey[], least: number): string },
): RegisterConfig {
  const registrars = registrar ?? [trunk.peer];
  const user = username ?? trunk.username ?? '';
  const [first = trunk.peer] = registrars;
  return {
    registrars,
    // A name is a domain by itself: its port is where it is, and not what it is called.
    domain:
      domain ??
      (isIP(first.address) === 0
        ? first.address
        : first.port === 5060
          ? formatEndpoint(first).replace(/:5060$/, '')
          : formatEndpoint(first)),
    username: user,
    authUsername: given['auth-username'] ?? user,
    password: password === undefined ? trunk.password : beside.secret(password, ['register', 'password'], LEAST_PASSWORD),
    expiresS: expires,
    contact,
    keepAliveS: given['keep-alive'],
  };
}

export function shownRegister({ registrar, password, ...rest }: z.output<typeof register>): unknown {
  return {
    ...(registrar === undefined ? {} : { registrar: registrar.map(formatEndpoint) }),
    ...rest,
    ...(password === undefined ? {} : { password: maskedSecret(password) }),
  };
}

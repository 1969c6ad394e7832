import { z } from 'zod';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../base/addresses.ts';
import { listedNetwork } from './listed-network.ts';
import { text } from './model-fields.ts';
import { maskedSecret, type SecretValue, secret } from './secrets.ts';

/** The `drachtio:` section: with it SIP's sockets are those of drachtio servers. */

/** Servers come with `cymru` out of the box. */
export const LEAST_DRACHTIO_SECRET = 5;

/** A server is a host of its own; a region has a handful. */
const MOST_SERVERS = 16;

const endpoint = (wanted: string, zero: boolean) =>
  text(64).transform((value, context): Endpoint => {
    const read = parseEndpoint(value);
    if (read && (zero || read.port !== 0)) return read;
    context.addIssue({ code: 'custom', message: wanted });
    return z.NEVER;
  });

const section = z
  .strictObject({
    secret: secret(LEAST_DRACHTIO_SECRET),
    listen: endpoint('ADDRESS:PORT; port 0 takes any free one', true).optional(),
    announce: endpoint('ADDRESS:PORT, as servers reach it', false).optional(),
    allow: z.array(listedNetwork, { error: 'a list of addresses and networks' }).min(1).max(256).default(['127.0.0.1']),
    servers: z.array(endpoint('ADDRESS:PORT', false), { error: 'a list of ADDRESS:PORT' }).max(MOST_SERVERS).default([]),
    cert: text(4096).optional(),
    key: text(4096).optional(),
    ca: text(4096).optional(),
  })
  .superRefine((value, context) => {
    const fault = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
    if (value.listen === undefined && value.servers.length === 0) fault('listen', 'needed, or servers: nobody would bring calls');
    if (value.announce !== undefined && value.listen === undefined) fault('announce', 'means nothing without listen');
    if ((value.cert === undefined) !== (value.key === undefined)) fault(value.cert === undefined ? 'cert' : 'key', 'must be set too');
  });

/** `false`, or nothing: our own sockets. */
export const drachtio = z.union([z.literal(false), section], {
  error: 'a map with secret and listen or servers, and what else docs/configuration.md names',
});

export type DrachtioValues = z.output<typeof drachtio>;

/** The same as the code uses it. */
export interface DrachtioConfig {
  readonly secret: string;
  readonly listen?: Endpoint;
  /** What servers are told when they ask where to go; where we listen when absent. */
  readonly announce?: Endpoint;
  readonly allow: readonly string[];
  readonly servers: readonly Endpoint[];
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
}

/** @param read fetches the secret from where it is */
export function drachtioOf(
  values: DrachtioValues,
  read: (value: SecretValue, path: readonly PropertyKey[]) => string,
): DrachtioConfig | undefined {
  if (values === false) return undefined;
  const { listen, announce, allow, servers, cert, key, ca } = values;
  return {
    ...{ secret: read(values.secret, ['secret']), allow, servers },
    ...(listen ? { listen } : {}),
    ...(announce ? { announce } : {}),
    ...(cert === undefined ? {} : { certificateFile: cert }),
    ...(key === undefined ? {} : { keyFile: key }),
    ...(ca === undefined ? {} : { caFile: ca }),
  };
}

export function shownDrachtio(values: DrachtioValues): unknown {
  if (values === false) return false;
  const { listen, announce, servers, ...rest } = values;
  return {
    ...rest,
    secret: maskedSecret(values.secret),
    ...(listen ? { listen: formatEndpoint(listen) } : {}),
    ...(announce ? { announce: formatEndpoint(announce) } : {}),
    servers: servers.map(formatEndpoint),
  };
}

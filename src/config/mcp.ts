import { z } from 'zod';
import { AddressFence, literalHost } from '../base/address-fence.ts';
import { type AllowedNetworkConfig, allowedNetwork, shownNetwork } from './allowed-network.ts';
import { text, urlOf, within } from './model-fields.ts';
import { projectName } from './projects.ts';
import { maskedSecret, type SecretValue, secret } from './secrets.ts';

/** The `mcp:` section: servers of tools (Model Context Protocol), and which ones sessions may bring. */

/** A server is a process or a connection, for each process of ours. */
const MOST_SERVERS = 32;
const MOST_ARGS = 64;
const MOST_VARIABLES = 64;
const MOST_HEADERS = 32;
const MOST_ALLOWED = 100;
const MOST_TOOL_NAMES = 128;

/** Tokens of vendors are longer; those of programs on this machine are what somebody made up. */
export const LEAST_MCP_SECRET = 1;

const serverLabel = z
  .string({ error: 'must be text' })
  .regex(/^[a-zA-Z0-9_-]{1,64}$/, 'letters, digits, hyphens and underscores, 64 at the most');

const toolNames = z.array(text(128), { error: 'a list of names of tools' }).max(MOST_TOOL_NAMES);

const approval = z.union(
  [
    z.enum(['always', 'never']),
    z.strictObject({ always: toolNames.optional(), never: toolNames.optional() }).refine(({ always, never }) => always || never),
  ],
  { error: 'always, never, or a map with lists of names of tools: always, never' },
);

const common = {
  label: serverLabel,
  'allowed-tools': toolNames.optional(),
  'require-approval': approval.default('never'),
  /** false: sessions have it that name it. */
  everywhere: z.boolean({ error: 'true or false' }).default(true),
  /** Whose sessions may have it; all when left out. */
  projects: z.array(projectName, { error: 'a list of projects' }).min(1).max(1000).optional(),
};

/** @param wrong what is wrong with a name, if anything is */
const named = (what: string, most: number, wrong: (name: string) => string | undefined) =>
  z
    .record(text(128), secret(LEAST_MCP_SECRET), { error: `a map of ${what}` })
    .refine((value) => Object.keys(value).length <= most, `more than ${most} ${what}`)
    .superRefine((value, context) => {
      for (const name of Object.keys(value)) {
        const message = wrong(name);
        if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
      }
    })
    .default({});

const program = z.strictObject({
  ...common,
  command: text(4096),
  args: z
    .array(z.string({ error: 'must be text: put it in quotes' }).max(4096), { error: 'a list' })
    .max(MOST_ARGS)
    .default([]),
  env: named('variables', MOST_VARIABLES, (name) => (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? undefined : 'is no name of a variable')),
  cwd: text(4096).optional(),
});

/** What the protocol says itself. */
const OURS = /^(?:host|connection|content-.*|accept.*|transfer-encoding|mcp-.*|last-event-id|authorization)$/i;

const remote = z.strictObject({
  ...common,
  url: urlOf(['https:', 'http:'], 'an https: or http: URL'),
  /** Sent as a bearer token. */
  key: secret(LEAST_MCP_SECRET).optional(),
  headers: named('headers', MOST_HEADERS, (name) => {
    if (!/^[A-Za-z0-9-]{1,64}$/.test(name)) return 'is no name of a header';
    return OURS.test(name) ? 'is ours to say' : undefined;
  }),
  /** Certificates to trust beside the system's. */
  ca: text(4096).optional(),
});

const server = z.unknown().transform((value, context): ProgramValues | RemoteValues => {
  const isProgram = typeof value === 'object' && value !== null && 'command' in value;
  const isRemote = typeof value === 'object' && value !== null && 'url' in value;
  if (isProgram === isRemote) {
    context.addIssue({ code: 'custom', message: 'must be a map with label, and either command or url' });
    return z.NEVER;
  }
  const read = (isProgram ? program : remote).safeParse(value);
  if (read.success) return read.data;
  for (const issue of read.error.issues) context.issues.push({ ...issue, input: issue.input } as never);
  return z.NEVER;
});

export const mcp = z
  .strictObject(
    {
      servers: z.array(server, { error: 'a list of servers' }).max(MOST_SERVERS).default([]),
      allow: z.array(allowedNetwork, { error: 'a list of addresses' }).max(MOST_ALLOWED).default([]),
      'session-servers': z
        .union([z.enum(['all', 'none']), z.array(projectName).min(1).max(1000)], { error: 'all, none or a list of projects' })
        .default('all'),
      'list-seconds': within(0.1, 60, 'seconds').default(10),
      'call-seconds': within(0.1, 3600, 'seconds').default(30),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a map' : undefined) },
  )
  .superRefine(({ servers, allow }, context) => {
    const fence = new AddressFence(allow);
    for (const [index, { label, ...rest }] of servers.entries()) {
      const at = (path: string, message: string) => context.addIssue({ code: 'custom', path: ['servers', index, path], message });
      if (servers.findIndex((other) => other.label === label) < index) at('label', 'another server has this label');
      const url = 'url' in rest ? new URL(rest.url) : undefined;
      const host = url && literalHost(url);
      // Of a name it is known when it is connected to.
      if (!url || host === undefined) continue;
      const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
      if (!fence.permits(host, port, url.protocol === 'https:')) at('url', `${host} is reached only when \`allow\` names it`);
    }
  });

type ProgramValues = z.output<typeof program>;
type RemoteValues = z.output<typeof remote>;
export type McpValues = z.output<typeof mcp>;

interface CommonServerConfig {
  readonly label: string;
  readonly allowedTools?: readonly string[];
  readonly approval: 'always' | 'never' | { readonly always?: readonly string[]; readonly never?: readonly string[] };
  /** Does every session have it, without asking? */
  readonly everywhere: boolean;
  readonly projects?: readonly string[];
}

/** A server of tools as the code uses it. */
export type McpServerConfig = CommonServerConfig &
  (
    | {
        readonly type: 'stdio';
        readonly command: string;
        readonly args: readonly string[];
        readonly env: Readonly<Record<string, string>>;
        readonly cwd?: string;
      }
    | {
        readonly type: 'http';
        readonly url: string;
        readonly headers: Readonly<Record<string, string>>;
        /** A PEM file. */
        readonly caFile?: string;
      }
  );

export interface McpConfig {
  readonly servers: readonly McpServerConfig[];
  readonly allow: readonly AllowedNetworkConfig[];
  readonly sessionServers: 'all' | 'none' | readonly string[];
  readonly listTimeoutMs: number;
  readonly callTimeoutMs: number;
}

/** @param fetch gets a secret from where it is */
export function mcpOf(values: McpValues, fetch: (value: SecretValue, path: readonly PropertyKey[]) => string): McpConfig {
  return {
    servers: values.servers.map((each, index) => serverOf(each, (value, path) => fetch(value, ['servers', index, ...path]))),
    allow: values.allow,
    sessionServers: values['session-servers'],
    listTimeoutMs: values['list-seconds'] * 1000,
    callTimeoutMs: values['call-seconds'] * 1000,
  };
}

function serverOf(
  values: ProgramValues | RemoteValues,
  fetch: (value: SecretValue, path: readonly PropertyKey[]) => string,
): McpServerConfig {
  const { label, 'allowed-tools': allowedTools, 'require-approval': rule, everywhere, projects } = values;
  const shared = {
    label,
    everywhere,
    approval: rule as CommonServerConfig['approval'],
    ...(allowedTools === undefined ? {} : { allowedTools }),
    ...(projects === undefined ? {} : { projects }),
  };
  const read = (map: Readonly<Record<string, SecretValue>>, name: string) =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [key, fetch(value, [name, key])]));
  if ('command' in values) {
    const { command, args, env, cwd } = values;
    return { ...shared, type: 'stdio', command, args, env: read(env, 'env'), ...(cwd === undefined ? {} : { cwd }) };
  }
  const { url, key, headers, ca } = values;
  const authorization = key === undefined ? {} : { authorization: `Bearer ${fetch(key, ['key'])}` };
  return {
    ...shared,
    type: 'http',
    url,
    headers: { ...read(headers, 'headers'), ...authorization },
    ...(ca === undefined ? {} : { caFile: ca }),
  };
}

export function shownMcp({ servers, allow, ...rest }: McpValues): unknown {
  const masked = (map: Readonly<Record<string, SecretValue>>) =>
    Object.fromEntries(Object.entries(map).map(([key, value]) => [key, maskedSecret(value)]));
  return {
    servers: servers.map((each) => {
      if ('command' in each) return { ...each, env: masked(each.env) };
      return { ...each, ...(each.key === undefined ? {} : { key: maskedSecret(each.key) }), headers: masked(each.headers) };
    }),
    allow: allow.map(shownNetwork),
    ...rest,
  };
}

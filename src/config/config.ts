import type { LogLevel } from '../base/log.ts';
import { type AlertsConfig, alertsOf } from './alerts.ts';
import { type DrachtioConfig, drachtioOf, LEAST_DRACHTIO_SECRET } from './drachtio.ts';
import { LEAST_MCP_SECRET, type McpConfig, mcpOf } from './mcp.ts';
import { type ModelConfig, modelOf } from './model.ts';
import { LEAST_MODEL_KEY } from './model-fields.ts';
import { type PhoneMediaConfig, phoneMediaOf } from './phone-media.ts';
import { LEAST_KEY, type ProjectConfig } from './projects.ts';
import { LEAST_WEBHOOK_SECRET, type RouteConfig, routeOf } from './routes.ts';
import type { Key, Role, Values } from './schema.ts';
import { digestOf, type SecretValue } from './secrets.ts';
import { type SipDoors, sipDoorsOf } from './sip-doors.ts';
import { type StirConfig, stirOf } from './stir.ts';
import { type ToolsConfig, toolsOf } from './tools.ts';
import { type TrunkConfig, trunkOf } from './trunks.ts';
import { type UserConfig, userOf } from './users.ts';

/** The first and last UDP port for RTP, or whatever the kernel gives. */
export type RtpPorts = { readonly first: number; readonly last: number } | 'any';

/** Another process of the cluster, by its inner address. */
export interface NodeAddress {
  readonly id: number;
  readonly address: string;
  readonly port: number;
}

/** This process as one of several. */
export interface NodeConfig {
  readonly id: number;
  readonly clusterKeyFile: string;
  readonly nodes: readonly NodeAddress[];
  readonly innerPort: number;
}

/** Who may call: everybody whatever else is set, trunks alone, or whom the trunks say. */
export type Callers = 'anyone' | 'trunks' | 'by-trunks';

/** What the values do not hold themselves. */
export interface Beside {
  /** The secret at this place; a text that nobody has when it cannot be read, which is a fault then. */
  secret(value: SecretValue, key: Key, path: readonly PropertyKey[], least: number): string;
  /** Where a part of a setting stands. */
  sourceOf(key: Key, path: readonly PropertyKey[]): string;
  /** What is found wrong only now. */
  fault(key: Key, path: readonly PropertyKey[], message: string): void;
}

/** The project of what belongs to none. */
const DEFAULT_PROJECT = 'default';

/** The whole configuration, checked. A port of 0 is any free one. */
export interface Config {
  readonly sip: {
    readonly port: number;
    /** From one address; 0 is no limit. */
    readonly requestsPerSecond: number;
    /** 0 seconds: nobody is banned. */
    readonly bans: { readonly seconds: number; readonly after: number };
    /** That users are asked for their password with. */
    readonly realm: string;
    /** With which digests, in the order in which they are offered. */
    readonly digest: readonly ('SHA-256' | 'MD5')[];
  } & SipDoors;
  readonly http: { readonly port: number };
  readonly relay: { readonly port: number };
  readonly rtp: { readonly ports: RtpPorts };
  readonly bind: string;
  readonly publicAddress?: string;
  readonly dataDir: string;
  readonly roles: readonly Role[];
  readonly maxCalls: number;
  /** Processes that carry calls; 0 is none but this one. */
  readonly workers: number;
  readonly drainS: number;
  readonly logLevel: LogLevel;
  readonly mediaTimeoutS: number;
  readonly sessionMinutes: number;
  /** Of phones whose trunk says nothing of it. */
  readonly phoneMedia: PhoneMediaConfig;
  readonly trunks: readonly TrunkConfig[];
  readonly callers: Callers;
  readonly users: readonly UserConfig[];
  readonly stir: StirConfig;
  readonly alerts: AlertsConfig;
  /** Without any key only this machine is trusted. */
  readonly projects: readonly ProjectConfig[];
  readonly routes: readonly RouteConfig[];
  readonly model: ModelConfig;
  readonly mcp: McpConfig;
  readonly tools: ToolsConfig;
  /** Who has the sockets of SIP, when it is not us. */
  readonly drachtio?: DrachtioConfig;
  /** A certificate from elsewhere; else one of our own authority. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  readonly agent: {
    /** URI that callers are transferred to. */
    readonly transferTarget?: string;
    /** Name of the trunk that callers are called back by. */
    readonly callbackTrunk?: string;
  };
  /** Present when this process is one of several. */
  readonly node?: NodeConfig;
}

/** The values of the settings, by the names the code uses. */
export function configOf(values: Values, beside: Beside): Config {
  const { 'public-address': publicAddress, 'node.id': id, 'node.cluster-key-file': clusterKeyFile, 'node.nodes': nodes } = values;
  const drachtio = drachtioOf(values.drachtio, (value, path) => beside.secret(value, 'drachtio', path, LEAST_DRACHTIO_SECRET));
  const node = id !== undefined && clusterKeyFile !== undefined && nodes !== undefined;
  return {
    sip: {
      port: values['sip.port'],
      requestsPerSecond: values['sip.rate'],
      bans: { seconds: values['sip.ban'], after: values['sip.ban-after'] },
      realm: values['sip.realm'],
      digest: values['sip.digest'],
      ...sipDoorsOf(values),
    },
    http: { port: values['http.port'] },
    relay: { port: values['relay.port'] },
    rtp: { ports: values['rtp.ports'] },
    bind: values.bind,
    ...(publicAddress === undefined ? {} : { publicAddress }),
    dataDir: values.data,
    roles: values.roles,
    maxCalls: values['max-calls'],
    workers: values.workers,
    drainS: values.drain,
    logLevel: values['log-level'],
    mediaTimeoutS: values['media-timeout'],
    sessionMinutes: values['session-minutes'],
    phoneMedia: phoneMediaOf(values),
    trunks: values.trunks.map((trunk, index) =>
      trunkOf(trunk, {
        secret: (value, path, least) => beside.secret(value, 'trunks', [index, ...path], least),
        at: (...path) => beside.sourceOf('trunks', [index, ...path]),
      }),
    ),
    users: usersOf(values, beside),
    stir: stirOf(values.stir, (part) => beside.sourceOf('stir', [part])),
    alerts: alertsOf(values.alerts, (value, path, least) => beside.secret(value, 'alerts', path, least)),
    callers: values.callers ?? (values.model.type !== 'embedded' ? 'trunks' : 'by-trunks'),
    projects: projectsOf(values, beside),
    routes: values.routes.map((route, index) => {
      const secrets = route.webhook?.secrets ?? [];
      const read = secrets.map((each, at) => beside.secret(each, 'routes', [index, 'webhook', 'secrets', at], LEAST_WEBHOOK_SECRET));
      return routeOf(route, read, beside.sourceOf('routes', [index]));
    }),
    model: modelOf(values.model, (value, path) => beside.secret(value, 'model', path, LEAST_MODEL_KEY)),
    mcp: mcpOf(values.mcp, (value, path) => beside.secret(value, 'mcp', path, LEAST_MCP_SECRET)),
    tools: toolsOf(values.tools, (value, path, least) => beside.secret(value, 'tools', path, least)),
    ...(drachtio ? { drachtio } : {}),
    ...(values['tls.cert'] !== undefined && values['tls.key'] !== undefined
      ? { tls: { certificateFile: values['tls.cert'], keyFile: values['tls.key'] } }
      : {}),
    agent: {
      ...(values['agent.transfer-target'] === undefined ? {} : { transferTarget: values['agent.transfer-target'] }),
      ...(values['agent.callback-trunk'] === undefined ? {} : { callbackTrunk: values['agent.callback-trunk'] }),
    },
    ...(node ? { node: { id, clusterKeyFile, nodes, innerPort: values['node.inner-port'] } } : {}),
  };
}

function usersOf({ users, 'sip.realm': realm }: Values, beside: Beside): UserConfig[] {
  return users.map((user, index) => {
    const secrets = {
      secret: (value: SecretValue, path: readonly PropertyKey[], least: number) => beside.secret(value, 'users', [index, ...path], least),
      fault: (path: readonly PropertyKey[], message: string) => beside.fault('users', [index, ...path], message),
    };
    return userOf(user, realm, secrets, beside.sourceOf('users', [index]));
  });
}

function projectsOf({ projects, 'api-key': apiKey }: Values, beside: Beside): ProjectConfig[] {
  const read = projects.map(({ name, keys }, index) => ({
    name,
    keyDigests: keys.map((key, at) =>
      typeof key === 'object' && 'sha256' in key ? key.sha256 : digestOf(beside.secret(key, 'projects', [index, 'keys', at], LEAST_KEY)),
    ),
  }));
  if (apiKey === undefined) return read;
  const digest = digestOf(apiKey);
  const others = read.filter(({ name }) => name !== DEFAULT_PROJECT);
  const own = read.find(({ name }) => name === DEFAULT_PROJECT)?.keyDigests ?? [];
  return [{ name: DEFAULT_PROJECT, keyDigests: [digest, ...own] }, ...others];
}

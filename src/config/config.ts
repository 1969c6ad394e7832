import type { LogLevel } from '../base/log.ts';
import type { Role, Values } from './schema.ts';
import { type TrunkConfig, trunkOf } from './trunks.ts';

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

/** The whole configuration, checked. A port of 0 is any free one. */
export interface Config {
  readonly sip: { readonly port: number /** From one address; 0 is no limit. */; readonly requestsPerSecond: number };
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
  readonly trunks: readonly TrunkConfig[];
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
export function configOf(values: Values): Config {
  const { 'public-address': publicAddress, 'node.id': id, 'node.cluster-key-file': clusterKeyFile, 'node.nodes': nodes } = values;
  const node = id !== undefined && clusterKeyFile !== undefined && nodes !== undefined;
  return {
    sip: { port: values['sip.port'], requestsPerSecond: values['sip.rate'] },
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
    trunks: values.trunks.map(trunkOf),
    agent: {
      ...(values['agent.transfer-target'] === undefined ? {} : { transferTarget: values['agent.transfer-target'] }),
      ...(values['agent.callback-trunk'] === undefined ? {} : { callbackTrunk: values['agent.callback-trunk'] }),
    },
    ...(node ? { node: { id, clusterKeyFile, nodes, innerPort: values['node.inner-port'] } } : {}),
  };
}

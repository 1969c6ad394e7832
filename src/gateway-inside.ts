import { readFileSync } from 'node:fs';
import type { TransportAddress } from './base/addresses.ts';
import type { Clock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import type { Metrics } from './base/metrics.ts';
import { bindUdp } from './base/udp.ts';
import type { Config } from './config/config.ts';
import { type ClusterKeys, deriveRelayKeys, parseClusterKeys, randomClusterKeys } from './ownership/cluster-keys.ts';
import { directLink } from './ownership/direct-link.ts';
import type { Directory } from './ownership/directory.ts';
import type { DoorIdentity } from './ownership/door-handshake.ts';
import { InnerWire } from './ownership/inner-wire.ts';
import { MemoryDirectory } from './ownership/memory-directory.ts';
import { makeIncarnation } from './ownership/node-id.ts';
import type { RelayLink } from './ownership/relay-link.ts';
import type { TransceiverLink } from './ownership/transceiver-link.ts';
import { UdpRelayLink } from './ownership/udp-relay-link.ts';
import { UdpTransceiverLink } from './relay/udp-transceiver-link.ts';
import { INNER_ADDRESS } from './workers/worker-pool.ts';

/** Who this process is among the nodes, and what it shares with them. Alone it is node 0 with a key that nobody else knows. */
export interface Membership {
  readonly self: DoorIdentity;
  readonly keys: ClusterKeys;
  readonly directory: Directory;
}

/** @throws GatewayError ERR_CONFIG when the key file cannot be read */
export function joinCluster({ node }: Config): Membership {
  const incarnation = makeIncarnation();
  if (!node) return { self: { nodeId: 0, incarnation }, keys: randomClusterKeys(), directory: new MemoryDirectory() };
  const records = node.nodes.map(({ id, address, port }) => ({ nodeId: id, inner: { address, port } }));
  return { self: { nodeId: node.id, incarnation }, keys: readKeys(node.clusterKeyFile), directory: new MemoryDirectory(records) };
}

function readKeys(path: string): ClusterKeys {
  try {
    return parseClusterKeys(readFileSync(path, 'utf8'));
  } catch (thrown) {
    const { message } = GatewayError.from(thrown);
    throw new GatewayError('ERR_CONFIG', `${path}: ${message}`, { cause: thrown });
  }
}

/** The wire between the relay and the transceivers, as far as this process has an end of it. */
export interface Inside {
  readonly relayLink: RelayLink | undefined;
  readonly transceiverLink: TransceiverLink | undefined;
  close(): void;
}

/**
 * Joins relay and transceiver: by calls when they are alone in one process, else by MACed frames on the inner port, which with workers nobody
 * outside this machine can reach.
 * @param candidates where clients reach the relay of this process; undefined when it has none
 * @throws GatewayError ERR_PORT_IN_USE
 */
export async function openInside(
  deps: { readonly clock: Clock; readonly metrics: Metrics; readonly membership: Membership },
  config: Config,
  candidates: readonly TransportAddress[] | undefined,
): Promise<Inside> {
  const { clock, metrics, membership } = deps;
  const { nodeId } = membership.self;
  if (!config.node && config.workers === 0) {
    const { relayLink, transceiverLink } = directLink({ nodeId, endpoints: candidates ?? [] });
    return { relayLink, transceiverLink, close: () => relayLink.close() };
  }
  const socket = config.node
    ? await bindUdp({ address: config.bind, port: config.node.innerPort }, '--inner-port')
    : await bindUdp({ address: INNER_ADDRESS, port: 0 });
  const wire = new InnerWire({ socket, keys: deriveRelayKeys(membership.keys), clock, metrics }, { nodeId });
  const relayLink = config.node && config.roles.includes('transceiver') ? new UdpRelayLink({ wire, clock }) : undefined;
  const { directory } = membership;
  const transceiverLink = candidates && new UdpTransceiverLink({ wire, directory, clock }, { endpoints: candidates });
  return {
    relayLink,
    transceiverLink,
    close: () => {
      relayLink?.close();
      transceiverLink?.close();
      wire.close();
    },
  };
}

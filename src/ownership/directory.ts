import type { Endpoint } from '../base/addresses.ts';
import type { NodeId } from './node-id.ts';

export interface NodeRecord {
  readonly nodeId: NodeId;
  /** Its inner port: UDP for relay frames and TCP for the node door, one number. */
  readonly inner: Endpoint;
}

/**
 * Which nodes there are and where. Answers at once and from memory, because the packet path asks it: an implementation that shares its
 * knowledge (leases, epochs) keeps a copy here and updates it beside.
 */
export interface Directory {
  find(nodeId: NodeId): NodeRecord | undefined;
  /** Everybody known, this node included. */
  all(): readonly NodeRecord[];
}

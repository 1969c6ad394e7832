import type { NodeId } from './node-id.ts';

export type NodeRole = 'sip' | 'relay' | 'transceiver' | 'control';

/** What a node says of itself, once a second and at every change. */
export interface NodeStatus {
  readonly roles: readonly NodeRole[];
  /** It finishes what it has and takes nothing new. */
  readonly draining: boolean;
  /** Share of its capacity in use: 0 is idle, 1 and more is full. */
  readonly load: number;
}

export interface PlacementCandidate extends NodeStatus {
  readonly nodeId: NodeId;
  /** It answers. */
  readonly healthy: boolean;
  /** Sessions we have sent there since its last status: its load does not show them yet. */
  readonly pending: number;
}

/**
 * What one session that the load does not show yet counts for, in the order of nodes: a node carries about 100 calls. Keeps a burst from piling up
 * on one node. Whether a node is full it says itself: it may carry more.
 */
const PENDING_LOAD = 0.01;

/** The transceivers that may take a new session, best first: least loaded, then lowest id. */
export function placementOrder(candidates: readonly PlacementCandidate[]): readonly NodeId[] {
  return candidates
    .filter((each) => each.healthy && !each.draining && each.roles.includes('transceiver') && each.load < 1)
    .map((each) => ({ nodeId: each.nodeId, load: each.load + each.pending * PENDING_LOAD }))
    .sort((a, b) => a.load - b.load || a.nodeId - b.nodeId)
    .map((each) => each.nodeId);
}

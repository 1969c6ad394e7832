import { randomUint32 } from '../base/ids.ts';

/**
 * A node of the deployment: cluster (8 bit) ‖ node (16 bit), so that a front of another region finds the cluster and the cluster the
 * node. As text `N` in cluster 0 and `C.N` elsewhere.
 */
export type NodeId = number;

/** Makes the number from its two parts; undefined when one of them does not fit. Node 0 means "alone": one process without a name. */
export function makeNodeId(cluster: number, node: number): NodeId | undefined {
  if (!Number.isInteger(cluster) || cluster < 0 || cluster > 0xff) return undefined;
  if (!Number.isInteger(node) || node < 0 || node > 0xffff) return undefined;
  return cluster * 0x10000 + node;
}

/** Reads `N` or `C.N` in plain decimal; undefined for anything else. */
export function parseNodeId(text: string): NodeId | undefined {
  const match = /^(?:(0|[1-9]\d{0,2})\.)?(0|[1-9]\d{0,4})$/.exec(text);
  if (!match) return undefined;
  return makeNodeId(Number(match[1] ?? 0), Number(match[2]));
}

export function formatNodeId(nodeId: NodeId): string {
  const node = nodeId & 0xffff;
  const cluster = nodeId >>> 16;
  return cluster === 0 ? `${node}` : `${cluster}.${node}`;
}

/** Differs for each run of a process: what a node knew under another incarnation is gone. Never 0. */
export function makeIncarnation(): number {
  return randomUint32() || 1;
}

import { GatewayError } from '../base/errors.ts';
import type { NodeId } from './node-id.ts';
import { sessionNode } from './session-id.ts';

/** After one node that was full or gone, one other is asked; then whoever asks is told. */
const TRIES = 2;

/** Another one may do where these came from. */
const ELSEWHERE: ReadonlySet<string> = new Set(['ERR_NODE_UNREACHABLE', 'ERR_OVERLOADED', 'ERR_NO_PORT']);

/** The same, the owner of this session first, where it takes anything at all. */
export function nearFirst(order: readonly NodeId[], sessionId: string | undefined): readonly NodeId[] {
  const owner = sessionId === undefined ? undefined : sessionNode(sessionId);
  return owner !== undefined && order.includes(owner) ? [owner, ...order.filter((each) => each !== owner)] : order;
}

/**
 * Opens something at the best node that takes it.
 * @param order the best first
 * @param nobody thrown when there is no node at all
 */
export async function openAtBest<Opened>(
  order: readonly NodeId[],
  nobody: GatewayError,
  openAt: (nodeId: NodeId) => Promise<Opened>,
): Promise<Opened> {
  let failure = nobody;
  for (const nodeId of order.slice(0, TRIES)) {
    try {
      return await openAt(nodeId);
    } catch (thrown) {
      failure = GatewayError.from(thrown);
      if (!ELSEWHERE.has(failure.code)) throw failure;
    }
  }
  throw failure;
}

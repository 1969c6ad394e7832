import { randomText } from '../base/ids.ts';
import { formatNodeId, type NodeId, parseNodeId } from './node-id.ts';

/** 22 characters of 6 bits: 132 random bits, so that knowing one id helps nobody to another (≥ 128 bits). */
const RANDOM_CHARACTERS = 22;

/** `rtc_<node>_<random>`: unguessable, and its node is a hint where the session began. It moves and keeps its id. */
export function makeSessionId(nodeId: NodeId): string {
  return `rtc_${formatNodeId(nodeId)}_${randomText(RANDOM_CHARACTERS)}`;
}

/** The node a session id hints at; undefined for text that is no session id. */
export function sessionNode(sessionId: string): NodeId | undefined {
  const match = /^rtc_([\d.]{1,9})_[A-Za-z0-9_-]{22}$/.exec(sessionId);
  return match ? parseNodeId(match[1] ?? '') : undefined;
}

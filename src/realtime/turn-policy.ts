import type { EndOfTurn } from './turn-options.ts';

/** How a session takes turns, in the words of the conversation. */
export interface TurnPolicy {
  readonly endOfTurn: EndOfTurn;
  /** Audio before the onset that belongs to the turn. */
  readonly prefixMs?: number;
  /** Frames quieter than this (dBov) are nobody's voice. */
  readonly quietestDb?: number;
  /** Evidence of a voice that counts as an onset. */
  readonly onsetEvidenceMs?: number;
  /** Can a turn that was committed too early be taken back? If not, what follows is a turn of its own. */
  readonly takesBack: boolean;
  /** Is a turn answered without anybody asking? */
  readonly respond: boolean;
  /** Does a voice stop the agent? */
  readonly interrupt: boolean;
  /** After so much silence since the agent's last word it is asked to speak. */
  readonly idleTimeoutMs?: number | undefined;
}

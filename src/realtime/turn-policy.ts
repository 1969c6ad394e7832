import { DEFAULT_TURN_OPTIONS, type EndOfTurn, type TurnOptions } from './turn-options.ts';

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

/** Nobody can take back what was committed. */
const NEVER_MS = -1;

/** What the session knows of whom it talks to. */
export interface TurnBase extends Partial<TurnOptions> {
  /** Are turns left to the model's server? If not, a policy that wants that is our own rule. */
  readonly takesTurns?: boolean;
}

/**
 * The options of the turn machine for this policy.
 * @param streams the far end plays what it gets: a voice ends the response at once, because nothing here could be held
 */
export function turnOptionsOf(
  policy: TurnPolicy | undefined,
  streams: boolean,
  { takesTurns = false, ...base }: TurnBase = {},
): TurnOptions {
  const options = { ...DEFAULT_TURN_OPTIONS, ...base };
  const bargeIn = streams ? 'at_once' : options.bargeIn;
  // Streamed audio may come faster than time goes by: what is soon is not known.
  const continuationMs = streams ? NEVER_MS : options.continuationMs;
  const left = takesTurns ? ({ type: 'upstream' } as const) : undefined;
  if (!policy) return { ...options, endOfTurn: left ?? options.endOfTurn, bargeIn, continuationMs };
  return {
    ...options,
    endOfTurn: left ?? (policy.endOfTurn.type === 'upstream' ? DEFAULT_TURN_OPTIONS.endOfTurn : policy.endOfTurn),
    prefixMs: policy.prefixMs ?? options.prefixMs,
    quietestDb: policy.quietestDb ?? options.quietestDb,
    onsetEvidenceMs: policy.onsetEvidenceMs ?? options.onsetEvidenceMs,
    bargeIn: policy.interrupt ? bargeIn : 'never',
    continuationMs: policy.takesBack && policy.interrupt ? continuationMs : NEVER_MS,
  };
}

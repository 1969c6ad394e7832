/** Where the time goes between a caller's last sound and the first sound of the answer, in order. `ear` is an estimate. */
export const TURN_STAGES = ['decided', 'requested', 'first_delta', 'first_packet', 'ear'] as const;

export type TurnStage = (typeof TURN_STAGES)[number];

/** Of the measures of one call, in milliseconds. */
export interface Spread {
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/** What became of a call's turns: for call record and closing log line. Of the same size however long the call was. */
export interface TurnLedger {
  /** Turns whose answer was heard, each with its stages. */
  readonly answered: number;
  /** Commits that were taken back because the caller went on. */
  readonly continuations: number;
  /** Turns that a key, or the end of turn detection, took the place of. */
  readonly discarded: number;
  /** Times the agent fell silent for what was no interruption. */
  readonly falseHolds: number;
  /** Items that were cut off, here or by the client that plays them. */
  readonly truncations: number;
  /** Milliseconds after the caller's last voiced frame; a stage that nothing is known of is missing. */
  readonly stages: Readonly<Partial<Record<TurnStage, Spread>>>;
}

/** @param values none when nothing was measured */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  return { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), max: quantile(sorted, 1) };
}

/** The smallest value that at least this share of them do not exceed. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] as number;
}

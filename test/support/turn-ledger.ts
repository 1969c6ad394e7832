import type { TurnLedger } from '../../src/leg/turn-ledger.ts';

const spread = (p50: number) => ({ p50, p95: 2 * p50, max: 3 * p50 });

/** A ledger of a call of three turns, no two of its figures alike. */
export const LEDGER: TurnLedger = {
  answered: 3,
  continuations: 4,
  discarded: 5,
  falseHolds: 6,
  truncations: 7,
  stages: { decided: spread(500), requested: spread(501), first_delta: spread(650), first_packet: spread(670), ear: spread(780) },
};

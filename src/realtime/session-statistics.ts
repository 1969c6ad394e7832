import type { SessionMetrics } from './session-metrics.ts';
import type { TurnLatency } from './turn-latency.ts';

/** Enough for the longest call; the oldest go first. */
const KEPT_LATENCIES = 1000;

/** Stages are looked at while a call goes on, not afterwards. */
const KEPT_TURNS = 20;

/** The counted part of a session's snapshot. */
export interface TurnStatistics {
  /** The turns' latencies by stage, the newest ones. */
  readonly turnLatencies: readonly TurnLatency[];
  /** Answers that were prepared before a turn was over, and those of them that were thrown away. */
  readonly preparations: { readonly asked: number; readonly dropped: number };
  /** Turns given to the model. */
  readonly turns: number;
  /** Turns that a key, or the end of turn detection, took the place of. */
  readonly discardedTurns: number;
  /** Commits that were taken back because the caller went on. */
  readonly continuations: number;
  /** Times the caller took the floor from the agent. */
  readonly bargeIns: number;
  /** Times the agent fell silent for what was no interruption. */
  readonly rejectedBargeIns: number;
  /** From the caller's last voiced frame to the first frame of the answer; undefined before the first answer. */
  readonly responseLatencyMs: { readonly median: number | undefined; readonly p95: number | undefined; readonly all: readonly number[] };
}

/** Counts one session's turns, here and in the metrics of the process. */
export class SessionStatistics {
  readonly #metrics: SessionMetrics | undefined;
  readonly #latenciesMs: number[] = [];
  readonly #turnLatencies: TurnLatency[] = [];
  readonly #preparations = { asked: 0, dropped: 0 };
  #turns = 0;
  #discardedTurns = 0;
  #continuations = 0;
  #bargeIns = 0;
  #rejectedBargeIns = 0;

  constructor(metrics: SessionMetrics | undefined) {
    this.#metrics = metrics;
  }

  countTurn(continued: boolean): void {
    if (continued) {
      this.#continuations += 1;
      return;
    }
    this.#turns += 1;
    this.#metrics?.turns.inc();
  }

  countDiscardedTurn(): void {
    this.#discardedTurns += 1;
  }

  countBargeIn(verdict: 'interrupted' | 'rejected'): void {
    if (verdict === 'interrupted') this.#bargeIns += 1;
    else this.#rejectedBargeIns += 1;
    this.#metrics?.bargeIns.inc({ verdict });
  }

  addLatency(ms: number): void {
    this.#latenciesMs.push(ms);
    if (this.#latenciesMs.length > KEPT_LATENCIES) this.#latenciesMs.shift();
    this.#metrics?.responseLatencyMs.observe(ms);
  }

  countPreparation(what: 'asked' | 'dropped'): void {
    this.#preparations[what] += 1;
    this.#metrics?.preparations.inc({ what });
  }

  /** A turn was answered, and this is where the time went. */
  addTurn(latency: TurnLatency): void {
    this.#turnLatencies.push(latency);
    if (this.#turnLatencies.length > KEPT_TURNS) this.#turnLatencies.shift();
    const { decidedMs, requestedMs, firstDeltaMs, firstPacketMs, earMs } = latency;
    const stages = { decided: decidedMs, requested: requestedMs, first_delta: firstDeltaMs, first_packet: firstPacketMs, ear: earMs };
    for (const [stage, ms] of Object.entries(stages)) if (ms !== undefined) this.#metrics?.turnLatencyMs.observe({ stage }, ms);
  }

  snapshot(): TurnStatistics {
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b);
    return {
      turnLatencies: [...this.#turnLatencies],
      preparations: { ...this.#preparations },
      turns: this.#turns,
      discardedTurns: this.#discardedTurns,
      continuations: this.#continuations,
      bargeIns: this.#bargeIns,
      rejectedBargeIns: this.#rejectedBargeIns,
      responseLatencyMs: { median: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), all: [...this.#latenciesMs] },
    };
  }
}

/** The smallest value that at least this share of them do not exceed. */
function quantile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

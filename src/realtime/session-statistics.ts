import type { LegOrigin } from '../leg/leg.ts';
import { type Spread, spreadOf, TURN_STAGES, type TurnLedger, type TurnStage } from '../leg/turn-ledger.ts';
import type { SessionMetrics } from './session-metrics.ts';
import type { TurnLatency } from './turn-latency.ts';

/** Enough for the longest call; the oldest go first. */
const KEPT_LATENCIES = 1000;

/** Single turns are looked at while a call goes on; afterwards its ledger. */
const SHOWN_TURNS = 20;

/** The counted part of a session's snapshot. */
export interface TurnStatistics {
  /** The turns' latencies by stage, the newest ones. */
  readonly turnLatencies: readonly TurnLatency[];
  /** All turns of the call. */
  readonly ledger: TurnLedger;
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
  readonly #leg: LegOrigin['kind'];
  readonly #latenciesMs: number[] = [];
  readonly #turnLatencies: TurnLatency[] = [];
  readonly #preparations = { asked: 0, dropped: 0 };
  #turns = 0;
  #discardedTurns = 0;
  #continuations = 0;
  #bargeIns = 0;
  #rejectedBargeIns = 0;
  #answered = 0;
  #truncations = 0;

  /** @param leg who is at the other end */
  constructor(metrics: SessionMetrics | undefined, leg: LegOrigin['kind']) {
    this.#metrics = metrics;
    this.#leg = leg;
  }

  /** Calls of tools that the gateway runs. */
  get toolCalls(): SessionMetrics['toolCalls'] | undefined {
    return this.#metrics?.toolCalls;
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
    this.#answered += 1;
    this.#turnLatencies.push(latency);
    if (this.#turnLatencies.length > KEPT_LATENCIES) this.#turnLatencies.shift();
    for (const stage of TURN_STAGES) {
      const ms = stageOf(latency, stage);
      if (ms !== undefined) this.#metrics?.turnLatencyMs.observe({ stage, leg: this.#leg }, ms);
    }
  }

  /** An item of the agent was cut off. */
  countTruncation(): void {
    this.#truncations += 1;
    this.#metrics?.truncations.inc({ leg: this.#leg });
  }

  snapshot(): TurnStatistics {
    const spread = spreadOf(this.#latenciesMs);
    return {
      turnLatencies: this.#turnLatencies.slice(-SHOWN_TURNS),
      ledger: this.#ledger(),
      preparations: { ...this.#preparations },
      turns: this.#turns,
      discardedTurns: this.#discardedTurns,
      continuations: this.#continuations,
      bargeIns: this.#bargeIns,
      rejectedBargeIns: this.#rejectedBargeIns,
      responseLatencyMs: { median: spread?.p50, p95: spread?.p95, all: [...this.#latenciesMs] },
    };
  }
  #ledger(): TurnLedger {
    const stages: Partial<Record<TurnStage, Spread>> = {};
    for (const stage of TURN_STAGES) {
      const spread = spreadOf(this.#turnLatencies.map((each) => stageOf(each, stage)).filter((ms) => ms !== undefined));
      if (spread) stages[stage] = spread;
    }
    return {
      answered: this.#answered,
      continuations: this.#continuations,
      discarded: this.#discardedTurns,
      falseHolds: this.#rejectedBargeIns,
      truncations: this.#truncations,
      stages,
    };
  }
}

function stageOf(latency: TurnLatency, stage: TurnStage): number | undefined {
  switch (stage) {
    case 'decided':
      return latency.decidedMs;
    case 'requested':
      return latency.requestedMs;
    case 'first_delta':
      return latency.firstDeltaMs;
    case 'first_packet':
      return latency.firstPacketMs;
    case 'ear':
      return latency.earMs;
  }
}

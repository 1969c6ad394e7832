import type { Counter, Histogram, Metrics } from '../base/metrics.ts';

/** From a fast answer of the embedded agent to a caller who hangs up on a slow one. */
const LATENCY_BUCKETS_MS = [100, 200, 300, 400, 500, 600, 800, 1000, 1300, 1600, 2000, 3000, 5000, 10_000];

/** What all sessions of a process count together. */
export interface SessionMetrics {
  readonly turns: Counter;
  readonly bargeIns: Counter<'verdict'>;
  readonly responseLatencyMs: Histogram;
  readonly turnLatencyMs: Histogram<'stage' | 'leg'>;
  readonly truncations: Counter<'leg'>;
  readonly preparations: Counter<'what'>;
  readonly toolCalls: Counter<'outcome'>;
}

/** Registers them; once a process. */
export function createSessionMetrics(metrics: Metrics): SessionMetrics {
  return {
    turns: metrics.counter('turns_total', "Callers' turns given to a model; one that went on after an early commit counts once"),
    bargeIns: metrics.counter('barge_ins_total', 'Times a caller spoke while the agent spoke, by what came of it', ['verdict']),
    responseLatencyMs: metrics.histogram(
      'response_latency_ms',
      "From the caller's last voiced frame to the first audio of the response on the wire",
      LATENCY_BUCKETS_MS,
    ),
    turnLatencyMs: metrics.histogram(
      'turn_latency_ms',
      "From the caller's last voiced frame to each stage of the answer: decided, requested, first_delta, first_packet, ear (an estimate)",
      LATENCY_BUCKETS_MS,
      ['stage', 'leg'],
    ),
    truncations: metrics.counter('truncations_total', 'Items of the agent that were cut off', ['leg']),
    preparations: metrics.counter('preparations_total', 'Answers prepared before a turn was over: asked for, and dropped of those', [
      'what',
    ]),
    toolCalls: metrics.counter('tool_calls_total', 'Calls of tools that the gateway runs, by what came of them', ['outcome']),
  };
}

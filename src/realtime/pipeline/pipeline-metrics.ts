import type { Counter, Histogram, Metrics } from '../../base/metrics.ts';

/** What all conversations with services in a row count together. */
export interface PipelineMetrics {
  /** What came of requests: `answered`, `hedged`, `retried`, or the code of a fault. */
  readonly requests: Counter<'stage' | 'event'>;
  readonly firstWordMs: Histogram<'stage'>;
  /** `fallback`, `patience`. */
  readonly spares: Counter<'what'>;
}

const BUCKETS_MS = [50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000];

/** Registers them; once a process. */
export function createPipelineMetrics(metrics: Metrics): PipelineMetrics {
  return {
    requests: metrics.counter('pipeline_requests_total', 'Requests to the services of a pipeline, by what became of them', [
      'stage',
      'event',
    ]),
    firstWordMs: metrics.histogram('pipeline_first_word_ms', 'From a request to the first word or sound of its answer', BUCKETS_MS, [
      'stage',
    ]),
    spares: metrics.counter('pipeline_spares_total', 'What was said instead of an answer, by kind', ['what']),
  };
}

import type { Counter, Metrics } from '../../base/metrics.ts';

/** What all conversations with model servers count together. */
export interface UpstreamMetrics {
  /** `ready`, `refreshed`, `lost`, `gave_up`. */
  readonly links: Counter<'event'>;
  readonly strange: Counter<'what'>;
}

/** Registers them; once a process. */
export function createUpstreamMetrics(metrics: Metrics): UpstreamMetrics {
  return {
    links: metrics.counter('upstream_links_total', 'Connections to model servers, by what became of them', ['event']),
    strange: metrics.counter('upstream_strange_total', 'What model servers sent and should not have, by kind', ['what']),
  };
}

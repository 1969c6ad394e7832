import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { mergeMetrics } from './merge-metrics.ts';

/** The metrics of one process, served as text on /metrics. Names start with `ringdown_`. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #others: (() => Promise<readonly string[]>)[] = [];

  /** @param labels that everything here bears: what tells the processes apart whose metrics are served together */
  constructor(labels: Readonly<Record<string, string>> = {}) {
    this.#registry.setDefaultLabels(labels);
  }

  counter<L extends string = never>(name: string, help: string, labels: readonly L[] = []): Counter<L> {
    return new Counter({ name: `ringdown_${name}`, help, labelNames: [...labels], registers: [this.#registry] });
  }

  gauge<L extends string = never>(name: string, help: string, labels: readonly L[] = []): Gauge<L> {
    return new Gauge({ name: `ringdown_${name}`, help, labelNames: [...labels], registers: [this.#registry] });
  }

  /** A gauge that is read when somebody asks for the metrics. */
  observe(name: string, help: string, read: () => number): void {
    new Gauge({
      name: `ringdown_${name}`,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  histogram<L extends string = never>(name: string, help: string, buckets: readonly number[], labels: readonly L[] = []): Histogram<L> {
    return new Histogram({ name: `ringdown_${name}`, help, buckets: [...buckets], labelNames: [...labels], registers: [this.#registry] });
  }

  /** What other processes have measured is served with ours. @param read gives their texts, within a second */
  join(read: () => Promise<readonly string[]>): void {
    this.#others.push(read);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async text(): Promise<string> {
    const own = await this.#registry.metrics();
    if (this.#others.length === 0) return own;
    const others = await Promise.all(this.#others.map((read) => read()));
    return mergeMetrics([own, ...others.flat()]);
  }
}

export type { Counter, Gauge, Histogram };

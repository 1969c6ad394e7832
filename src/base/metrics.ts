import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process, served as text on /metrics. Names start with `ringdown_`. */
export class Metrics {
  readonly #registry = new Registry();

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

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

export type { Counter, Gauge, Histogram };

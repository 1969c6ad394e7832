import { type Endpoint, endpointText } from './endpoint.ts';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

function labelsOf(text: string): Labels {
  return Object.fromEntries([...text.matchAll(LABEL)].map(([, name, value]) => [name, (value ?? '').replace(/\\(.)/g, '$1')]));
}

/** Metrics as Prometheus reads them, at one moment. */
export class MetricsText {
  readonly #samples: readonly Sample[];

  constructor(text: string) {
    this.#samples = text.split('\n').flatMap((line) => {
      const [, name, labels = '', value] = LINE.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [{ name, labels: labelsOf(labels), value: Number(value) }];
    });
  }

  get names(): readonly string[] {
    return [...new Set(this.#samples.map((each) => each.name))];
  }

  /** All samples of this name that have at least these labels, added up; 0 without any. */
  sum(name: string, labels: Labels = {}): number {
    return this.#matching(name, labels).reduce((sum, each) => sum + each.value, 0);
  }

  /** The one sample of this name with these labels. @throws Error when there is none, or more than one */
  value(name: string, labels: Labels = {}): number {
    const found = this.#matching(name, labels);
    const [only] = found;
    if (!only || found.length > 1) throw new Error(`${found.length} metrics match ${name} ${JSON.stringify(labels)}`);
    return only.value;
  }

  has(name: string): boolean {
    return this.#samples.some((each) => each.name === name);
  }

  #matching(name: string, labels: Labels): readonly Sample[] {
    return this.#samples.filter((each) => each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value));
  }
}

/** Fetches /metrics. @throws Error when it is not served */
export async function readMetrics(http: Endpoint): Promise<MetricsText> {
  const response = await fetch(`http://${endpointText(http)}/metrics`);
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
  return new MetricsText(await response.text());
}

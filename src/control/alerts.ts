import type { Alert } from '../base/alert.ts';
import type { Clock } from '../base/clock.ts';
import { randomText } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import { WebhookDelivery, type WebhookPost, type WebhookTarget } from './webhook-delivery.ts';

export interface AlertsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly post: WebhookPost;
}

export interface AlertsOptions {
  readonly webhook?: WebhookTarget;
  /** One of a kind and a subject in this time; those between are counted, and told with the next. */
  readonly everyMs: number;
}

/** Kinds times trunks, and some addresses that attack; the one told first makes room. */
const MAX_SUBJECTS = 256;
/** Of all subjects together: an attack from a thousand addresses is one thing to look at. */
const PER_MINUTE = 30;
const MINUTE_MS = 60_000;
/** A receiver that restarts gets it all the same. */
const WITHIN_MS = 60_000;
/** 96 bits. */
const EVENT_CHARACTERS = 16;

/** Tells whoever runs the gateway: by log, metric and webhook, each thing once in a while however often it happens. Every alert is counted. */
export class Alerts {
  readonly #deps: AlertsDeps;
  #options: AlertsOptions;
  readonly #counter: Counter<'kind'>;
  readonly #told = new Map<string, { readonly at: number; more: number }>();
  #minute = 0;
  #inMinute = 0;

  constructor(deps: AlertsDeps, options: AlertsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#counter = deps.metrics.counter('alerts_total', 'Things that whoever runs the gateway should look at.', ['kind']);
  }

  configure(options: AlertsOptions): void {
    this.#options = options;
  }

  raise({ kind, subject, detail }: Alert): void {
    this.#counter.inc({ kind });
    const now = this.#deps.clock.now();
    const key = `${kind} ${subject}`;
    const before = this.#told.get(key);
    if (before && now - before.at < this.#options.everyMs) {
      before.more += 1;
      return;
    }
    const minute = Math.floor(now / MINUTE_MS);
    if (minute !== this.#minute) this.#inMinute = 0;
    this.#minute = minute;
    this.#inMinute += 1;
    if (this.#inMinute > PER_MINUTE) return;
    this.#told.delete(key);
    if (this.#told.size >= MAX_SUBJECTS) this.#told.delete(this.#told.keys().next().value ?? '');
    this.#told.set(key, { at: now, more: 0 });
    const suppressed = before?.more ?? 0;
    this.#deps.log.warn({ kind, subject, detail, suppressed }, 'alert');
    this.#post({ kind, subject, detail, suppressed });
  }

  #post(data: Alert & { readonly suppressed: number }): void {
    const { webhook } = this.#options;
    if (!webhook) return;
    const { clock, post, log } = this.#deps;
    const id = `evt_${randomText(EVENT_CHARACTERS)}`;
    const createdAt = Math.floor(clock.wallclock() / 1000);
    const body = JSON.stringify({ object: 'event', id, type: 'ringdown.alert', created_at: createdAt, data });
    const delivery = new WebhookDelivery({ clock, post }, webhook, { id, body }, WITHIN_MS);
    void delivery.outcome.then((outcome) => {
      if (outcome === 'undelivered') log.warn({ kind: data.kind }, 'alert not delivered');
    });
  }
}

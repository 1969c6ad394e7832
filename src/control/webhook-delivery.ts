import type { Clock, Timer } from '../base/clock.ts';
import { randomUint32 } from '../base/ids.ts';
import { type SignedParts, signWebhook } from './webhook-signature.ts';

/** Where an event goes. */
export interface WebhookTarget {
  readonly url: string;
  readonly secrets: readonly string[];
}

/** Posts a request and looks at nothing but the status. Rejects when there is none, or when the signal says so. */
export type WebhookPost = (url: string, headers: Readonly<Record<string, string>>, body: string, signal: AbortSignal) => Promise<number>;

export type AttemptResult = 'delivered' | 'refused' | 'redirected' | 'timed_out' | 'failed';

export interface WebhookDeliveryDeps {
  readonly clock: Clock;
  readonly post: WebhookPost;
  readonly onAttempt?: (result: AttemptResult) => void;
}

/** What became of it: `cancelled` when nobody needs it any more. */
export type DeliveryOutcome = 'delivered' | 'undelivered' | 'cancelled';

/** A receiver says 2xx at once and works afterwards; who takes longer is asked again. */
const ATTEMPT_MS = 3000;
/** Before the second try; twice as long before each one after it. */
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5000;
/** An attempt that is cut off this soon is not worth its connection. */
const LEAST_ATTEMPT_MS = 50;

/** Brings one event to its receiver: again and again with the same id, until it is taken, nobody needs it any more, or the time is over. */
export class WebhookDelivery {
  readonly outcome: Promise<DeliveryOutcome>;
  readonly #deps: WebhookDeliveryDeps;
  readonly #target: WebhookTarget;
  readonly #id: string;
  readonly #body: string;
  readonly #until: number;
  #settle: (outcome: DeliveryOutcome) => void = () => undefined;
  #tries = 0;
  #over = false;
  #abort: AbortController | undefined;
  #timer: Timer | undefined;

  /** Begins at once. @param withinMs no try begins or ends later */
  constructor(deps: WebhookDeliveryDeps, target: WebhookTarget, event: { readonly id: string; readonly body: string }, withinMs: number) {
    this.#deps = deps;
    this.#target = target;
    this.#id = event.id;
    this.#body = event.body;
    this.#until = deps.clock.now() + withinMs;
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#try();
  }

  /** Nobody needs it any more. */
  cancel(): void {
    this.#end('cancelled');
  }

  #try(): void {
    const { clock, onAttempt } = this.#deps;
    const left = Math.min(ATTEMPT_MS, this.#until - clock.now());
    if (left < LEAST_ATTEMPT_MS) {
      this.#end('undelivered');
      return;
    }
    this.#tries += 1;
    const abort = new AbortController();
    let late = false;
    this.#abort = abort;
    this.#timer = clock.setTimer(left, () => {
      late = true;
      abort.abort();
    });
    this.#send(abort.signal).then(
      (status) => {
        onAttempt?.(resultOf(status));
        if (resultOf(status) === 'delivered') this.#end('delivered');
        else this.#tryLater();
      },
      () => {
        if (this.#over) return;
        onAttempt?.(late ? 'timed_out' : 'failed');
        this.#tryLater();
      },
    );
  }

  async #send(signal: AbortSignal): Promise<number> {
    const { url, secrets } = this.#target;
    const parts: SignedParts = { id: this.#id, timestamp: Math.floor(this.#deps.clock.wallclock() / 1000), body: this.#body };
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'Ringdown',
      'webhook-id': parts.id,
      'webhook-timestamp': `${parts.timestamp}`,
      'webhook-signature': signWebhook(parts, secrets),
    };
    return this.#deps.post(url, headers, this.#body, signal);
  }

  #tryLater(): void {
    this.#timer?.cancel();
    if (this.#over) return;
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#tries - 1));
    // Half of it by chance: a receiver that comes back is not met by everybody at once.
    const delay = longest / 2 + ((longest / 2) * randomUint32()) / 2 ** 32;
    if (this.#deps.clock.now() + delay >= this.#until) this.#end('undelivered');
    else this.#timer = this.#deps.clock.setTimer(delay, () => this.#try());
  }

  #end(outcome: DeliveryOutcome): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#abort?.abort();
    this.#settle(outcome);
  }
}

function resultOf(status: number): AttemptResult {
  if (status >= 200 && status < 300) return 'delivered';
  return status >= 300 && status < 400 ? 'redirected' : 'refused';
}

/** Over the network: redirections are not followed, and what the receiver answers is not read. */
export async function postWebhook(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<number> {
  const response = await fetch(url, { method: 'POST', headers: { ...headers }, body, signal, redirect: 'manual' });
  await response.body?.cancel().catch(() => undefined);
  return response.status;
}

import type { Metrics } from '../../base/metrics.ts';
import { KNOWN_METHODS } from './capabilities.ts';

/** Why a message was dropped without an answer. */
export type DropReason =
  | 'rate_limited'
  /** Its source behaves as a scanner does. */
  | 'banned'
  /** A connection that was not let in, or ended for one of these. */
  | 'too_many_connections'
  | 'too_slow'
  | 'no_tls'
  | 'too_fast'
  | 'not_reading'
  | 'not_sip'
  | 'idle'
  | 'too_large'
  /** A datagram too short for any answer to it: whoever sent it may be somebody else. */
  | 'too_short'
  | 'unparsable'
  | 'no_via'
  | 'malformed_ack'
  | 'stray_ack'
  | 'malformed_response'
  | 'stray_response';

/** The counters of the SIP engine. Labels come from closed sets, so that no peer can make them grow. */
export class SipMetrics {
  readonly #received: { inc(): void };
  readonly #sent: { inc(): void };
  readonly #dropped: (reason: DropReason) => void;
  readonly #untold: { inc(): void };
  readonly #request: (method: string) => void;
  readonly #response: (status: number) => void;

  constructor(metrics: Metrics) {
    const messages = metrics.counter('sip_messages_total', 'SIP messages on the wire', ['direction']);
    this.#received = messages.labels('in');
    this.#sent = messages.labels('out');
    const dropped = metrics.counter('sip_dropped_total', 'SIP messages dropped without an answer', ['reason']);
    this.#dropped = (reason) => dropped.inc({ reason });
    this.#untold = metrics.counter('sip_refusals_unrecorded_total', 'INVITEs refused by the engine that were too many for a record each');
    const requests = metrics.counter('sip_requests_total', 'SIP requests received, repeats included', ['method']);
    const byMethod = new Map(KNOWN_METHODS.map((method) => [method, requests.labels(method)]));
    const other = requests.labels('other');
    this.#request = (method) => (byMethod.get(method) ?? other).inc();
    const responses = metrics.counter('sip_responses_total', 'SIP responses given, repeats not included', ['status']);
    const byStatus = new Map<number, { inc(): void }>();
    this.#response = (status) => {
      const counter = byStatus.get(status) ?? responses.labels(String(status));
      byStatus.set(status, counter);
      counter.inc();
    };
  }

  received(): void {
    this.#received.inc();
  }

  sent(): void {
    this.#sent.inc();
  }

  dropped(reason: DropReason): void {
    this.#dropped(reason);
  }

  refusalUntold(): void {
    this.#untold.inc();
  }

  request(method: string): void {
    this.#request(method);
  }

  response(status: number): void {
    this.#response(status);
  }
}

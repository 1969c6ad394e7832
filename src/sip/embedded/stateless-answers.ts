import { createHmac, randomBytes } from 'node:crypto';
import type { Refused } from './admission.ts';
import type { IncomingRequest, ReplyHead } from './incoming-request.ts';
import type { SipMetrics } from './sip-metrics.ts';
import { type ResponseParts, writeResponse } from './write-response.ts';

/** Answers that leave nothing behind: one a request, and the same for each of its repeats (RFC 3261 §8.2.7). */
export class StatelessAnswers {
  readonly #metrics: SipMetrics;
  readonly #tagSecret = randomBytes(16);

  constructor(metrics: SipMetrics) {
    this.#metrics = metrics;
  }

  refuse(request: IncomingRequest, refused: Refused): void {
    this.refuseHead(request.head, refused, request.callId);
  }

  /** For a request that could not be read to its end. */
  refuseHead(head: ReplyHead, { status, reason, headers }: Refused, tagSeed: string): void {
    this.answer(head, status, { reason, headers }, tagSeed);
  }

  answer(head: ReplyHead, status: number, parts: ResponseParts, tagSeed: string): void {
    this.#metrics.response(status);
    head.flow.send(writeResponse(head, status, { ...parts, toTag: this.tag(tagSeed) }));
  }

  /** The same tag for every repeat of a request, without remembering it. */
  tag(seed: string): string {
    return createHmac('sha1', this.#tagSecret).update(seed).digest('hex').slice(0, 16);
  }
}

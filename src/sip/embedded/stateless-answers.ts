import { createHmac, randomBytes } from 'node:crypto';
import type { Refused } from './admission.ts';
import type { IncomingRequest, ReplyHead } from './incoming-request.ts';
import type { SipMetrics } from './sip-metrics.ts';
import { type ResponseParts, writeResponse } from './write-response.ts';

/** A datagram may name anybody as its sender: nobody is made to send more than half again what he sends himself. */
const LOUDEST = 1.5;

/** 32 bits (RFC 3261 §19.3). */
const SHORT_TAG = 8;

/** What an answer can do without, where it has to be short. Of several challenges the last one stays, MD5: whoever knows SHA-256 knows it too, and most phones know no other. */
const SPARE: readonly string[] = ['Accept', 'Supported', 'Allow'];

/** The answer, as long as the request lets it be: in short names, with less in it, or none at all. Over a connection it may be as long as it is. */
function writeSmall(head: ReplyHead, status: number, parts: ResponseParts): Buffer | undefined {
  const full = writeResponse(head, status, parts);
  const { flow, sizeBytes } = head;
  const most = flow.reliable || sizeBytes === undefined ? Number.POSITIVE_INFINITY : sizeBytes * LOUDEST;
  if (full.length <= most) return full;
  const needed = parts.headers?.filter(([name]) => !SPARE.includes(name)) ?? [];
  const lasts = needed.filter(([name], at) => needed.findLastIndex(([other]) => other === name) === at);
  for (const headers of [parts.headers, needed, lasts]) {
    const short = writeResponse(head, status, { ...parts, headers, toTag: parts.toTag?.slice(0, SHORT_TAG) }, true);
    if (short.length <= most) return short;
  }
  return undefined;
}

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
    const message = writeSmall(head, status, { ...parts, toTag: this.tag(tagSeed) });
    if (!message) {
      this.#metrics.dropped('too_short');
      return;
    }
    this.#metrics.response(status);
    head.flow.send(message);
  }

  /** The same tag for every repeat of a request, without remembering it. */
  tag(seed: string): string {
    return createHmac('sha1', this.#tagSecret).update(seed).digest('hex').slice(0, 16);
  }
}

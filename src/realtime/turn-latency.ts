/** Where the time went between a caller's last sound and the first sound of the answer. Milliseconds after the last voiced frame came in. */
export interface TurnLatency {
  /** The item of the turn. */
  readonly itemId: string;
  readonly responseId: string | undefined;
  /** It was decided that the turn is over. */
  readonly decidedMs: number;
  /** The model has been asked. */
  readonly requestedMs: number;
  /** The first thing it said; undefined when what was heard came before the turn's response was known. */
  readonly firstDeltaMs: number | undefined;
  /** The first frame of the answer was pulled for the wire. */
  readonly firstPacketMs: number;
  /** It was heard, as far as the path's round trip tells; undefined where that is not known. */
  readonly earMs: number | undefined;
}

/** What the far end keeps before it plays: an ordinary jitter buffer. */
export const FAR_BUFFER_MS = 60;

interface Running {
  readonly itemId: string;
  readonly speechEndedAt: number;
  readonly decidedAt: number;
  requestedAt: number;
  firstDeltaAt: number | undefined;
  responseId: string | undefined;
}

/** Follows the turn that waits for its answer; there is one at a time. */
export class LatencyLedger {
  #running: Running | undefined;

  /** The turn is over, and decided to be. */
  decided(itemId: string, speechEndedAt: number, now: number): void {
    this.#running = { itemId, speechEndedAt, decidedAt: now, requestedAt: now, firstDeltaAt: undefined, responseId: undefined };
  }

  requested(now: number): void {
    if (this.#running) this.#running.requestedAt = now;
  }

  /** The model says something. */
  said(responseId: string, now: number): void {
    if (!this.#running || this.#running.firstDeltaAt !== undefined) return;
    this.#running.firstDeltaAt = now;
    this.#running.responseId = responseId;
  }

  /** No answer of it will be heard. */
  dropped(): void {
    this.#running = undefined;
  }

  /** The first frame of the answer leaves; undefined when no turn waits for one. */
  left(now: number, rttMs: number | undefined): TurnLatency | undefined {
    const running = this.#running;
    if (!running) return undefined;
    this.#running = undefined;
    const { itemId, responseId, speechEndedAt, decidedAt, requestedAt, firstDeltaAt } = running;
    const firstPacketMs = now - speechEndedAt;
    return {
      itemId,
      responseId,
      decidedMs: decidedAt - speechEndedAt,
      requestedMs: requestedAt - speechEndedAt,
      firstDeltaMs: firstDeltaAt === undefined ? undefined : firstDeltaAt - speechEndedAt,
      firstPacketMs,
      earMs: rttMs === undefined ? undefined : firstPacketMs + rttMs / 2 + FAR_BUFFER_MS,
    };
  }
}

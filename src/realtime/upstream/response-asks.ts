import type { ResponseRequest } from '../model.ts';

/** A response that we ask the server for. */
export interface Ask {
  readonly kind: 'turn' | 'request' | 'greeting' | 'continuation';
  readonly outOfBand: boolean;
  readonly request?: ResponseRequest | undefined;
  readonly instructions?: string | undefined;
  /** The session has been told of it under this name already, by a connection that was lost. */
  readonly responseId?: string | undefined;
  /** Of the response.create that asked for it last. */
  eventId: string | undefined;
  refusals: number;
  cancelled: boolean;
}

/** Asks that wait or are sent. A turn and a few requests; more is a program in a loop. */
const MOST_ASKS = 8;

/** A response that was cancelled blocks the next one only for so long: some servers never say that it is done. */
const SETTLE_MS = 1000;

/** The ask's event id in a response's metadata: servers that give metadata back tell us which answer is whose. */
export const ASK_KEY = 'ringdown_ask';

/**
 * What was asked of the server and has no answer yet. Only one response at a time may speak in a conversation: the next
 * in-band ask is sent when the one before is done.
 */
export class ResponseAsks {
  #waiting: Ask[] = [];
  #sent: Ask[] = [];
  /** Nothing in band is sent before this, after a cancellation or a refusal. */
  #blockedUntil = Number.NEGATIVE_INFINITY;
  #cancelling = false;

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#sent.length === 0;
  }

  get isFull(): boolean {
    return this.#waiting.length + this.#sent.length >= MOST_ASKS;
  }

  /** The ask of the conversation that was sent and has no answer. */
  get unanswered(): Ask | undefined {
    return this.#sent.find(({ outOfBand }) => !outOfBand);
  }

  /** @param first before all others: it was under way already */
  add(ask: Ask, first = false): void {
    if (first) this.#waiting.unshift(ask);
    else this.#waiting.push(ask);
  }

  /**
   * The next one to send, which counts as sent from then on.
   * @param speaking does a response of the conversation itself run?
   */
  take(speaking: boolean, now: number): Ask | undefined {
    const blocked = now < this.#blockedUntil || (!this.#cancelling && (speaking || this.#sent.some(({ outOfBand }) => !outOfBand)));
    const at = this.#waiting.findIndex(({ outOfBand }) => outOfBand || !blocked);
    const [ask] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (!ask) return undefined;
    if (!ask.outOfBand) {
      this.#cancelling = false;
      // What was cancelled and has no answer by now will have none: the next answer is that of this ask.
      this.#sent = this.#sent.filter(({ outOfBand, cancelled }) => outOfBand || !cancelled);
    }
    this.#sent.push(ask);
    return ask;
  }

  /** A response began: which ask does it answer? */
  answered(match: { readonly eventId: string | undefined; readonly outOfBand: boolean }): Ask | undefined {
    let at = match.eventId === undefined ? -1 : this.#sent.findIndex(({ eventId }) => eventId === match.eventId);
    if (at < 0) at = this.#sent.findIndex(({ outOfBand }) => outOfBand === match.outOfBand);
    return at < 0 ? undefined : this.#sent.splice(at, 1)[0];
  }

  /** The server refused it. */
  refused(ask: Ask): void {
    this.#sent = this.#sent.filter((each) => each !== ask);
  }

  /** The server refused it because another response still runs: it is asked again when that is done, or a moment later. */
  postpone(ask: Ask, now: number): void {
    this.refused(ask);
    ask.refusals += 1;
    this.#waiting.unshift(ask);
    this.#blockedUntil = now + SETTLE_MS;
    this.#cancelling = true;
  }

  /** A response of the conversation is over: the next one may be asked for. */
  settled(): void {
    this.#blockedUntil = Number.NEGATIVE_INFINITY;
  }

  /** A response was cancelled: the next one waits until it is done, or for a moment. */
  cancelling(now: number): void {
    this.#blockedUntil = now + SETTLE_MS;
    this.#cancelling = true;
  }

  /**
   * Takes back the asks of the conversation that have no answer, or the one that the session knows by this name from a connection
   * that was lost. `told`: the server knows of it.
   */
  cancel(responseId: string | undefined, now: number): { readonly ask: Ask; readonly told: boolean }[] {
    const isMeant = (ask: Ask): boolean => !ask.cancelled && (responseId === undefined ? !ask.outOfBand : ask.responseId === responseId);
    const sent = this.#sent.filter(isMeant);
    for (const ask of sent) ask.cancelled = true;
    if (sent.some(({ outOfBand }) => !outOfBand)) this.cancelling(now);
    const waiting = this.#waiting.filter(isMeant);
    this.#waiting = this.#waiting.filter((ask) => !isMeant(ask));
    return [...sent.map((ask) => ({ ask, told: true })), ...waiting.map((ask) => ({ ask, told: false }))];
  }

  /** Nobody waits for a sentence to be finished any more when the caller speaks. True when the server has to be told. */
  dropContinuations(now: number): boolean {
    this.#waiting = this.#waiting.filter(({ kind }) => kind !== 'continuation');
    const sent = this.#sent.filter(({ kind, cancelled }) => kind === 'continuation' && !cancelled);
    for (const ask of sent) ask.cancelled = true;
    if (sent.length > 0) this.cancelling(now);
    return sent.length > 0;
  }

  /** The connection is lost: what was sent is to be asked again, before what waits. */
  requeue(): void {
    this.#waiting = [...this.#sent.filter(({ cancelled }) => !cancelled), ...this.#waiting];
    this.#sent = [];
    this.#blockedUntil = Number.NEGATIVE_INFINITY;
    this.#cancelling = false;
  }

  nextTimeout(): number | undefined {
    return this.#cancelling && this.#waiting.length > 0 && Number.isFinite(this.#blockedUntil) ? this.#blockedUntil : undefined;
  }
}

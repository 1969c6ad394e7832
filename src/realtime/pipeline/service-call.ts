import type { FirstByteEstimate } from './first-byte-estimate.ts';
import { codeOfStatus, isTransient, type Stage, type StageFault, type StageFaultCode, stageFault } from './stage.ts';
import { bareType, type StageReader, type StageReading, WholeBody } from './stage-reader.ts';

/** How long a stage may take. All in milliseconds. */
export interface StageTimings {
  /** For the connection. */
  readonly connectMs: number;
  /** Without a first word for so long, the request is made a second time beside the first. Where the service is known, by what it takes. */
  readonly hedgeMs: number;
  /** For the first word, from the connection on. */
  readonly firstMs: number;
  /** Between two words. */
  readonly idleMs: number;
  /** For all of it. */
  readonly totalMs: number;
}

/** A request as it is sent. */
export interface StageRequest {
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/** What came of a call, or happens to it; for metrics and log. */
export type CallNote =
  | { readonly what: 'answered'; readonly afterMs: number }
  | { readonly what: 'hedged' | 'retried' }
  | { readonly what: 'attempt_failed'; readonly fault: StageFault };

export interface CallHandlers<T> {
  /** @param retryOf what was wrong with the attempt before */
  readonly request: (retryOf: StageFault | undefined) => StageRequest;
  /** @param type of the content, bare. Undefined: this is not what was asked for. */
  readonly reader: (type: string) => StageReader<T> | undefined;
  readonly onEvent: (event: T, now: number) => void;
  readonly onDone: (now: number) => void;
  readonly onFault: (fault: StageFault, now: number) => void;
  /** All that came is void; may it be asked again? Default: when nothing came. */
  readonly restart?: () => boolean;
  /** Is a refusal of the request as it was worth another form of it? */
  readonly adapt?: (fault: StageFault) => boolean;
}

/** What a call needs of the row. */
export interface CallSurroundings {
  readonly timings: StageTimings;
  readonly estimate: FirstByteEstimate;
  /** Sends; gives the attempt's name. */
  readonly send: (request: StageRequest) => number;
  readonly abort: (attempt: number) => void;
  /** The rest of the answer matters to nobody, but its connection may be used again. */
  readonly finish: (attempt: number) => void;
  readonly note: (note: CallNote) => void;
  /** Never passed on. */
  readonly secret: string | undefined;
}

interface Attempt<T> {
  readonly id: number;
  readonly startedAt: number;
  connected: boolean;
  /** When something has to have come. */
  by: number;
  reader: StageReader<T> | undefined;
  /** A status that is none of 2xx, and what is said about it. */
  refusal: { readonly status: number; readonly body: WholeBody } | undefined;
}

/** Before it is listened to; and once more, when it broke off after that. */
const MOST_ATTEMPTS = 2;

/** Of what a service says about its refusal. */
const MOST_REFUSAL_BYTES = 16_384;
const MOST_DETAIL_CHARS = 200;

/**
 * One thing that is asked of a service: an attempt, and a second one when the first fails or stays silent for too long.
 * Whichever speaks first is listened to. Ends exactly once: done, with a fault, or cancelled. No I/O.
 */
export class ServiceCall<T> {
  readonly stage: Stage;
  readonly #handlers: CallHandlers<T>;
  readonly #around: CallSurroundings;
  readonly #attempts = new Map<number, Attempt<T>>();
  readonly #startedAt: number;
  /** When the attempts began of which one is to be listened to. */
  #askedAt: number;
  #made = 0;
  #brokeOff = false;
  /** After so long a second attempt is worth it; when the budget of early ones is spent, after twice of it. */
  readonly #hedgeAfterMs: number;
  #hedgeAt: number | undefined;
  #winner: Attempt<T> | undefined;
  #over = false;

  constructor(stage: Stage, handlers: CallHandlers<T>, around: CallSurroundings, now: number) {
    this.stage = stage;
    this.#handlers = handlers;
    this.#around = around;
    this.#startedAt = now;
    this.#askedAt = now;
    around.estimate.countRequest();
    this.#hedgeAfterMs = around.estimate.hedgeAfterMs(around.timings.hedgeMs);
    this.#hedgeAt = now + this.#hedgeAfterMs;
    this.#attempt(undefined, now);
  }

  get isOver(): boolean {
    return this.#over;
  }

  has(attempt: number): boolean {
    return this.#attempts.has(attempt);
  }

  nextTimeout(): number | undefined {
    if (this.#over) return undefined;
    let at = this.#startedAt + this.#around.timings.totalMs;
    for (const { by } of this.#attempts.values()) at = Math.min(at, by);
    return this.#hedgeAt === undefined ? at : Math.min(at, this.#hedgeAt);
  }

  handleTimeout(now: number): void {
    if (this.#over) return;
    if (now >= this.#startedAt + this.#around.timings.totalMs) {
      this.#fail(this.#fault('too_slow'), now);
      return;
    }
    if (this.#hedgeAt !== undefined && now >= this.#hedgeAt) this.#hedge(now);
    for (const attempt of [...this.#attempts.values()]) {
      if (now >= attempt.by && !this.#over) this.#lose(attempt, this.#fault(this.#codeOfSilence(attempt)), now);
    }
  }

  handleConnected(id: number, now: number): void {
    const attempt = this.#attempts.get(id);
    if (!attempt || attempt.connected) return;
    attempt.connected = true;
    if (attempt !== this.#winner) attempt.by = now + this.#around.timings.firstMs;
  }

  handleHead(id: number, head: { readonly status: number; readonly contentType: string | undefined }, now: number): void {
    this.handleConnected(id, now);
    const attempt = this.#attempts.get(id);
    if (!attempt || attempt.reader || attempt.refusal) return;
    const { status } = head;
    if (status < 200 || status > 299) {
      attempt.refusal = { status, body: new WholeBody(MOST_REFUSAL_BYTES) };
      return;
    }
    const type = bareType(head.contentType);
    attempt.reader = this.#handlers.reader(type);
    if (!attempt.reader) this.#lose(attempt, this.#fault('wrong_content', type === '' ? 'no content type' : type.slice(0, 64)), now);
  }

  handleData(id: number, bytes: Uint8Array, now: number): void {
    const attempt = this.#attempts.get(id);
    if (attempt?.refusal) {
      if (!attempt.refusal.body.push(bytes)) this.#refused(attempt, attempt.refusal, now);
    } else if (attempt?.reader) this.#read(attempt, attempt.reader.push(bytes), now);
  }

  handleEnd(id: number, now: number): void {
    const attempt = this.#attempts.get(id);
    if (!attempt) return;
    if (attempt.refusal) this.#refused(attempt, attempt.refusal, now);
    else if (attempt.reader) this.#read(attempt, attempt.reader.end(), now, true);
    else this.#lose(attempt, this.#fault('cut_off'), now);
  }

  handleFailure(id: number, code: StageFaultCode, detail: string | undefined, now: number): void {
    const attempt = this.#attempts.get(id);
    if (!attempt) return;
    if (attempt.refusal) this.#refused(attempt, attempt.refusal, now);
    else this.#lose(attempt, this.#fault(code, detail), now);
  }

  /** Speech that comes too slowly, say: as if the service had failed. */
  giveUp(code: StageFaultCode, now: number): void {
    const attempt = this.#winner;
    if (attempt && !this.#over) this.#lose(attempt, this.#fault(code), now);
  }

  /** Nobody wants it any more. */
  cancel(): void {
    this.#over = true;
    this.#hedgeAt = undefined;
    for (const id of this.#attempts.keys()) this.#around.abort(id);
    this.#attempts.clear();
  }

  #attempt(retryOf: StageFault | undefined, now: number): void {
    this.#made += 1;
    const id = this.#around.send(this.#handlers.request(retryOf));
    const { connectMs } = this.#around.timings;
    this.#attempts.set(id, { id, startedAt: now, connected: false, by: now + connectMs, reader: undefined, refusal: undefined });
  }

  #hedge(now: number): void {
    const lateAt = this.#askedAt + Math.max(this.#around.timings.hedgeMs, 2 * this.#hedgeAfterMs);
    this.#hedgeAt = undefined;
    if (this.#made >= MOST_ATTEMPTS || this.#winner) return;
    if (!this.#around.estimate.takeHedge() && now < lateAt) {
      this.#hedgeAt = lateAt;
      return;
    }
    this.#around.note({ what: 'hedged' });
    this.#attempt(undefined, now);
  }

  #read(attempt: Attempt<T>, reading: StageReading<T>, now: number, over = false): void {
    if (this.#winner && this.#winner !== attempt) return;
    if (reading.events.length > 0) {
      if (!this.#winner) this.#win(attempt, now);
      attempt.by = now + this.#around.timings.idleMs;
    }
    for (const event of reading.events) {
      this.#handlers.onEvent(event, now);
      if (this.#over) return;
    }
    if (reading.fault) this.#lose(attempt, this.#fault(reading.fault.code, reading.fault.detail), now);
    else if (reading.ended || over) this.#finish(attempt, over, now);
  }

  #win(attempt: Attempt<T>, now: number): void {
    this.#winner = attempt;
    this.#hedgeAt = undefined;
    const afterMs = now - attempt.startedAt;
    this.#around.estimate.add(afterMs);
    this.#around.note({ what: 'answered', afterMs });
    for (const { id } of [...this.#attempts.values()]) if (id !== attempt.id) this.#drop(id);
  }

  #drop(id: number): void {
    this.#attempts.delete(id);
    this.#around.abort(id);
  }

  #finish(attempt: Attempt<T>, ended: boolean, now: number): void {
    this.#attempts.delete(attempt.id);
    if (!ended) this.#around.finish(attempt.id);
    this.cancel();
    this.#handlers.onDone(now);
  }

  #refused(attempt: Attempt<T>, { status, body }: NonNullable<Attempt<T>['refusal']>, now: number): void {
    this.#lose(attempt, this.#fault(codeOfStatus(status), refusalText(body.text()), status), now);
  }

  /** This attempt will not be it. */
  #lose(attempt: Attempt<T>, fault: StageFault, now: number): void {
    this.#drop(attempt.id);
    this.#around.note({ what: 'attempt_failed', fault });
    const spoke = this.#winner === attempt;
    this.#winner = spoke ? undefined : this.#winner;
    if (this.#attempts.size > 0) return;
    const again = isTransient(fault) || (this.#handlers.adapt?.(fault) ?? false);
    const may = spoke ? !this.#brokeOff && (this.#handlers.restart?.() ?? false) : this.#made < MOST_ATTEMPTS;
    if (!again || !may) {
      this.#fail(fault, now);
      return;
    }
    this.#hedgeAt = undefined;
    if (spoke) {
      this.#brokeOff = true;
      this.#made = 0;
      this.#askedAt = now;
      this.#hedgeAt = now + this.#hedgeAfterMs;
    }
    this.#around.note({ what: 'retried' });
    this.#attempt(fault, now);
  }

  #fail(fault: StageFault, now: number): void {
    this.cancel();
    this.#handlers.onFault(fault, now);
  }

  #codeOfSilence(attempt: Attempt<T>): StageFaultCode {
    if (!attempt.connected) return 'connect_timeout';
    return this.#winner === attempt ? 'stalled' : 'timeout';
  }

  #fault(code: StageFaultCode, detail?: string, status?: number): StageFault {
    const { secret } = this.#around;
    const clean = detail && secret ? detail.replaceAll(secret, '[key]') : detail;
    return stageFault(this.stage, code, clean?.slice(0, MOST_DETAIL_CHARS), status);
  }
}

/** What a service says about its refusal, where it says it as the reference does; pages for people are not passed on. */
function refusalText(body: string | undefined): string | undefined {
  const found = /"(?:message|detail|error)"\s*:\s*"((?:[^"\\]|\\.){1,400})"/.exec(body ?? '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they have no place in a log
  return found?.[1]?.replace(/\\./g, ' ').replace(/[\u0000-\u001f\u007f]/g, ' ');
}

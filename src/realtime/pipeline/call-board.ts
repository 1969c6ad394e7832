import type { FirstByteEstimate } from './first-byte-estimate.ts';
import { type CallHandlers, type CallNote, ServiceCall, type StageRequest, type StageTimings } from './service-call.ts';
import type { Stage, StageFaultCode } from './stage.ts';

/** What the shell has to do for the calls. */
export type CallOutput =
  | ({ readonly type: 'request'; readonly attempt: number; readonly stage: Stage } & StageRequest)
  | { readonly type: 'abort' | 'finish'; readonly attempt: number }
  | { readonly type: 'note'; readonly stage: Stage; readonly note: CallNote };

export interface StageSettings {
  readonly timings: StageTimings;
  readonly estimate: FirstByteEstimate;
  readonly secret: string | undefined;
}

/** The calls of one conversation that run, whichever stage they are of. */
export class CallBoard {
  readonly #stages: Readonly<Record<Stage, StageSettings>>;
  readonly #output: (output: CallOutput) => void;
  readonly #calls = new Set<ServiceCall<unknown>>();
  #attempts = 0;

  constructor(stages: Readonly<Record<Stage, StageSettings>>, output: (output: CallOutput) => void) {
    this.#stages = stages;
    this.#output = output;
  }

  open<T>(stage: Stage, handlers: CallHandlers<T>, now: number, timings?: Partial<StageTimings>): ServiceCall<T> {
    const settings = this.#stages[stage];
    const around = {
      ...settings,
      timings: { ...settings.timings, ...timings },
      send: (request: StageRequest): number => {
        this.#attempts += 1;
        this.#output({ type: 'request', attempt: this.#attempts, stage, ...request });
        return this.#attempts;
      },
      abort: (attempt: number) => this.#output({ type: 'abort', attempt }),
      finish: (attempt: number) => this.#output({ type: 'finish', attempt }),
      note: (note: CallNote) => this.#output({ type: 'note', stage, note }),
    };
    const call = new ServiceCall<T>(stage, handlers, around, now);
    this.#calls.add(call as ServiceCall<unknown>);
    return call;
  }

  nextTimeout(): number | undefined {
    let at: number | undefined;
    for (const call of this.#calls) {
      const next = call.nextTimeout();
      if (next !== undefined && (at === undefined || next < at)) at = next;
    }
    return at;
  }

  handleTimeout(now: number): void {
    for (const call of [...this.#calls]) if ((call.nextTimeout() ?? Number.POSITIVE_INFINITY) <= now) call.handleTimeout(now);
    this.#sweep();
  }

  handleConnected(attempt: number, now: number): void {
    this.#of(attempt)?.handleConnected(attempt, now);
  }

  handleHead(attempt: number, head: { readonly status: number; readonly contentType: string | undefined }, now: number): void {
    this.#of(attempt)?.handleHead(attempt, head, now);
    this.#sweep();
  }

  handleData(attempt: number, bytes: Uint8Array, now: number): void {
    this.#of(attempt)?.handleData(attempt, bytes, now);
    this.#sweep();
  }

  handleEnd(attempt: number, now: number): void {
    this.#of(attempt)?.handleEnd(attempt, now);
    this.#sweep();
  }

  handleFailure(attempt: number, code: StageFaultCode, detail: string | undefined, now: number): void {
    this.#of(attempt)?.handleFailure(attempt, code, detail, now);
    this.#sweep();
  }

  /** Nothing is wanted any more. */
  close(): void {
    for (const call of this.#calls) call.cancel();
    this.#calls.clear();
  }

  #of(attempt: number): ServiceCall<unknown> | undefined {
    for (const call of this.#calls) if (call.has(attempt)) return call;
    return undefined;
  }

  #sweep(): void {
    for (const call of this.#calls) if (call.isOver) this.#calls.delete(call);
  }
}

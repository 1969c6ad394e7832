import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { DialRequest, LegDialler } from '../leg/leg.ts';
import type { FromWorker, ToWorker } from './messages.ts';

/** The front decides at once; the call itself takes longer and comes as one that is opened. */
const ANSWER_WITHIN_MS = 2000;

/** Asked and not answered: more than this is a session that asks in a loop. */
const MAX_WAITING = 256;

interface Waiting {
  readonly timer: Timer;
  readonly done: () => void;
  readonly failed: (error: GatewayError) => void;
}

/** Has the front call somebody for a session of this worker. */
export class FrontDialler implements LegDialler {
  readonly #send: (message: FromWorker) => void;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  #lastRequest = 0;

  constructor(send: (message: FromWorker) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  dial(to: DialRequest): Promise<void> {
    if (this.#waiting.size >= MAX_WAITING) return Promise.reject(new GatewayError('ERR_OVERLOADED', 'too many calls are being placed'));
    this.#lastRequest += 1;
    const request = this.#lastRequest;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(ANSWER_WITHIN_MS, () => {
        this.#waiting.delete(request);
        reject(new GatewayError('ERR_TIMEOUT', 'the front did not answer'));
      });
      this.#waiting.set(request, { timer, done: resolve, failed: reject });
      this.#send({ type: 'dial', request, to });
    });
  }

  handle({ request, refusal }: Extract<ToWorker, { type: 'dialled' }>): void {
    const waiting = this.#waiting.get(request);
    this.#waiting.delete(request);
    waiting?.timer.cancel();
    if (refusal) waiting?.failed(new GatewayError(refusal.code, refusal.message));
    else waiting?.done();
  }
}

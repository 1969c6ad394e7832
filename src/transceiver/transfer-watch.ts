import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { LegEvent } from '../leg/leg.ts';

type TransferEvent = Extract<LegEvent, { type: 'transfer' }>;

/** A phone's side answers a REFER within 32 s (Timer F, RFC 3261 §17.1.2.2) or counts as gone; this is for a leg that says nothing at all. */
const ANSWER_WITHIN_MS = 35_000;

/** RFC 3261 §21: what says that the target is at fault. */
const TARGET_AT_FAULT: ReadonlySet<number> = new Set([400, 404, 410, 414, 416, 484, 485, 604]);
const FORBIDDEN: ReadonlySet<number> = new Set([401, 403, 407, 603]);

/** Waits for the far side to take a transfer that a program asked for. One at a time. */
export class TransferWatch {
  readonly #clock: Clock;
  #waiting: { settle(error?: GatewayError): void } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param refer asks for it
   * @throws GatewayError ERR_INVALID_STATE (another one is under way, the far side cannot or the call ended), ERR_BAD_REQUEST (the target),
   *   ERR_FORBIDDEN, ERR_TIMEOUT
   */
  begin(refer: () => void): Promise<void> {
    if (this.#waiting) return Promise.reject(new GatewayError('ERR_INVALID_STATE', 'a transfer is under way'));
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(ANSWER_WITHIN_MS, () =>
        waiting.settle(new GatewayError('ERR_TIMEOUT', 'the far side does not answer the transfer')),
      );
      const waiting = {
        settle: (error?: GatewayError): void => {
          if (this.#waiting !== waiting) return;
          this.#waiting = undefined;
          timer.cancel();
          if (error) reject(error);
          else resolve();
        },
      };
      this.#waiting = waiting;
      refer();
    });
  }

  handle({ state, status }: TransferEvent): void {
    this.#waiting?.settle(state === 'failed' ? failure(status) : undefined);
  }

  /** The call is over. */
  end(): void {
    this.#waiting?.settle(new GatewayError('ERR_INVALID_STATE', 'the call ended before the transfer was taken'));
  }
}

function failure(status: number | undefined): GatewayError {
  if (status === undefined || status === 408) return new GatewayError('ERR_TIMEOUT', 'the far side does not answer the transfer');
  const message = `the transfer was refused with status ${status}`;
  if (TARGET_AT_FAULT.has(status)) return new GatewayError('ERR_BAD_REQUEST', message, { param: 'target_uri' });
  return new GatewayError(FORBIDDEN.has(status) ? 'ERR_FORBIDDEN' : 'ERR_INVALID_STATE', message);
}

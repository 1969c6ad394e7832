import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { type BridgeMessage, bridgeMessage, type HostMessage } from '../leg/messages.ts';

/** Who is asked is well and answers within milliseconds; the phone's request for it lives 32 s. */
const DESCRIBE_WITHIN_MS = 2000;

interface Asked {
  readonly leg: number;
  readonly timer: Timer;
  readonly resolve: (sdp: string | undefined) => void;
  readonly reject: (error: GatewayError) => void;
}

/** Descriptions of legs that live at another node, and wait for what it says of them. A dialog has one of them under way, so there are no more than legs. */
export class RemoteDescriptions {
  readonly #clock: Clock;
  readonly #send: (message: BridgeMessage) => boolean;
  readonly #asked = new Map<number, Asked>();
  #lastAsk = 0;

  constructor(clock: Clock, send: (message: BridgeMessage) => boolean) {
    this.#clock = clock;
    this.#send = send;
  }

  /**
   * @returns the answer to an offer; undefined for an answer that was taken
   * @throws GatewayError what the host says; ERR_BAD_OFFER (too long), ERR_TIMEOUT, ERR_NODE_UNREACHABLE, ERR_INVALID_STATE (the leg has ended)
   */
  describe(leg: number, kind: 'answer' | 'offer', sdp: string): Promise<string | undefined> {
    this.#lastAsk += 1;
    const ask = this.#lastAsk;
    const message = bridgeMessage.safeParse({ type: 'describe', leg, ask, kind, sdp });
    if (!message.success) return Promise.reject(new GatewayError('ERR_BAD_OFFER', 'the description does not fit the node door'));
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(DESCRIBE_WITHIN_MS, () => {
        this.#asked.delete(ask);
        reject(new GatewayError('ERR_TIMEOUT', 'the owner of the connection did not answer'));
      });
      this.#asked.set(ask, { leg, timer, resolve, reject });
      if (!this.#send(message.data)) this.#fail(ask, new GatewayError('ERR_NODE_UNREACHABLE', 'no connection to the node'));
    });
  }

  handle({ leg, ask, sdp, refusal }: Extract<HostMessage, { type: 'described' }>): void {
    const asked = this.#asked.get(ask);
    if (asked?.leg !== leg) return; // it came too late
    if (refusal) {
      this.#fail(ask, new GatewayError(refusal.code, refusal.message));
      return;
    }
    this.#asked.delete(ask);
    asked.timer.cancel();
    asked.resolve(sdp);
  }

  /** The leg has ended. */
  forget(leg: number): void {
    for (const [ask, asked] of this.#asked)
      if (asked.leg === leg) this.#fail(ask, new GatewayError('ERR_INVALID_STATE', 'the call has ended meanwhile'));
  }

  /** The node is gone. */
  lost(): void {
    for (const ask of [...this.#asked.keys()])
      this.#fail(ask, new GatewayError('ERR_NODE_UNREACHABLE', 'the connection to the node was lost'));
  }

  #fail(ask: number, error: GatewayError): void {
    const asked = this.#asked.get(ask);
    this.#asked.delete(ask);
    asked?.timer.cancel();
    asked?.reject(error);
  }
}

import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Peer } from '../webrtc/peer.ts';
import { type Negotiation, readOffer } from './negotiation.ts';

/** A browser that wanders between networks restarts a few times in a row, and hardly ever in the long run. */
const MAX_AT_ONCE = 8;
const ONE_MORE_EVERY_MS = 2000;

export interface IceRestartsDeps {
  readonly clock: Clock;
  readonly peer: Peer;
  readonly negotiation: Negotiation;
}

export interface IceRestartsOptions {
  /** Of the audio we send. */
  readonly ssrc: number;
  /** The peer has other ufrags now. */
  readonly onRestarted: () => void;
}

/** ICE restarts of one peer by later offers, so many and no more. */
export class IceRestarts {
  readonly #deps: IceRestartsDeps;
  readonly #options: IceRestartsOptions;
  #left = MAX_AT_ONCE;
  #countedAt: number;

  constructor(deps: IceRestartsDeps, options: IceRestartsOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#countedAt = deps.clock.now();
  }

  /**
   * @param text SDP of the offer
   * @returns SDP of the answer
   * @throws GatewayError ERR_OVERLOADED (too often), ERR_BAD_OFFER, ERR_NO_COMMON_CODEC; the connection goes on as it was
   */
  restart(text: string): string {
    this.#count();
    const { peer, negotiation } = this.#deps;
    const { ssrc, onRestarted } = this.#options;
    const offer = readOffer(text);
    const generation = negotiation.restart(offer);
    if (generation) {
      peer.restartIce(generation);
      onRestarted();
    }
    return negotiation.answerTo(offer, ssrc);
  }

  #count(): void {
    const now = this.#deps.clock.now();
    const earned = Math.floor((now - this.#countedAt) / ONE_MORE_EVERY_MS);
    this.#left = Math.min(MAX_AT_ONCE, this.#left + earned);
    this.#countedAt += earned * ONE_MORE_EVERY_MS;
    if (this.#left === 0) throw new GatewayError('ERR_OVERLOADED', 'ICE is restarted too often');
    this.#left -= 1;
  }
}

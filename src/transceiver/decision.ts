import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';

/** Whether a pending call is taken: somebody says so in time, once, or what happens otherwise happens. */
export class Decision {
  #timer: Timer | undefined;
  #open = true;

  /** @param onLate called once when nobody has decided for so long */
  constructor(clock: Clock, withinMs: number, onLate: () => void) {
    this.#timer = clock.setTimer(withinMs, () => {
      if (!this.#open) return;
      this.close();
      onLate();
    });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Whoever gets through here has decided. @throws GatewayError ERR_INVALID_STATE when somebody else has */
  take(): void {
    if (!this.#open) throw new GatewayError('ERR_INVALID_STATE', 'the call is decided already');
    this.close();
  }

  /** There is nothing left to decide. */
  close(): void {
    this.#open = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

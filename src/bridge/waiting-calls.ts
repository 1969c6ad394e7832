import type { InboundCall } from '../sip/engine.ts';

/** Whoever calls waits, and may give up meanwhile. */
export interface WaitHandlers<Found> {
  readonly onFound: (found: Found) => void;
  /** Instead of the former: the caller gave up, or end() was called. */
  readonly onLeft: (left: 'cancelled' | 'ended') => void;
}

/** Calls that are neither taken nor refused because something has to be found out about them. Bounded by whoever adds: each counts as a line. */
export class WaitingCalls<Found> {
  readonly #waiting = new Map<InboundCall, (left: 'cancelled' | 'ended') => void>();

  get size(): number {
    return this.#waiting.size;
  }

  /** How many come from this address. */
  from(address: string): number {
    let count = 0;
    for (const { source } of this.#waiting.keys()) if (source.address === address) count += 1;
    return count;
  }

  /** @param found must not fail */
  add(invite: InboundCall, found: Promise<Found>, { onFound, onLeft }: WaitHandlers<Found>): void {
    const leave = (left: 'cancelled' | 'ended'): void => {
      if (!this.#waiting.delete(invite)) return;
      invite.onCancel = undefined;
      onLeft(left);
    };
    this.#waiting.set(invite, leave);
    invite.onCancel = () => leave('cancelled');
    void found.then((each) => {
      if (!this.#waiting.delete(invite)) return;
      invite.onCancel = undefined;
      onFound(each);
    });
  }

  /** Nobody waits any longer. */
  end(): void {
    for (const leave of [...this.#waiting.values()]) leave('ended');
  }
}

import type { Socket } from 'node:net';
import { plainAddress, sourceOf } from './addresses.ts';

/** Counts the connections of a server by where they come from, an address or the /64 of IPv6, so that nobody alone can take all there may be. */
export class ConnectionLimit {
  readonly #most: number;
  /** Bounded by the connections the server takes. */
  readonly #held = new Map<string, number>();

  /** @param most connections of one source at a time */
  constructor(most: number) {
    this.#most = most;
  }

  /** Counts the connection until it closes; one too many is cut at once. */
  admit(socket: Socket): void {
    const source = sourceOf(plainAddress(socket.remoteAddress ?? ''));
    const held = this.#held.get(source) ?? 0;
    if (held >= this.#most) {
      socket.destroy();
      return;
    }
    this.#held.set(source, held + 1);
    socket.once('close', () => {
      const left = (this.#held.get(source) ?? 1) - 1;
      if (left > 0) this.#held.set(source, left);
      else this.#held.delete(source);
    });
  }
}

import type { Socket } from 'node:net';

/** Counts the connections of a server by the address they come from, so that no single address can take all there may be. */
export class ConnectionLimit {
  readonly #most: number;
  /** Bounded by the connections the server takes. */
  readonly #held = new Map<string, number>();

  /** @param most connections of one address at a time */
  constructor(most: number) {
    this.#most = most;
  }

  /** Counts the connection until it closes; one too many is cut at once. */
  admit(socket: Socket): void {
    const { remoteAddress = '' } = socket;
    const held = this.#held.get(remoteAddress) ?? 0;
    if (held >= this.#most) {
      socket.destroy();
      return;
    }
    this.#held.set(remoteAddress, held + 1);
    socket.once('close', () => {
      const left = (this.#held.get(remoteAddress) ?? 1) - 1;
      if (left > 0) this.#held.set(remoteAddress, left);
      else this.#held.delete(remoteAddress);
    });
  }
}

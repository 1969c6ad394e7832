import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../base/clock.ts';

/** A call that is over is still asked about, by a BYE that was repeated or a request that crossed ours. */
const LINGER_MS = 2000;

interface Use {
  count: number;
  timer: Timer | undefined;
}

/** How much of a call still lives on each connection: a server opens one for each call, and leaves it to us to close it. */
export class SocketUses {
  readonly #clock: Clock;
  readonly #release: (socket: Socket) => void;
  readonly #uses = new Map<Socket, Use>();

  constructor(clock: Clock, release: (socket: Socket) => void) {
    this.#clock = clock;
    this.#release = release;
  }

  get size(): number {
    return this.#uses.size;
  }

  take(socket: Socket): void {
    const use = this.#uses.get(socket);
    if (!use) {
      this.#uses.set(socket, { count: 1, timer: undefined });
      return;
    }
    use.count += 1;
    use.timer?.cancel();
    use.timer = undefined;
  }

  leave(socket: Socket): void {
    const use = this.#uses.get(socket);
    if (!use || use.count === 0) return;
    use.count -= 1;
    if (use.count > 0) return;
    use.timer = this.#clock.setTimer(LINGER_MS, () => {
      this.#uses.delete(socket);
      this.#release(socket);
    });
  }

  lost(socket: Socket): void {
    this.#uses.get(socket)?.timer?.cancel();
    this.#uses.delete(socket);
  }
}

import type { Clock } from '../../base/clock.ts';
import type { MessageSocket } from '../../base/message-socket.ts';
import type { Flow, OnSent } from './flow.ts';
import { SocketConnection } from './socket-connection.ts';
import { SourceShares } from './source-shares.ts';
import type { ConnectionEnd } from './stream-connection.ts';

export interface SocketConnectionsDeps {
  readonly clock: Clock;
  readonly admit: (address: string) => boolean;
  readonly isBanned?: ((address: string) => boolean) | undefined;
  readonly onMessage: (bytes: Buffer, flow: Flow) => void;
  readonly onSent: OnSent;
  readonly onRefused: (why: Exclude<ConnectionEnd, 'peer' | 'stopped'> | 'too_many' | 'banned') => void;
}

/** As many as over TCP: a descriptor each, and some 20 kB of a WebSocket's buffers. */
const MAX_SOCKETS = 2048;

/** RFC 6455 §7.4.1. */
const NOT_ALLOWED = 1008;

/** RFC 6455 §7.4.1: try again later. */
const TRY_LATER = 1013;

/** SIP over WebSocket (RFC 7118): sockets that another door has taken in. None can be opened from here. */
export class SocketConnections {
  readonly #deps: SocketConnectionsDeps;
  readonly #all = new Set<SocketConnection>();
  readonly #shares = new SourceShares();

  constructor(deps: SocketConnectionsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#all.size;
  }

  accept(socket: MessageSocket): void {
    const { clock, admit, isBanned, onMessage, onSent, onRefused } = this.#deps;
    const { address } = socket.remote;
    if (isBanned?.(address)) {
      socket.close(NOT_ALLOWED, 'not listened to');
      onRefused('banned');
      return;
    }
    if (this.#all.size >= MAX_SOCKETS || !this.#shares.take(address)) {
      socket.close(TRY_LATER, 'too many connections');
      onRefused('too_many');
      return;
    }
    const connection = new SocketConnection({
      clock,
      socket,
      onMessage,
      onSent,
      admit: () => admit(address),
      onClosed: (each, why) => {
        this.#all.delete(each);
        this.#shares.release(address);
        if (why !== 'peer' && why !== 'stopped') onRefused(why);
      },
    });
    this.#all.add(connection);
  }

  close(): void {
    for (const connection of this.#all) connection.close('stopped');
  }
}

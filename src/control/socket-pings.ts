import type { WebSocket, WebSocketServer } from 'ws';
import type { Clock, Timer } from '../base/clock.ts';

/** A client that does not answer a ping until the next one is gone. */
const PING_EVERY_MS = 20_000;

/** Asks every WebSocket of a server whether it is still there, and cuts those that do not answer (RFC 6455 §5.5.2). */
export class SocketPings {
  readonly #clock: Clock;
  readonly #server: WebSocketServer;
  readonly #answered = new WeakSet<WebSocket>();
  #timer: Timer | undefined;

  constructor(clock: Clock, server: WebSocketServer) {
    this.#clock = clock;
    this.#server = server;
  }

  start(): void {
    this.#timer = this.#clock.setTimer(PING_EVERY_MS, () => {
      for (const socket of this.#server.clients) {
        if (!this.#answered.delete(socket)) socket.terminate();
        else if (socket.readyState === socket.OPEN) socket.ping();
      }
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  watch(socket: WebSocket): void {
    this.#answered.add(socket);
    socket.on('pong', () => this.#answered.add(socket));
  }
}

import type { Endpoint } from '../../base/addresses.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { MessageSocket } from '../../base/message-socket.ts';
import type { Flow, OnSent } from './flow.ts';
import type { ConnectionEnd } from './stream-connection.ts';

export interface SocketConnectionDeps {
  readonly clock: Clock;
  readonly socket: MessageSocket;
  /** Whether the source may send another message now; if not, reading stops for a moment. */
  readonly admit: () => boolean;
  readonly onMessage: (bytes: Buffer, connection: SocketConnection) => void;
  readonly onSent: OnSent;
  /** Called once, whoever closed. */
  readonly onClosed: (connection: SocketConnection, why: ConnectionEnd) => void;
}

/** Whoever opens a WebSocket for SIP registers or calls at once. */
const FIRST_MESSAGE_MS = 30_000;

/** Longer than any session interval and any registration: a phone that nobody uses speaks once in that. */
const IDLE_MS = 3_600_000 + 60_000;

/** What a peer may leave unread: more than all answers to a second's burst. */
const MAX_QUEUED_BYTES = 1 << 20;

/** How long reading stops when a source sends faster than it may, and how many messages that were read by then may wait. */
const PAUSE_MS = 100;
const MAX_HELD = 64;

/** RFC 5626 §4.4.1, by RFC 7118 §6: a ping is answered by a pong. */
const PING = '\r\n\r\n';
const PONG = Buffer.from('\r\n');

/** RFC 6455 §7.4.1. */
const NORMAL = 1000;
const GOING_AWAY = 1001;
const POLICY = 1008;

/** One WebSocket: each of its messages is a SIP message (RFC 7118 §5), and it is the flow of what goes the other way. */
export class SocketConnection implements Flow {
  readonly transport: 'ws' | 'wss';
  readonly reliable = true;
  readonly remote: Endpoint;
  readonly #deps: SocketConnectionDeps;
  readonly #held: Buffer[] = [];
  #paused: Timer | undefined;
  #idle: Timer | undefined;
  #open = true;
  #lastUsed: number | undefined;

  constructor(deps: SocketConnectionDeps) {
    this.#deps = deps;
    const { socket } = deps;
    this.transport = socket.encrypted ? 'wss' : 'ws';
    this.remote = socket.remote;
    socket.onMessage = (message) => this.#receive(message);
    socket.onClose = () => this.#closed('peer');
    this.#watch(FIRST_MESSAGE_MS);
  }

  get open(): boolean {
    return this.#open;
  }

  send(message: Uint8Array, onFailed?: () => void): void {
    const { socket, onSent } = this.#deps;
    if (!this.#open) {
      onFailed?.();
      return;
    }
    if (socket.queuedBytes + message.length > MAX_QUEUED_BYTES) {
      onFailed?.();
      this.close('not_reading');
      return;
    }
    this.#used();
    onSent(message, socket.remote);
    socket.send(message, onFailed);
  }

  close(why: ConnectionEnd): void {
    if (!this.#open) return;
    this.#closed(why);
    const code = why === 'stopped' ? GOING_AWAY : why === 'idle' ? NORMAL : POLICY;
    this.#deps.socket.close(code, why.replaceAll('_', ' '));
  }

  #receive(message: Buffer): void {
    if (!this.#open) return;
    if (this.#held.length >= MAX_HELD) {
      this.close('too_fast');
      return;
    }
    this.#held.push(message);
    this.#drain();
  }

  #drain(): void {
    while (this.#open && !this.#paused) {
      const message = this.#held[0];
      if (!message) return;
      if (!this.#deps.admit()) {
        this.#pause();
        return;
      }
      this.#held.shift();
      this.#used();
      if (message.length > 4) this.#deps.onMessage(message, this);
      else if (message.toString('latin1') === PING) this.#pong();
    }
  }

  #pong(): void {
    const { socket } = this.#deps;
    if (socket.queuedBytes + PONG.length > MAX_QUEUED_BYTES) this.close('not_reading');
    else socket.send(PONG);
  }

  #pause(): void {
    const { socket, clock } = this.#deps;
    socket.pause();
    this.#paused = clock.setTimer(PAUSE_MS, () => {
      this.#paused = undefined;
      if (!this.#open) return;
      socket.resume();
      this.#drain();
    });
  }

  #used(): void {
    this.#lastUsed = this.#deps.clock.now();
  }

  #watch(waitMs: number): void {
    this.#idle = this.#deps.clock.setTimer(waitMs, () => {
      const { clock } = this.#deps;
      if (this.#lastUsed === undefined) {
        this.close('too_slow');
        return;
      }
      const left = this.#lastUsed + IDLE_MS - clock.now();
      if (left <= 0) this.close('idle');
      else this.#watch(left);
    });
  }

  #closed(why: ConnectionEnd): void {
    if (!this.#open) return;
    this.#open = false;
    this.#idle?.cancel();
    this.#paused?.cancel();
    this.#held.length = 0;
    this.#deps.socket.onMessage = undefined;
    this.#deps.onClosed(this, why);
  }
}

import type { Endpoint } from '../../base/addresses.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { StreamSocket } from '../../base/tcp.ts';
import type { Flow } from './flow.ts';
import type { Fault } from './message.ts';
import { type Framed, StreamFramer } from './stream-framer.ts';

export interface TcpConnectionDeps {
  readonly clock: Clock;
  readonly socket: StreamSocket;
  /** Whether the source may send another message now; if not, reading stops for a moment. */
  readonly admit: () => boolean;
  readonly onMessage: (bytes: Buffer, connection: TcpConnection) => void;
  /** The stream cannot be read on; `head` can still be refused. The connection closes after this. */
  readonly onFault: (head: Buffer, fault: Fault, connection: TcpConnection) => void;
  readonly onSent: () => void;
  /** Called once, whoever closed. */
  readonly onClosed: (connection: TcpConnection, why: ConnectionEnd) => void;
}

export type ConnectionEnd =
  /** The peer closed or reset it, or it never came up. */
  | 'peer'
  /** A message, or a connection of ours, was not whole in time. */
  | 'too_slow'
  /** The peer does not read what we send. */
  | 'not_reading'
  /** What came is no SIP. */
  | 'not_sip'
  /** Nobody used it for long. */
  | 'idle'
  /** We stop. */
  | 'stopped';

/** From its first byte to its last a message may take this long, and a new connection to its first message: slow senders hold nothing. */
const MESSAGE_MS = 30_000;

/** A peer that does not accept within this is not there: three SYNs. */
const CONNECT_MS = 5_000;

/** Longer than any session interval we agree to, so a dialog with session timers keeps its connection. */
const IDLE_MS = 3_600_000;

/** What a peer may leave unread: more than all answers to a second's burst. */
const MAX_QUEUED_BYTES = 1 << 20;

/** How long reading stops when a source sends faster than it may. */
const PAUSE_MS = 100;

const PONG = Buffer.from('\r\n');

/** One TCP connection: frames what comes, bounds what may be held because of it, and is the flow of what goes. */
export class TcpConnection implements Flow {
  readonly transport = 'tcp';
  readonly reliable = true;
  readonly remote: Endpoint;
  readonly #deps: TcpConnectionDeps;
  readonly #framer = new StreamFramer();
  /** What could not be admitted yet. */
  #held: Framed | undefined;
  #waiting: Timer | undefined;
  #deadline: 'connect' | 'message' | 'idle' | undefined;
  #paused: Timer | undefined;
  #open = true;
  #lastUsed: number;

  /** @param outgoing we opened it, and it may not be up yet */
  constructor(deps: TcpConnectionDeps, { outgoing }: { readonly outgoing: boolean }) {
    this.#deps = deps;
    const { socket, clock } = deps;
    this.remote = socket.remote;
    this.#lastUsed = clock.now();
    socket.onData = (chunk) => this.#receive(chunk);
    socket.onClose = () => this.#closed('peer');
    socket.onConnect = () => this.#await('idle');
    this.#await(outgoing ? 'connect' : 'message');
  }

  get open(): boolean {
    return this.#open;
  }

  send(message: Uint8Array, onFailed?: () => void): void {
    const { socket, clock, onSent } = this.#deps;
    if (!this.#open) {
      onFailed?.();
      return;
    }
    if (socket.queuedBytes + message.length > MAX_QUEUED_BYTES) {
      onFailed?.();
      this.close('not_reading');
      return;
    }
    this.#lastUsed = clock.now();
    onSent();
    socket.write(message, onFailed);
  }

  /** Ends the connection; what was written before goes out where the peer still reads. */
  close(why: ConnectionEnd): void {
    if (!this.#open) return;
    const { socket } = this.#deps;
    this.#closed(why);
    if (why === 'not_sip' || why === 'stopped') socket.end();
    else socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (!this.#open) return;
    this.#framer.push(chunk);
    this.#drain();
  }

  #drain(): void {
    while (this.#open && !this.#paused) {
      const framed = this.#held ?? this.#framer.next();
      if (!framed) break;
      this.#held = undefined;
      if (!this.#deps.admit()) {
        this.#held = framed;
        this.#pause();
        return;
      }
      this.#lastUsed = this.#deps.clock.now();
      if (framed.type === 'ping') this.#deps.socket.write(PONG);
      else if (framed.type === 'message') {
        this.#await('idle');
        this.#deps.onMessage(framed.bytes, this);
      } else {
        this.#deps.onFault(framed.head, framed.fault, this);
        this.close('not_sip');
      }
    }
    // The clock of a half message starts with its first byte and no later byte moves it.
    if (this.#open && this.#framer.partial && this.#deadline === 'idle') this.#await('message');
  }

  #pause(): void {
    this.#deps.socket.pause();
    this.#paused = this.#deps.clock.setTimer(PAUSE_MS, () => {
      this.#paused = undefined;
      if (!this.#open) return;
      this.#deps.socket.resume();
      this.#drain();
    });
  }

  #await(what: 'connect' | 'message' | 'idle'): void {
    if (what === 'idle' && this.#deadline === 'idle') return; // looks at the time of the last use when it fires
    this.#waiting?.cancel();
    this.#deadline = what;
    const { clock } = this.#deps;
    const wait = { connect: CONNECT_MS, message: MESSAGE_MS, idle: IDLE_MS }[what];
    this.#waiting = clock.setTimer(wait, () => this.#overdue(what));
  }

  #overdue(what: 'connect' | 'message' | 'idle'): void {
    if (what !== 'idle') {
      this.close('too_slow');
      return;
    }
    const { clock } = this.#deps;
    const left = this.#lastUsed + IDLE_MS - clock.now();
    if (left <= 0) this.close('idle');
    else this.#waiting = clock.setTimer(left, () => this.#overdue('idle'));
  }

  #closed(why: ConnectionEnd): void {
    if (!this.#open) return;
    this.#open = false;
    this.#waiting?.cancel();
    this.#paused?.cancel();
    const { socket } = this.#deps;
    socket.onData = undefined;
    this.#deps.onClosed(this, why);
  }
}

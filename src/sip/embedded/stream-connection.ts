import type { Endpoint } from '../../base/addresses.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { StreamSocket } from '../../base/tcp.ts';
import type { Flow, OnSent, TlsName } from './flow.ts';
import type { Fault } from './message.ts';
import { type Framed, StreamFramer } from './stream-framer.ts';

export interface StreamConnectionDeps {
  readonly clock: Clock;
  readonly socket: StreamSocket;
  /** Whether the source may send another message now; if not, reading stops for a moment. */
  readonly admit: () => boolean;
  readonly onMessage: (bytes: Buffer, connection: StreamConnection) => void;
  /** The stream cannot be read on; `head` can still be refused. The connection closes after this. */
  readonly onFault: (head: Buffer, fault: Fault, connection: StreamConnection) => void;
  readonly onSent: OnSent;
  /** Called once, whoever closed. */
  readonly onClosed: (connection: StreamConnection, why: ConnectionEnd) => void;
}

export type ConnectionEnd =
  /** The peer closed or reset it, or it never came up. */
  | 'peer'
  /** A message, or a connection of ours, was not whole in time. */
  | 'too_slow'
  /** The TLS handshake came to nothing. */
  | 'no_tls'
  /** The peer does not read what we send. */
  | 'not_reading'
  /** A WebSocket sent on when it was to wait. */
  | 'too_fast'
  /** What came is no SIP. */
  | 'not_sip'
  /** Nobody used it for long. */
  | 'idle'
  /** We stop. */
  | 'stopped';

type Deadline = 'connect' | 'handshake' | 'message' | 'idle';

/** From its first byte to its last a message may take this long, and a new connection to its first message: slow senders hold nothing. */
const MESSAGE_MS = 30_000;

/** A peer that does not accept within this is not there: three SYNs. With TLS it has had four round trips and some arithmetic. */
const CONNECT_MS = 5_000;

/** So long a client may take over its handshake: a phone on a bad network, no more. */
const HANDSHAKE_MS = 10_000;

/** Between our keep-alives on a connection that we opened (RFC 5626 §4.4.1: 95 to 120 s), so that no NAT or firewall forgets it. */
const PING_MS = 95_000;

/** So soon who has answered one ping answers the next, or is gone (§4.4.1). */
const PONG_MS = 10_000;

/** Longer than any session interval we agree to, so a dialog with session timers keeps its connection. */
const IDLE_MS = 3_600_000;

/** What a peer may leave unread: more than all answers to a second's burst. */
const MAX_QUEUED_BYTES = 1 << 20;

/** How long reading stops when a source sends faster than it may. */
const PAUSE_MS = 100;

const PING = Buffer.from('\r\n\r\n');
const PONG = Buffer.from('\r\n');

export interface StreamConnectionOptions {
  readonly transport: 'tcp' | 'tls';
  /** We opened it, and it may not be up yet. */
  readonly outgoing: boolean;
  readonly tls?: TlsName | undefined;
}

/** One connection over TCP or TLS: frames what comes, bounds what may be held because of it, and is the flow of what goes. */
export class StreamConnection implements Flow {
  readonly transport: 'tcp' | 'tls';
  readonly tls: TlsName | undefined;
  readonly reliable = true;
  readonly remote: Endpoint;
  readonly #deps: StreamConnectionDeps;
  readonly #framer = new StreamFramer();
  /** What could not be admitted yet. */
  #held: Framed | undefined;
  #waiting: Timer | undefined;
  #deadline: Deadline | undefined;
  #pinging: Timer | undefined;
  /** The peer answers pings. */
  #pongs = false;
  #ponged = false;
  #paused: Timer | undefined;
  #open = true;
  #up = false;
  #lastUsed: number;

  constructor(deps: StreamConnectionDeps, { transport, outgoing, tls }: StreamConnectionOptions) {
    this.#deps = deps;
    this.transport = transport;
    this.tls = tls;
    const { socket, clock } = deps;
    this.remote = socket.remote;
    this.#lastUsed = clock.now();
    socket.onData = (chunk) => this.#receive(chunk);
    socket.onClose = () => this.#closed(this.#deadline === 'handshake' ? 'no_tls' : 'peer');
    socket.onConnect = () => {
      this.#up = true;
      this.#await(outgoing ? 'idle' : 'message');
      if (outgoing) this.#pingLater();
    };
    if (outgoing) this.#await('connect');
    else this.#await(transport === 'tls' ? 'handshake' : 'message');
  }

  get open(): boolean {
    return this.#open;
  }

  /** We opened it and it ended before it was up. */
  get neverUp(): boolean {
    return !this.#up;
  }

  send(message: Uint8Array, onFailed?: (why?: string) => void): void {
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
    onSent(message, socket.remote);
    socket.write(message, onFailed && (() => onFailed(socket.failure)));
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
    this.#ponged = true; // whatever comes shows that somebody is there
    if (chunk.equals(PONG)) this.#pongs = true;
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
      if (framed.type === 'ping') this.#pong();
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

  #pong(): void {
    const { socket } = this.#deps;
    if (socket.queuedBytes + PONG.length > MAX_QUEUED_BYTES) this.close('not_reading');
    else socket.write(PONG);
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

  /** Keeps the way open; a peer that has answered such a ping and does not any more is gone (RFC 5626 §4.4.1). */
  #pingLater(): void {
    const { clock, socket } = this.#deps;
    this.#pinging = clock.setTimer(PING_MS, () => {
      this.#ponged = false;
      socket.write(PING);
      this.#pinging = clock.setTimer(PONG_MS, () => {
        if (this.#pongs && !this.#ponged) this.close('too_slow');
        else this.#pingLater();
      });
    });
  }

  #await(what: Deadline): void {
    if (what === 'idle' && this.#deadline === 'idle') return; // looks at the time of the last use when it fires
    this.#waiting?.cancel();
    this.#deadline = what;
    const { clock } = this.#deps;
    const wait = { connect: CONNECT_MS, handshake: HANDSHAKE_MS, message: MESSAGE_MS, idle: IDLE_MS }[what];
    this.#waiting = clock.setTimer(wait, () => this.#overdue(what));
  }

  #overdue(what: Deadline): void {
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
    this.#pinging?.cancel();
    const { socket } = this.#deps;
    socket.onData = undefined;
    this.#deps.onClosed(this, why);
  }
}

import { type Endpoint, formatEndpoint, sourceOf } from '../../base/addresses.ts';
import type { Clock } from '../../base/clock.ts';
import { speaksTo } from '../../base/local-address.ts';
import type { StreamListener, StreamSocket } from '../../base/tcp.ts';
import type { SipListener } from '../engine.ts';
import type { Flow, Transport } from './flow.ts';
import type { Fault } from './message.ts';
import { type ConnectionEnd, TcpConnection } from './tcp-connection.ts';

export interface TcpTransportDeps {
  readonly clock: Clock;
  readonly listener: StreamListener;
  readonly connect: (to: Endpoint) => StreamSocket;
  /** Whether this source may send another message now. */
  readonly admit: (address: string) => boolean;
  readonly onMessage: (bytes: Buffer, flow: Flow) => void;
  readonly onFault: (head: Buffer, fault: Fault, flow: Flow) => void;
  readonly onSent: () => void;
  /** A connection ended before its time, or was not let in. */
  readonly onRefused: (why: Exclude<ConnectionEnd, 'peer' | 'stopped'> | 'too_many') => void;
}

/** 200 phones behind one office's address, and some. */
const MAX_PER_SOURCE = 256;

/** A descriptor and about 10 kB each in the kernel; eight greedy sources have to conspire to fill it. */
const MAX_ACCEPTED = 2048;

/** Connections we open. They go to peers of calls we have, and a few peers carry most calls. */
const MAX_OPENED = 512;

/** SIP over TCP: connections that came in and those we opened, taken again for whatever goes the same way (RFC 5923). */
export class TcpTransport implements Transport {
  readonly listener: SipListener;
  readonly #deps: TcpTransportDeps;
  readonly #reaches = (address: string): boolean => speaksTo(this.listener.address, address);
  readonly #accepted = new Set<TcpConnection>();
  readonly #opened = new Set<TcpConnection>();
  readonly #bySource = new Map<string, number>();
  /** All of them by their far end. */
  readonly #byRemote = new Map<string, TcpConnection>();

  constructor(deps: TcpTransportDeps) {
    this.#deps = deps;
    this.listener = { ...deps.listener.local, transport: 'tcp' };
    deps.listener.onConnection = (socket) => this.#accept(socket);
  }

  get connections(): number {
    return this.#accepted.size + this.#opened.size;
  }

  /** A connection that stands, else one that is opened with the first thing sent. */
  flowTo(remote: Endpoint): Flow {
    const standing = this.#byRemote.get(formatEndpoint(remote));
    if (standing?.open) return standing;
    return {
      transport: 'tcp',
      reliable: true,
      remote,
      reaches: this.#reaches,
      get open() {
        return false;
      },
      send: (message, onFailed) => {
        const connection = this.#connectionTo(remote);
        if (connection) connection.send(message, onFailed);
        else onFailed?.();
      },
    };
  }

  /**
   * The way of responses: the connection the request came by, and when that is gone a new one to where the peer
   * says it listens, at the address it came from (RFC 3261 §18.2.2).
   */
  replyFlow(connection: Flow, sentBy: Endpoint): Flow {
    const reopen = (): Flow => this.flowTo(sentBy);
    return {
      transport: 'tcp',
      reliable: true,
      remote: connection.remote,
      reaches: this.#reaches,
      get open() {
        return connection.open;
      },
      send: (message, onFailed) => (connection.open ? connection : reopen()).send(message, onFailed),
    };
  }

  close(): void {
    this.#deps.listener.onConnection = undefined;
    this.#deps.listener.close();
    for (const connection of [...this.#accepted, ...this.#opened]) connection.close('stopped');
  }

  #accept(socket: StreamSocket): void {
    const source = sourceOf(socket.remote.address);
    const ofSource = this.#bySource.get(source) ?? 0;
    if (ofSource >= MAX_PER_SOURCE || this.#accepted.size >= MAX_ACCEPTED) {
      socket.destroy();
      this.#deps.onRefused('too_many');
      return;
    }
    this.#bySource.set(source, ofSource + 1);
    this.#keep(socket, this.#accepted, false);
  }

  #connectionTo(remote: Endpoint): TcpConnection | undefined {
    const standing = this.#byRemote.get(formatEndpoint(remote));
    if (standing?.open) return standing;
    if (this.#opened.size >= MAX_OPENED) {
      this.#deps.onRefused('too_many');
      return undefined;
    }
    return this.#keep(this.#deps.connect(remote), this.#opened, true);
  }

  #keep(socket: StreamSocket, into: Set<TcpConnection>, outgoing: boolean): TcpConnection {
    const { clock, onMessage, onFault, onSent } = this.#deps;
    const { address } = socket.remote;
    const connection = new TcpConnection(
      {
        clock,
        socket,
        onMessage,
        onFault,
        onSent,
        admit: () => this.#deps.admit(address),
        onClosed: (each, why) => this.#forget(each, why),
      },
      { outgoing },
    );
    into.add(connection);
    this.#byRemote.set(formatEndpoint(socket.remote), connection);
    return connection;
  }

  #forget(connection: TcpConnection, why: ConnectionEnd): void {
    if (why !== 'peer' && why !== 'stopped') this.#deps.onRefused(why);
    const remote = formatEndpoint(connection.remote);
    if (this.#byRemote.get(remote) === connection) this.#byRemote.delete(remote);
    this.#opened.delete(connection);
    if (!this.#accepted.delete(connection)) return;
    const source = sourceOf(connection.remote.address);
    const left = (this.#bySource.get(source) ?? 1) - 1;
    if (left > 0) this.#bySource.set(source, left);
    else this.#bySource.delete(source);
  }
}

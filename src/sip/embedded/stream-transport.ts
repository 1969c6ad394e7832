import { type Endpoint, formatEndpoint } from '../../base/addresses.ts';
import type { Clock } from '../../base/clock.ts';
import { GatewayError } from '../../base/errors.ts';
import { speaksTo } from '../../base/local-address.ts';
import type { StreamListener, StreamSocket } from '../../base/tcp.ts';
import type { SipListener } from '../engine.ts';
import type { Flow, OnSent, TlsName, Transport } from './flow.ts';
import type { Fault } from './message.ts';
import { SourceShares } from './source-shares.ts';
import { type ConnectionEnd, StreamConnection } from './stream-connection.ts';

export interface StreamTransportDeps {
  readonly clock: Clock;
  /** Where connections come in; without it they are only opened. */
  readonly listener: StreamListener | undefined;
  readonly connect: (to: Endpoint, tls: TlsName | undefined) => StreamSocket;
  /** What a connection that is opened now shows and whom it believes: the same object as long as that is the same. */
  readonly materialOf?: (tls: TlsName) => unknown;
  /** Whether this source may send another message now. */
  readonly admit: (address: string) => boolean;
  /** A source that is not listened to. */
  readonly isBanned?: ((address: string) => boolean) | undefined;
  readonly onMessage: (bytes: Buffer, flow: Flow) => void;
  readonly onFault: (head: Buffer, fault: Fault, flow: Flow) => void;
  readonly onSent: OnSent;
  /** A connection ended before its time, or was not let in. */
  readonly onRefused: (why: Exclude<ConnectionEnd, 'peer' | 'stopped'> | 'too_many' | 'banned', connection?: RefusedConnection) => void;
  /** A connection of ours did not come up. */
  readonly onUnreached?: (to: Endpoint, tls: TlsName | undefined, why: string) => void;
}

export interface RefusedConnection {
  readonly remote: Endpoint;
  /** In words, where something is known. */
  readonly failure: string | undefined;
}

export interface StreamTransportOptions {
  readonly transport: 'tcp' | 'tls';
  /** Where we are, for Via and Contact: the listener's place when absent. */
  readonly local?: Endpoint;
}

/** A descriptor and about 10 kB each in the kernel; eight greedy sources have to conspire to fill it. */
const MAX_ACCEPTED = 2048;

/** Connections we open. They go to peers of calls we have, and a few peers carry most calls. */
const MAX_OPENED = 512;

/** SIP over TCP or TLS: connections that came in and those we opened, taken again for whatever goes the same way (RFC 5923). */
export class StreamTransport implements Transport {
  readonly listener: SipListener;
  readonly #deps: StreamTransportDeps;
  readonly #transport: 'tcp' | 'tls';
  readonly #reaches = (address: string): boolean => speaksTo(this.listener.address, address);
  readonly #accepted = new Set<StreamConnection>();
  readonly #opened = new Set<StreamConnection>();
  readonly #shares = new SourceShares();
  /** All of them by their far end and, over TLS, by whom we asked for: a certificate that is good for one name is not for another. */
  readonly #byRemote = new Map<string, StreamConnection>();
  /** With what those we opened over TLS were opened. Certificates change; what is new goes over a connection that has shown the new one. */
  readonly #materials = new WeakMap<StreamConnection, unknown>();

  constructor(deps: StreamTransportDeps, { transport, local }: StreamTransportOptions) {
    this.#deps = deps;
    this.#transport = transport;
    const at = local ?? deps.listener?.local;
    if (!at) throw new GatewayError('ERR_INTERNAL', 'a transport that is nowhere');
    this.listener = { ...at, transport };
    if (deps.listener) deps.listener.onConnection = (socket) => this.#accept(socket);
  }

  get connections(): number {
    return this.#accepted.size + this.#opened.size;
  }

  /** A connection that stands, else one that is opened with the first thing sent. */
  flowTo(remote: Endpoint, tls?: TlsName): Flow {
    const standing = this.#standing(remote, tls);
    if (standing) return standing;
    return {
      transport: this.#transport,
      reliable: true,
      remote,
      tls,
      reaches: this.#reaches,
      get open() {
        return false;
      },
      send: (message, onFailed) => {
        const connection = this.#connectionTo(remote, tls);
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
      transport: this.#transport,
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
    const { listener } = this.#deps;
    if (listener) listener.onConnection = undefined;
    listener?.close();
    for (const connection of [...this.#accepted, ...this.#opened]) connection.close('stopped');
  }

  #accept(socket: StreamSocket): void {
    if (this.#deps.isBanned?.(socket.remote.address)) {
      socket.destroy();
      this.#deps.onRefused('banned');
      return;
    }
    if (this.#accepted.size >= MAX_ACCEPTED || !this.#shares.take(socket.remote.address)) {
      socket.destroy();
      this.#deps.onRefused('too_many');
      return;
    }
    this.#keep(socket, this.#accepted, undefined);
  }

  #standing(remote: Endpoint, tls: TlsName | undefined): StreamConnection | undefined {
    const found = this.#byRemote.get(keyOf(remote, tls));
    if (!found?.open) return undefined;
    return tls && this.#materials.get(found) !== this.#deps.materialOf?.(tls) ? undefined : found;
  }

  #connectionTo(remote: Endpoint, tls: TlsName | undefined): StreamConnection | undefined {
    const standing = this.#standing(remote, tls);
    if (standing) return standing;
    if (this.#opened.size >= MAX_OPENED) {
      this.#deps.onRefused('too_many');
      return undefined;
    }
    return this.#keep(this.#deps.connect(remote, tls), this.#opened, tls);
  }

  #keep(socket: StreamSocket, into: Set<StreamConnection>, tls: TlsName | undefined): StreamConnection {
    const { clock, onMessage, onFault, onSent } = this.#deps;
    const { address } = socket.remote;
    const connection = new StreamConnection(
      {
        clock,
        socket,
        onMessage,
        onFault,
        onSent,
        admit: () => this.#deps.admit(address),
        onClosed: (each, why) => this.#forget(each, why, socket.failure),
      },
      { transport: this.#transport, outgoing: into === this.#opened, tls },
    );
    into.add(connection);
    if (tls) this.#materials.set(connection, this.#deps.materialOf?.(tls));
    this.#byRemote.set(keyOf(socket.remote, tls), connection);
    return connection;
  }

  #forget(connection: StreamConnection, why: ConnectionEnd, failure: string | undefined): void {
    const { remote, tls } = connection;
    if (why !== 'peer' && why !== 'stopped') this.#deps.onRefused(why, { remote, failure });
    const key = keyOf(remote, tls);
    if (this.#byRemote.get(key) === connection) this.#byRemote.delete(key);
    if (this.#opened.delete(connection) && connection.neverUp) this.#deps.onUnreached?.(remote, tls, failure ?? 'no answer');
    if (this.#accepted.delete(connection)) this.#shares.release(remote.address);
  }
}

function keyOf(remote: Endpoint, tls: TlsName | undefined): string {
  return tls ? `${formatEndpoint(remote)} ${tls.profile} ${tls.name}` : formatEndpoint(remote);
}

import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Endpoint } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { portError } from '../base/udp.ts';
import { ConnectionBook } from './connection-book.ts';

export interface HttpListenerDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

export interface HttpListenerOptions {
  /** Address to listen on. */
  readonly bind: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/** Whoever connects has something to say at once. */
const FIRST_BYTE_MS = 5000;
/** A handshake is two round trips and some arithmetic; a phone on a bad network gets this. */
const HANDSHAKE_MS = 10_000;
/** A request's headers must be there so soon after its first byte, or after the handshake. */
const HEADERS_MS = 4500;
/** Node looks for late requests only so often: 4.5 s and this stay within 5 s. */
const CHECK_EVERY_MS = 500;
/** The whole request with its body: 1 MiB at 100 kB/s. */
const REQUEST_MS = 10_000;
/** Between two requests of one connection. Prometheus asks every 15 s or more, so nothing is gained by waiting longer. */
const KEEP_ALIVE_MS = 5000;
/** Browsers send the cookies of every other program on localhost. */
const MAX_HEADER_BYTES = 16_384;
/** A burst of clients that come back after an outage. */
const BACKLOG = 511;
/** How long `stop` waits for answers that are being sent. */
const STOP_MS = 500;
/** The first byte of every TLS connection: a handshake record (RFC 8446 §5.1). No HTTP method begins with it. */
const TLS_HANDSHAKE = 0x16;

/**
 * One port for HTTP with and without TLS: the first byte says which. Both end in one http.Server, which never listens itself; its limits on
 * slow requests, which Node arms only when a server listens, are armed by hand.
 */
export class HttpListener {
  readonly connections = new ConnectionBook();
  readonly #deps: HttpListenerDeps;
  readonly #options: HttpListenerOptions;
  readonly #tcp: Server;
  #http: HttpServer | undefined;
  /** With it TLS is spoken too. */
  secureContext: SecureContext | undefined;

  constructor(deps: HttpListenerDeps, options: HttpListenerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#tcp = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** The server that gets the connections. Call it once, before start. */
  serve(listener: RequestListener): HttpServer {
    this.#http = createHttpServer(
      {
        headersTimeout: HEADERS_MS,
        requestTimeout: REQUEST_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_EVERY_MS,
        maxHeaderSize: MAX_HEADER_BYTES,
      },
      listener,
    );
    return this.#http;
  }

  /**
   * Listens.
   * @throws GatewayError ERR_PORT_IN_USE naming the port and the flag that moves it
   */
  start(): Promise<Endpoint> {
    const { bind: address, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#tcp.once('error', (error) => reject(portError(error, { address, port }, 'TCP', '--http-port')));
      this.#tcp.listen({ host: address, port, exclusive: true, backlog: BACKLOG }, () => {
        this.#tcp.removeAllListeners('error');
        this.#tcp.on('error', (err) => this.#deps.log.warn({ err }, 'http server error'));
        // What Node's own server does when it listens: begin to look for requests that are late.
        this.#http?.emit('listening');
        const bound = this.#tcp.address() as AddressInfo;
        resolve({ address: bound.address, port: bound.port });
      });
    });
  }

  /** Takes no more connections and closes those there are, within half a second. Safe to call twice, and before start. */
  stop(): Promise<void> {
    if (!this.#tcp.listening) return Promise.resolve();
    return new Promise((resolve) => {
      const cut = this.#deps.clock.setTimer(STOP_MS, () => this.connections.destroyAll());
      this.#tcp.close(() => {
        cut.cancel();
        resolve();
      });
      // Ends its look-outs and what is idle; that it does not listen is no news.
      this.#http?.close(() => undefined);
    });
  }

  #accept(socket: Socket): void {
    if (!this.connections.admit(socket)) return;
    socket.on('error', () => undefined); // 'close' follows
    const timer = this.#deps.clock.setTimer(FIRST_BYTE_MS, () => socket.destroy());
    socket.once('close', () => timer.cancel());
    socket.once('readable', () => {
      timer.cancel();
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) {
        socket.destroy(); // it has ended without a word
        return;
      }
      socket.unshift(chunk);
      if (chunk[0] !== TLS_HANDSHAKE) this.#hand(socket);
      else if (this.secureContext) this.#secure(socket, this.secureContext);
      else socket.destroy();
    });
  }

  #secure(socket: Socket, secureContext: SecureContext): void {
    const secured = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
    this.connections.wrap(socket, secured);
    const timer = this.#deps.clock.setTimer(HANDSHAKE_MS, () => socket.destroy());
    // A handshake that fails has nobody to be told.
    secured.on('error', () => socket.destroy());
    secured.once('close', () => {
      timer.cancel();
      socket.destroy();
    });
    secured.once('secure', () => {
      timer.cancel();
      this.#hand(secured);
    });
  }

  #hand(socket: Duplex): void {
    this.#http?.emit('connection', socket);
  }
}

import type { Server, Socket } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { type Endpoint, plainAddress } from '../../base/addresses.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { GatewayError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { FrameFence } from './frame-fence.ts';
import { loadSrf, type SrfApp, type SrfLibrary, type SrfRequest, type SrfRequestOptions, type SrfResponse } from './srf.ts';

export interface DrachtioLinkDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** A request of somebody, on the socket it came by. */
  readonly onRequest: (request: SrfRequest, response: SrfResponse) => void;
  /** The server is gone, and with it what it held for us. */
  readonly onLost: (socket: Socket) => void;
}

export interface DrachtioLinkOptions {
  /** Where servers come to, one connection a call (`srf.listen`). */
  readonly listen?: Endpoint;
  /** Who may come there. The library says the secret to whoever connects, so nobody else gets as far as that. */
  readonly mayConnect: (address: string) => boolean;
  /** Servers that we go to (`srf.connect`): the only way to place calls. */
  readonly servers: readonly Endpoint[];
  /** Shared with the servers. */
  readonly secret: string;
  /** TLS towards us; both files or none. */
  readonly tls?: TlsOptions;
  /** Names the authorities of a server that is reached over TLS; plain TCP without it. */
  readonly serverCa?: string | Buffer;
}

/** A server that went away is tried again after this, doubling. R04 of the fault plan allows 2 s in all. */
const FIRST_RETRY_MS = 150;
const LONGEST_RETRY_MS = 5000;

/** Connections of servers at once: one a call, and as many calls as a process carries. */
const MAX_SOCKETS = 4000;

/** Everything a server may send us that begins something; the rest comes by the call it belongs to. */
const METHODS = ['invite', 'options', 'register', 'message', 'subscribe', 'publish', 'refer', 'notify', 'info', 'update', '*'];

/** A server that is there takes milliseconds; one that is not is no reason not to start. */
const REACHED_WITHIN_MS = 1000;

/**
 * The connections to drachtio servers, by drachtio-srf. Its traps are fenced here: a new instance for each attempt, because its own second attempt
 * forgets TLS and says the secret in the clear; FrameFence before its framing; listeners for every error it would otherwise throw.
 */
export class DrachtioLink {
  readonly #deps: DrachtioLinkDeps;
  readonly #options: DrachtioLinkOptions;
  readonly #sockets = new Map<Socket, SrfApp>();
  /** Of the servers that we went to: by these calls are placed, one after the other. */
  readonly #dialling = new Set<Socket>();
  readonly #retries = new Set<Timer>();
  #library: SrfLibrary | undefined;
  #server: Server | undefined;
  #whenReached: (() => void) | undefined;
  #stopped = false;

  constructor(deps: DrachtioLinkDeps, options: DrachtioLinkOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** @returns where servers come to @throws GatewayError ERR_PORT_IN_USE */
  async start(): Promise<Endpoint | undefined> {
    this.#library = await loadSrf();
    const at = this.#options.listen && (await this.#listen(this.#options.listen));
    const reached = this.#options.servers.length > 0 ? this.#serverReached() : undefined;
    for (const server of this.#options.servers) this.#connect(server, FIRST_RETRY_MS);
    await reached;
    return at;
  }

  /** Or not reached, or a while has passed. Who registers and asks its trunks as soon as it has started would wait half a minute for the next try. */
  #serverReached(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#deps.clock.setTimer(REACHED_WITHIN_MS, resolve);
      this.#whenReached = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** A connection by which a call can be placed; they take turns. */
  get dialling(): Socket | undefined {
    const [next] = this.#dialling;
    if (!next) return undefined;
    this.#dialling.delete(next);
    this.#dialling.add(next);
    return next;
  }

  /** @param done gets the request as it was sent, or why it was not */
  request(options: SrfRequestOptions, done: (error: unknown, request?: SrfRequest) => void): void {
    const srf = this.#sockets.get(options._socket);
    if (!srf) {
      done(new Error('the drachtio server is gone'));
      return;
    }
    try {
      srf.app.request(options, done);
    } catch (thrown) {
      done(thrown);
    }
  }

  /** The call of a connection that a server opened for it is over. */
  release(socket: Socket): void {
    if (!this.#dialling.has(socket)) socket.end();
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#retries) timer.cancel();
    this.#server?.close();
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  async #listen({ address, port }: Endpoint): Promise<Endpoint> {
    const srf = this.#create();
    const { secret, tls } = this.#options;
    const server = srf.listen({ host: address, port, secret, ...(tls ? { tls } : {}) });
    this.#server = server;
    server.prependListener(tls ? 'secureConnection' : 'connection', (socket: Socket) => this.#welcome(socket, srf));
    server.on('tlsClientError', (error) => this.#deps.log.info({ err: error }, 'a drachtio server failed its tls handshake'));
    await new Promise<void>((resolve, reject) => {
      server.once('listening', () => resolve());
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'EADDRINUSE'
            ? new GatewayError('ERR_PORT_IN_USE', `port ${port} for drachtio servers is in use: choose another sip.drachtio.listen`)
            : GatewayError.from(error),
        ),
      );
    });
    server.on('error', (error) => this.#deps.log.warn({ err: error }, 'the door for drachtio servers failed'));
    const at = server.address();
    return at === null || typeof at === 'string' ? { address, port } : { address: at.address, port: at.port };
  }

  #connect(server: Endpoint, retryMs: number): void {
    if (this.#stopped) return;
    const srf = this.#create();
    const { secret, serverCa } = this.#options;
    const tls = serverCa === undefined ? {} : { tls: { ca: serverCa } };
    srf.connect({ host: server.address, port: server.port, secret, ...tls, reconnect: { maxAttempts: 1 } });
    let up: Socket | undefined;
    let over = false;
    const lost = (): void => {
      if (over) return;
      over = true;
      this.#whenReached?.();
      if (up) this.#dialling.delete(up);
      this.#retry(server, up ? FIRST_RETRY_MS : Math.min(retryMs * 2, LONGEST_RETRY_MS));
    };
    const { wp } = srf.app.client;
    wp.prependListener('connect', (socket: Socket) => {
      up = socket;
      this.#admit(socket, srf);
    });
    wp.on('close', lost);
    wp.on('error', lost);
    srf.on('connect', (error: unknown) => {
      if (error || !up) this.#deps.log.error({ server: server.address }, 'a drachtio server refuses the secret');
      else {
        this.#dialling.add(up);
        this.#whenReached?.();
      }
    });
  }

  #retry(server: Endpoint, delayMs: number): void {
    if (this.#stopped) return;
    const timer = this.#deps.clock.setTimer(delayMs, () => {
      this.#retries.delete(timer);
      this.#connect(server, delayMs);
    });
    this.#retries.add(timer);
  }

  #create(): SrfApp {
    if (!this.#library) throw new GatewayError('ERR_INVALID_STATE', 'drachtio-srf is not loaded');
    const srf = new this.#library();
    srf.on('error', (error: Error) => this.#deps.log.warn({ reason: error.message }, 'connection to a drachtio server failed'));
    const handle = (request: SrfRequest, response: SrfResponse): void => {
      try {
        this.#deps.onRequest(request, response);
      } catch (error) {
        this.#deps.log.error({ err: error }, 'a sip message could not be handled');
      }
    };
    for (const method of METHODS) srf.use(method, (request, response) => handle(request, response));
    return srf;
  }

  #welcome(socket: Socket, srf: SrfApp): void {
    const address = plainAddress(socket.remoteAddress ?? '');
    if (this.#sockets.size < MAX_SOCKETS && this.#options.mayConnect(address)) {
      this.#admit(socket, srf);
      return;
    }
    this.#deps.log.warn({ from: address }, 'a stranger at the door for drachtio servers');
    socket.destroy(); // before the library writes to it
  }

  /** From now on the library gets of this socket only what the fence lets through. */
  #admit(socket: Socket, srf: SrfApp): void {
    this.#sockets.set(socket, srf);
    // The library does so where it dials; a response would wait 40 ms for an acknowledgement of what went before.
    socket.setNoDelay(true);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#dialling.delete(socket);
      this.#deps.onLost(socket);
    });
    const fence = new FrameFence((text) => this.#readable(text));
    const emit = socket.emit.bind(socket);
    socket.emit = (event: string | symbol, ...all: unknown[]): boolean => {
      const [chunk] = all;
      if (event !== 'data' || !Buffer.isBuffer(chunk)) return emit(event, ...all);
      const { sound, refused, broken } = fence.push(chunk);
      for (const frame of sound) emit('data', frame);
      for (const { transactionId, response } of refused) srf.app.client.wp.send(socket, `sip|${transactionId}|\r\n${response}`);
      if (broken) {
        this.#deps.log.warn('a drachtio server sent what is no frame');
        socket.destroy();
      }
      return true;
    };
  }

  #readable(text: string): boolean {
    if (!this.#library) return false;
    try {
      new this.#library.SipMessage(text);
      return true;
    } catch {
      return false;
    }
  }
}

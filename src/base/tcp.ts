import { createServer, isIPv6, type Server, Socket } from 'node:net';
import { type Endpoint, plainAddress } from './addresses.ts';
import { portError } from './udp.ts';

/** One TCP connection as the gateway sees it. Nothing here throws; what goes wrong ends in onClose. */
export interface StreamSocket {
  readonly remote: Endpoint;
  /** Why it did not come up, in words for a log; undefined as long as nothing is known. */
  readonly failure?: string | undefined;
  /** Bytes written that the kernel has not taken yet: the caller bounds them. */
  readonly queuedBytes: number;
  onData: ((chunk: Buffer) => void) | undefined;
  /** The connection is gone, whoever ended it. Called once; onConnect may never have been. */
  onClose: (() => void) | undefined;
  /** A connection of ours is up. Not called for accepted ones. */
  onConnect: (() => void) | undefined;
  /** @param onFailed the kernel did not take the bytes: the connection broke or never came up. */
  write(bytes: Uint8Array, onFailed?: () => void): void;
  /** Stops and restarts reading: TCP's own way to slow a sender down. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  destroy(): void;
}

export interface StreamListener {
  readonly local: Endpoint;
  onConnection: ((socket: StreamSocket) => void) | undefined;
  /** Takes no more connections; those that live go on. */
  close(): void;
}

/** Finds peers that are gone without a word in about two minutes. */
const KEEP_ALIVE_MS = 60_000;

class TcpSocket implements StreamSocket {
  readonly remote: Endpoint;
  readonly #socket: Socket;
  failure: string | undefined;
  onData: ((chunk: Buffer) => void) | undefined;
  onClose: (() => void) | undefined;
  onConnect: (() => void) | undefined;

  constructor(socket: Socket, remote: Endpoint) {
    this.#socket = socket;
    this.remote = remote;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on('data', (chunk: Buffer) => this.onData?.(chunk));
    socket.on('connect', () => this.onConnect?.());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failure = error.code; // 'close' follows
    });
    socket.on('close', () => this.onClose?.());
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array, onFailed?: () => void): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) onFailed?.();
    else this.#socket.write(bytes, (error) => error && onFailed?.());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

class TcpListener implements StreamListener {
  readonly local: Endpoint;
  readonly #server: Server;
  onConnection: ((socket: StreamSocket) => void) | undefined;

  constructor(server: Server, local: Endpoint) {
    this.#server = server;
    this.local = local;
    server.on('error', () => undefined); // accept failed (no descriptor left): the next one may work
    server.on('connection', (socket: Socket) => {
      const { remoteAddress, remotePort } = socket;
      // A connection that was reset before it was accepted has no address.
      if (!this.onConnection || remoteAddress === undefined || remotePort === undefined) socket.destroy();
      else this.onConnection(new TcpSocket(socket, { address: plainAddress(remoteAddress), port: remotePort }));
    });
  }

  close(): void {
    this.#server.close();
  }
}

/** Connections the kernel keeps until we accept them: a burst of phones that come back after an outage. */
const BACKLOG = 511;

/**
 * Listens for TCP connections; port 0 takes any free one.
 * @param flag the command line flag that moves this port, named in the error when the port is taken
 * @throws GatewayError ERR_PORT_IN_USE
 */
export function listenTcp(at: Endpoint, flag?: string): Promise<StreamListener> {
  const server = createServer({ allowHalfOpen: false });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(portError(error, at, 'TCP', flag)));
    server.listen({ host: at.address, port: at.port, backlog: BACKLOG, exclusive: true }, () => {
      server.removeAllListeners('error');
      const address = server.address();
      resolve(new TcpListener(server, { address: at.address, port: typeof address === 'object' && address ? address.port : at.port }));
    });
  });
}

/** Opens a connection; writes wait until it is up. */
export function connectTcp(to: Endpoint): StreamSocket {
  const socket = new Socket();
  const stream = new TcpSocket(socket, to);
  // A port out of range would throw where nobody catches; it comes from what peers write.
  if (to.port > 0 && to.port <= 65_535) socket.connect({ host: to.address, port: to.port, family: isIPv6(to.address) ? 6 : 4 });
  else socket.destroy();
  return stream;
}

import { once } from 'node:events';
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import { WebSocket } from 'ws';
import { type Endpoint, mustBeLoopback } from './endpoint.ts';

/** What a phone's messages go through: a UDP port, or one connection whose far end is always the same. */
export interface PhoneWire {
  readonly local: Endpoint;
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;
  send(datagram: Uint8Array, to: Endpoint): void;
  close(): void;
}

/** A TLS connection that carries SIP. */
export class TlsWire implements PhoneWire {
  readonly #socket: TLSSocket;
  readonly #remote: Endpoint;
  readonly local: Endpoint;
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;
  #bytes = Buffer.alloc(0);

  constructor(socket: TLSSocket, remote: Endpoint) {
    this.#socket = socket;
    this.#remote = remote;
    this.local = { address: socket.localAddress ?? '', port: socket.localPort ?? 0 };
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => undefined);
  }

  /** @param options of tls.connect @throws what the handshake says */
  static async open(to: Endpoint, options: ConnectionOptions): Promise<TlsWire> {
    mustBeLoopback(to);
    const socket = connect({ ...options, host: to.address, port: to.port });
    await once(socket, 'secureConnect');
    return new TlsWire(socket, to);
  }

  get open(): boolean {
    return !this.#socket.destroyed;
  }

  send(datagram: Uint8Array): void {
    this.#socket.write(datagram);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const headEnd = this.#bytes.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      const length = Number(/\r\nContent-Length: *(\d+)/i.exec(this.#bytes.toString('latin1', 0, headEnd + 2))?.[1] ?? 0);
      const end = headEnd + 4 + length;
      if (this.#bytes.length < end) return;
      const message = this.#bytes.subarray(0, end);
      this.#bytes = this.#bytes.subarray(end);
      this.onDatagram?.(message, this.#remote);
    }
  }
}

/** A WebSocket that carries SIP (RFC 7118). */
export class SocketWire implements PhoneWire {
  readonly #socket: WebSocket;
  /** As a browser knows itself: not at all. */
  readonly local: Endpoint = { address: '127.0.0.1', port: 1 };
  readonly #binary: boolean;
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;

  constructor(socket: WebSocket, remote: Endpoint, binary: boolean) {
    this.#socket = socket;
    this.#binary = binary;
    socket.on('message', (data: Buffer) => this.onDatagram?.(data, remote));
    socket.on('error', () => undefined);
  }

  static async open(
    to: Endpoint,
    { ca, binary = false }: { readonly ca?: string | undefined; readonly binary?: boolean } = {},
  ): Promise<SocketWire> {
    mustBeLoopback(to);
    const url = `${ca === undefined ? 'ws' : 'wss'}://127.0.0.1:${to.port}/sip`;
    const socket = new WebSocket(url, ['sip'], ca === undefined ? {} : { ca });
    await once(socket, 'open');
    return new SocketWire(socket, to, binary);
  }

  send(datagram: Uint8Array): void {
    this.#socket.send(datagram, { binary: this.#binary });
  }

  close(): void {
    this.#socket.terminate();
  }
}

/** A TLS server that carries SIP with whoever connected last. */
export class TlsServerWire implements PhoneWire {
  readonly #server: Server;
  readonly local: Endpoint;
  onDatagram: ((datagram: Buffer, from: Endpoint) => void) | undefined;
  /** Connections that came up, the last one last. */
  readonly connections: TlsWire[] = [];

  private constructor(server: Server, local: Endpoint) {
    this.#server = server;
    this.local = local;
    server.on('secureConnection', (socket: TLSSocket) => {
      const wire = new TlsWire(socket, { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
      wire.onDatagram = (datagram, from) => this.onDatagram?.(datagram, from);
      this.connections.push(wire);
    });
  }

  static async open(options: TlsOptions): Promise<TlsServerWire> {
    const server = createServer(options);
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const at = server.address();
    return new TlsServerWire(server, { address: '127.0.0.1', port: typeof at === 'object' && at ? at.port : 0 });
  }

  send(datagram: Uint8Array): void {
    this.connections.at(-1)?.send(datagram);
  }

  close(): void {
    for (const wire of this.connections) wire.close();
    this.#server.close();
  }
}

import { constants } from 'node:crypto';
import { createServer as createTcpServer, isIP, type Socket } from 'node:net';
import {
  connect,
  createServer,
  type PeerCertificate,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';
import { type Endpoint, plainAddress } from './addresses.ts';
import type { StreamListener, StreamSocket } from './tcp.ts';
import { tlsFailure } from './tls-failure.ts';
import { portError } from './udp.ts';

/** Nobody needs renegotiation, and a peer that asks for it again and again makes us calculate (RFC 9325 §3.5). TLS 1.2 is the oldest (§3.1.1). */
export const TLS_OPTIONS = { minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_RENEGOTIATION } as const;

/** Finds peers that are gone without a word in about two minutes. */
const KEEP_ALIVE_MS = 60_000;

/** Connections the kernel keeps until we accept them. */
const BACKLOG = 511;

/**
 * One TLS connection. What is written before its handshake is done is kept here: Node.js would hand it to a peer whose certificate it is about to refuse,
 * and say of it that it was sent.
 */
class TlsStream implements StreamSocket {
  readonly remote: Endpoint;
  readonly #raw: Socket;
  #secured: TLSSocket | undefined;
  #early: { readonly bytes: Uint8Array; readonly onFailed: (() => void) | undefined }[] = [];
  #earlyBytes = 0;
  #failure: string | undefined;
  onData: ((chunk: Buffer) => void) | undefined;
  onClose: (() => void) | undefined;
  onConnect: (() => void) | undefined;

  /** @param raw what is under it; the same for one of ours */
  constructor(raw: Socket, remote: Endpoint) {
    this.#raw = raw;
    this.remote = remote;
    raw.setNoDelay(true);
    raw.setKeepAlive(true, KEEP_ALIVE_MS);
    raw.on('error', (error: NodeJS.ErrnoException) => this.failed(tlsFailure(error)));
    raw.on('close', () => {
      this.#secured?.destroy();
      for (const { onFailed } of this.#early.splice(0)) onFailed?.();
      this.onClose?.();
    });
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  get queuedBytes(): number {
    return this.#secured?.writableLength ?? this.#earlyBytes;
  }

  /** The handshake is done. */
  secured(socket: TLSSocket): void {
    this.#secured = socket;
    socket.on('data', (chunk: Buffer) => this.onData?.(chunk));
    if (socket !== this.#raw) {
      socket.on('error', () => undefined); // 'close' follows
      socket.on('close', () => this.#raw.destroy());
    }
    for (const { bytes, onFailed } of this.#early.splice(0)) this.write(bytes, onFailed);
    this.onConnect?.();
  }

  /** Takes note of why; the first reason counts. */
  failed(why: string): void {
    this.#failure ??= why;
  }

  write(bytes: Uint8Array, onFailed?: () => void): void {
    const socket = this.#secured;
    if (!socket && !this.#raw.destroyed) {
      this.#early.push({ bytes, onFailed });
      this.#earlyBytes += bytes.length;
    } else if (!socket || socket.destroyed || socket.writableEnded) onFailed?.();
    else socket.write(bytes, (error) => error && onFailed?.());
  }

  pause(): void {
    this.#secured?.pause();
  }

  resume(): void {
    this.#secured?.resume();
  }

  end(): void {
    if (this.#secured) this.#secured.end();
    else this.#raw.destroy();
  }

  destroy(): void {
    this.#raw.destroy();
  }
}

/** What the server side shows and wants to be shown. PEM. */
export interface TlsMaterial extends Pick<SecureContextOptions, 'cert' | 'key' | 'ca'> {}

export interface TlsListener extends StreamListener {
  /** From the next handshake on. */
  setMaterial(material: TlsMaterial): void;
}

/** `requestCert`: peers must show a certificate of the authorities in `material.ca`. */
export interface TlsListenOptions {
  readonly material: TlsMaterial;
  readonly requestCert: boolean;
}

/**
 * Listens for TLS connections. Each is handed on as soon as it comes, before its handshake: whoever takes it bounds how long that may last
 * and how many there may be, and hears of its end by onConnect.
 * @throws GatewayError ERR_PORT_IN_USE
 */
export function listenTls(at: Endpoint, { material, requestCert }: TlsListenOptions, flag?: string): Promise<TlsListener> {
  const secure = createServer({
    ...material,
    ...TLS_OPTIONS,
    requestCert,
    // By us below: Node.js would cut a connection whose certificate it refuses without a word of why.
    rejectUnauthorized: false,
    handshakeTimeout: HANDSHAKE_MS,
  });
  const streams = new Map<string, TlsStream>();
  const streamOf = ({ remoteAddress = '', remotePort = 0 }: Socket): TlsStream | undefined => streams.get(`${remoteAddress} ${remotePort}`);
  secure.on('secureConnection', (socket: TLSSocket) => {
    const stream = streamOf(socket);
    if (!requestCert || socket.authorized) {
      stream?.secured(socket);
      return;
    }
    stream?.failed(tlsFailure({ code: whyUnauthorized(socket) }));
    socket.destroy();
  });
  secure.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    streamOf(socket)?.failed(tlsFailure(error));
    socket.destroy();
  });
  const server = createTcpServer({ allowHalfOpen: false });
  const listener: TlsListener = {
    local: at,
    onConnection: undefined,
    setMaterial: (next) => secure.setSecureContext({ ...next, ...TLS_OPTIONS }),
    close: () => server.close(),
  };
  server.on('connection', (socket: Socket) => {
    const { remoteAddress, remotePort } = socket;
    // A connection that was reset before it was accepted has no address.
    if (!listener.onConnection || remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return;
    }
    const key = `${remoteAddress} ${remotePort}`;
    const stream = new TlsStream(socket, { address: plainAddress(remoteAddress), port: remotePort });
    streams.set(key, stream);
    socket.once('close', () => {
      if (streams.get(key) === stream) streams.delete(key);
    });
    listener.onConnection(stream);
    if (!socket.destroyed) secure.emit('connection', socket);
  });
  return listening(server, at, flag).then((local) => Object.assign(listener, { local }));
}

/** The code of what is wrong with the certificate that a client showed, or should have. */
function whyUnauthorized(socket: TLSSocket): string {
  if (Object.keys(socket.getPeerCertificate()).length === 0) return 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';
  // A code, whatever the types say (Node.js, tls: "tlsSocket.authorizationError").
  return String(socket.authorizationError);
}

/** Longer than whoever takes the connection waits: only so that Node.js, too, has a bound. */
const HANDSHAKE_MS = 30_000;

function listening(server: ReturnType<typeof createTcpServer> | Server, at: Endpoint, flag?: string): Promise<Endpoint> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(portError(error, at, 'TCP', flag)));
    server.listen({ host: at.address, port: at.port, backlog: BACKLOG, exclusive: true }, () => {
      server.removeAllListeners('error');
      server.on('error', () => undefined); // accept failed (no descriptor left): the next one may work
      const address = server.address();
      resolve({ address: at.address, port: typeof address === 'object' && address ? address.port : at.port });
    });
  });
}

/** Whom we expect, and what we show. */
export interface TlsConnectOptions {
  readonly context: SecureContext;
  /** The name asked for, in SNI where it is no address. */
  readonly name: string;
  /** Why this certificate, whose chain is good, is not the peer's; undefined when it is. */
  readonly mismatch: (certificate: PeerCertificate) => string | undefined;
}

/** Opens a connection to a literal address; writes wait until its handshake is done. */
export function connectTls(to: Endpoint, { context, name, mismatch }: TlsConnectOptions): StreamSocket {
  const socket = connect({
    host: to.address,
    port: to.port,
    secureContext: context,
    // An address in SNI is against RFC 6066 §3, and without any Node.js would put the host there.
    servername: isIP(name) === 0 ? name.replace(/^\*\./, '') : '',
    checkServerIdentity: (_host, certificate) => {
      const wrong = mismatch(certificate);
      return wrong === undefined ? undefined : Object.assign(new Error(wrong), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    },
  });
  const stream = new TlsStream(socket, to);
  socket.once('secureConnect', () => stream.secured(socket));
  return stream;
}

import { rootCertificates } from 'node:tls';
import { type RawData, WebSocket } from 'ws';

/** Two minutes of audio in one message: what the playout keeps at the most. */
const MOST_MESSAGE_BYTES = 8 * 1024 * 1024;

/**
 * A server for which more than this waits is as good as gone. A call's audio comes as it is spoken, and a server that does not read is
 * found out by its silence before 1 MB waits; but a program may hand over a recording of 15 MiB at once.
 */
const MOST_WAITING_BYTES = 24 * 1024 * 1024;

/** A message in more pieces than this, or a buffer of more crumbs, is an attack on our memory. */
const MOST_FRAGMENTS = 4096;

/** Codes with which servers say that they will not have us, however often we ask (RFC 6455 §7.4.1, and the vendors' own). */
const PERMANENT_CLOSES = new Set([1008, 3000, 3003, 4001, 4003, 4004]);

/** Answers to the upgrade that stay the same: 200 is a web page. */
const PERMANENT_STATUSES = new Set([200, 400, 401, 403, 404, 405, 410]);

/** A server that does not answer our close is cut off after 2 s instead of ws' 30 s. (An option that ws' types do not know yet.) */
const CLOSE_SOON = { closeTimeout: 2000 };

export interface SocketOptions {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** TLS: certificates to trust beside the system's, as PEM. */
  readonly ca?: string | undefined;
  readonly handshakeTimeoutMs: number;
}

export interface SocketHandlers {
  readonly onMessage: (text: string) => void;
  readonly onBinary: () => void;
  readonly onPong: () => void;
  /** Once, whatever the reason. `reason` is one of a fixed set of words. */
  readonly onClosed: (reason: string, permanent: boolean) => void;
}

/** One WebSocket to a model server. Never throws, and never keeps more than a bounded amount for a server that does not read. */
export class UpstreamSocket {
  readonly #socket: WebSocket;
  readonly #handlers: SocketHandlers;
  #over = false;

  constructor(options: SocketOptions, handlers: SocketHandlers) {
    this.#handlers = handlers;
    this.#socket = new WebSocket(options.url, ['realtime'], {
      ...CLOSE_SOON,
      headers: options.headers,
      handshakeTimeout: options.handshakeTimeoutMs,
      maxPayload: MOST_MESSAGE_BYTES,
      maxFragments: MOST_FRAGMENTS,
      maxBufferedChunks: MOST_FRAGMENTS,
      perMessageDeflate: false, // base64 of audio does not get smaller, and a bomb would get larger
      followRedirects: false,
      ...(options.ca === undefined ? {} : { ca: [...rootCertificates, options.ca] }),
    });
    this.#socket.on('message', (data, isBinary) => this.#handleMessage(data, isBinary));
    this.#socket.on('pong', () => this.#alive() && this.#handlers.onPong());
    this.#socket.on('unexpected-response', (_request, { statusCode = 0 }) =>
      this.#end(`http_${statusCode}`, PERMANENT_STATUSES.has(statusCode)),
    );
    this.#socket.on('error', (error) => this.#end(reasonOf(error), false));
    this.#socket.on('close', (code) => this.#end(`close_${code}`, PERMANENT_CLOSES.has(code)));
  }

  send(text: string): void {
    if (this.#over || this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(text);
    if (this.#socket.bufferedAmount > MOST_WAITING_BYTES) this.#end('not_reading', false);
  }

  ping(): void {
    if (!this.#over && this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
  }

  /** Lets go of it, without a word to the handlers. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.close(1000);
  }

  #handleMessage(data: RawData, isBinary: boolean): void {
    if (this.#over) return;
    if (isBinary) this.#handlers.onBinary();
    else this.#handlers.onMessage(textOf(data));
  }

  #alive(): boolean {
    return !this.#over;
  }

  #end(reason: string, permanent: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.terminate();
    this.#handlers.onClosed(reason, permanent);
  }
}

function textOf(data: RawData): string {
  if (Buffer.isBuffer(data)) return data.toString();
  return Array.isArray(data) ? Buffer.concat(data).toString() : Buffer.from(data).toString();
}

/** An error's code in lower case: messages of errors hold addresses. */
function reasonOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'socket_error';
  return code.toLowerCase().slice(0, 48);
}

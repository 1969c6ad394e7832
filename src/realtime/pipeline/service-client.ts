import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { Clock } from '../../base/clock.ts';
import type { StageRequest } from './service-call.ts';
import type { StageFaultCode } from './stage.ts';

export interface ServiceHandlers {
  readonly onConnected: () => void;
  readonly onHead: (status: number, contentType: string | undefined) => void;
  readonly onData: (bytes: Uint8Array) => void;
  readonly onEnd: () => void;
  readonly onFailed: (code: StageFaultCode, detail: string | undefined) => void;
}

export interface OpenRequest {
  /** Nothing more of it is wanted, now. */
  abort(): void;
  /** Nothing more of it is wanted, but if it ends soon its connection is used again. */
  finish(): void;
}

/** A connection that nobody uses is closed before most servers close it, which is after 5 s where Node serves. */
const IDLE_MS = 4000;

/** A hundred calls with a request of each kind. */
const MOST_SOCKETS = 512;
const MOST_IDLE_SOCKETS = 32;

/** The last bytes of an answer that was whole before are waited for so long. */
const LINGER_MS = 1000;

/** Sends requests to services over connections that are kept. Follows no redirects, decompresses nothing. */
export class ServiceClient {
  readonly #clock: Clock;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor(clock: Clock) {
    const options = {
      keepAlive: true,
      maxSockets: MOST_SOCKETS,
      maxFreeSockets: MOST_IDLE_SOCKETS,
      timeout: IDLE_MS,
      scheduling: 'lifo' as const,
    };
    this.#clock = clock;
    this.#http = new HttpAgent(options);
    this.#https = new HttpsAgent(options);
  }

  /** After `abort` and after its end nothing more is told of it. */
  open(url: URL, headers: Readonly<Record<string, string>>, { contentType, body }: StageRequest, handlers: ServiceHandlers): OpenRequest {
    const isSecure = url.protocol === 'https:';
    const kept = isSecure ? this.#https : this.#http;
    const options = {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': contentType,
        'content-length': Buffer.byteLength(body),
        accept: '*/*',
        'accept-encoding': 'identity',
      },
    };
    const send = (fresh: boolean): ClientRequest => {
      const request = (isSecure ? requestHttps : requestHttp)(url, { ...options, agent: fresh ? false : kept });
      request.end(body);
      return request;
    };
    return new Exchange(this.#clock, send, handlers);
  }

  /** Closes what is not in use. */
  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

class Exchange implements OpenRequest {
  readonly #clock: Clock;
  readonly #send: (fresh: boolean) => ClientRequest;
  readonly #handlers: ServiceHandlers;
  #request: ClientRequest;
  #answered = false;
  #fresh = false;
  #over = false;

  /** @param send sends the request: over a connection that is kept, or a fresh one */
  constructor(clock: Clock, send: (fresh: boolean) => ClientRequest, handlers: ServiceHandlers) {
    this.#clock = clock;
    this.#send = send;
    this.#handlers = handlers;
    this.#request = this.#watch(send(false));
  }

  abort(): void {
    this.#over = true;
    this.#request.destroy();
  }

  finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#clock.setTimer(LINGER_MS, () => this.#request.destroy());
  }

  #watch(request: ClientRequest): ClientRequest {
    request.on('socket', (socket) => {
      if (!socket.connecting) this.#tell(() => this.#handlers.onConnected());
      else socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => this.#tell(() => this.#handlers.onConnected()));
    });
    request.on('response', (response) => this.#read(response));
    request.on('error', (error) => this.#fail(error));
    // 101 is nothing that was asked for.
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      this.#fail(new Error('an upgrade'));
    });
    return request;
  }

  #read(response: IncomingMessage): void {
    const { statusCode = 0, headers } = response;
    const encoding = headers['content-encoding'];
    this.#answered = true;
    response.on('data', (bytes: Uint8Array) => this.#tell(() => this.#handlers.onData(bytes)));
    response.on('end', () => {
      if (response.complete) this.#tell(() => this.#end(() => this.#handlers.onEnd()));
      else this.#fail(undefined);
    });
    response.on('error', () => this.#fail(undefined));
    response.on('aborted', () => this.#fail(undefined));
    const type = encoding === undefined || encoding === 'identity' ? headers['content-type'] : `compressed with ${encoding}`;
    this.#tell(() => this.#handlers.onHead(statusCode, type));
  }

  #fail(error: (Error & { readonly code?: string }) | undefined): void {
    if (this.#over) return;
    // The service closed it just when we took it for use, and others that are kept may be as dead.
    if (error && this.#request.reusedSocket && !this.#answered && !this.#fresh) {
      this.#fresh = true;
      this.#request = this.#watch(this.#send(true));
    } else if (error && !this.#answered) this.#end(() => this.#handlers.onFailed('unreachable', error.code ?? 'no connection'));
    else this.#end(() => this.#handlers.onFailed('cut_off', undefined));
  }

  #tell(tell: () => void): void {
    if (!this.#over) tell();
  }

  #end(tell: () => void): void {
    this.#over = true;
    tell();
  }
}

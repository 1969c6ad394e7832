import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Endpoint } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import { ConnectionLimit } from '../base/connection-limit.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import { portError } from '../base/udp.ts';
import { NOT_READY, OK, type Refusal, refusals } from './http-status.ts';
import { distrust } from './trust.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Why not, in a few words: `starting`, `draining`. */
  readonly reason?: string;
}

export interface HealthServerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly readiness: () => Readiness;
}

export interface HealthServerOptions {
  /** Address to listen on. */
  readonly bind: string;
  /** 0 takes any free port. */
  readonly port: number;
}

/** A request's headers must be there so soon after the connection or the first byte; health checks send them at once. */
const HEADERS_TIMEOUT_MS = 4500;
/** Node looks for late connections only so often: 4.5 s and this stay within 5 s. */
const CHECK_EVERY_MS = 500;
/** The whole request with a body nobody asked for. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Between two requests of one connection. Prometheus asks every 15 s or more, so nothing is gained by waiting longer. */
const KEEP_ALIVE_MS = 5000;
/** Health checks, a Prometheus or two and people: a tenth of this. Each connection costs some 10 kB. */
const MAX_CONNECTIONS = 256;
/** Of them for any one address: it takes more than one to keep health checks out. */
const MAX_CONNECTIONS_AN_ADDRESS = 64;
/** A request of ours has a few hundred bytes of headers. */
const MAX_HEADER_BYTES = 8192;
/** How long `stop` waits for answers that are being sent. */
const STOP_MS = 500;

type Answer = { readonly status: number; readonly type: string; readonly body: string; readonly allow?: string };

/** Serves /healthz and /readyz to everybody and /metrics to whom design calls trusted: this machine, without a proxy. */
export class HealthServer {
  readonly #deps: HealthServerDeps;
  readonly #options: HealthServerOptions;
  readonly #server: Server;
  readonly #requests: Counter<'path' | 'status'>;
  readonly #startedAt: number;

  constructor(deps: HealthServerDeps, options: HealthServerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#startedAt = deps.clock.now();
    this.#requests = deps.metrics.counter('http_requests_total', 'HTTP requests by path and status', ['path', 'status']);
    this.#server = createServer(
      {
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connectionsCheckingInterval: CHECK_EVERY_MS,
        maxHeaderSize: MAX_HEADER_BYTES,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    const limit = new ConnectionLimit(MAX_CONNECTIONS_AN_ADDRESS);
    this.#server.on('connection', (socket) => limit.admit(socket));
  }

  /**
   * Listens.
   * @throws GatewayError ERR_PORT_IN_USE naming the port and the flag that moves it
   */
  start(): Promise<Endpoint> {
    const { bind: address, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => reject(portError(error, { address, port }, 'TCP', '--http-port')));
      this.#server.listen({ host: address, port, exclusive: true }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', (err) => this.#deps.log.warn({ err }, 'http server error'));
        const bound = this.#server.address() as AddressInfo;
        resolve({ address: bound.address, port: bound.port });
      });
    });
  }

  /** Takes no more connections and closes those there are, within half a second. Safe to call twice, and before start. */
  stop(): Promise<void> {
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      const cut = this.#deps.clock.setTimer(STOP_MS, () => this.#server.closeAllConnections());
      this.#server.close(() => {
        cut.cancel();
        resolve();
      });
      this.#server.closeIdleConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume(); // a body, if somebody sends one, is read and dropped
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const handler = this.#handlers[path];
    let answer: Answer;
    if (!handler) answer = refuse('not_found', 'there is no such path');
    else if (request.method !== 'GET' && request.method !== 'HEAD')
      answer = { ...refuse('method_not_allowed', `${path} takes GET`), allow: 'GET, HEAD' };
    else answer = await handler(request).catch((err: unknown) => this.#failed(err));
    this.#requests.inc({ path: handler ? path : 'other', status: answer.status });
    response.writeHead(answer.status, {
      'content-type': answer.type,
      'content-length': Buffer.byteLength(answer.body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(answer.allow === undefined ? {} : { allow: answer.allow }),
    });
    response.end(request.method === 'HEAD' ? undefined : answer.body);
  }

  readonly #handlers: Readonly<Record<string, (request: IncomingMessage) => Promise<Answer>>> = Object.assign(Object.create(null), {
    '/healthz': async () => json(OK, { alive: true, uptime_s: Math.floor((this.#deps.clock.now() - this.#startedAt) / 1000) }),
    '/readyz': async () => {
      const { ready, reason } = this.#deps.readiness();
      return json(ready ? OK : NOT_READY, reason === undefined ? { ready } : { ready, reason });
    },
    '/metrics': async (request: IncomingMessage) => {
      const { socket, httpVersion, headers, headersDistinct } = request;
      const hosts = headersDistinct['host']?.length ?? 0;
      const reason = distrust({ peer: socket.remoteAddress ?? '', httpVersion, headers, hosts });
      if (reason !== undefined)
        return refuse('not_trusted', `metrics are served to programs on this machine only, by http://127.0.0.1: ${reason}`);
      return { status: OK, type: this.#deps.metrics.contentType, body: await this.#deps.metrics.text() };
    },
  });

  #failed(err: unknown): Answer {
    this.#deps.log.error({ err }, 'http request failed');
    return refuse('internal_error', 'the gateway could not answer; its log says why');
  }
}

function json(status: number, body: object): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify(body)}\n` };
}

/** An error in the shape the OpenAI API has, which all paths of this server share. */
function refuse(type: Refusal, message: string): Answer {
  return json(refusals[type], { error: { type, message } });
}

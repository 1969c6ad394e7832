import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import type { LookupFunction, Socket } from 'node:net';
import { rootCertificates } from 'node:tls';
import { type AddressFence, literalHost } from '../../base/address-fence.ts';
import type { Clock } from '../../base/clock.ts';
import { McpFault } from './mcp-fault.ts';
import { StreamBounds } from './stream-bounds.ts';

export type ResolveName = (
  name: string,
  options: LookupAllOptions,
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void;

export interface FencedFetchDeps {
  readonly clock: Clock;
  readonly fence: AddressFence;
  /** The system's resolver when absent. */
  readonly resolve?: ResolveName;
}

export interface FencedFetchOptions {
  /** From the request to the end of its answer. Streams that the server keeps open for news (GET) end with the connection instead. */
  readonly timeoutMs: number;
  /** Certificates to trust beside the system's, PEM. */
  readonly ca?: string | undefined;
  /** An endless answer was cut off: whoever waits for something in it waits in vain. */
  readonly onCutOff?: ((fault: McpFault) => void) | undefined;
}

/** A request a call, a stream for news, and one that is being closed. */
const MOST_SOCKETS = 8;

/** Shorter than what most servers keep a connection open for. */
const IDLE_MS = 4000;

/** As Node's own default, said here because the bound counts. */
const MOST_HEADER_BYTES = 16_384;

/** Until the head of an answer is there, for streams that have no other bound. */
const HEAD_TIMEOUT_MS = 10_000;

/** Answers without a body (fetch standard, «null body status»). */
const EMPTY: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * `fetch` for servers that others name: connects to nobody the fence does not permit, follows no redirects, and bounds what it takes and how long it
 * waits. The fence is asked with the addresses that a connection is made to, so that a name that changes its address gains nothing.
 */
export class FencedFetch {
  readonly #deps: FencedFetchDeps;
  readonly #options: FencedFetchOptions;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor(deps: FencedFetchDeps, options: FencedFetchOptions) {
    const agent = { keepAlive: true, maxSockets: MOST_SOCKETS, maxFreeSockets: 2, timeout: IDLE_MS };
    this.#deps = deps;
    this.#options = options;
    this.#http = new HttpAgent(agent);
    this.#https = new HttpsAgent({ ...agent, ...(options.ca === undefined ? {} : { ca: [...rootCertificates, options.ca] }) });
  }

  /** @throws McpFault */
  readonly fetch = async (input: string | URL, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input);
    const isEncrypted = url.protocol === 'https:';
    if (!isEncrypted && url.protocol !== 'http:') throw new McpFault('fenced', 'Servers are reached over https.');
    const port = Number(url.port || (isEncrypted ? 443 : 80));
    const literal = literalHost(url);
    // Of a literal address no lookup is made.
    if (literal !== undefined && !this.#deps.fence.permits(literal, port, isEncrypted)) throw fenced();
    const headers = new Headers(init.headers);
    const isStream = (init.method ?? 'GET') === 'GET' || headers.get('mcp-method') === 'subscriptions/listen';
    return new Promise((resolve, reject) => {
      const request = (isEncrypted ? requestHttps : requestHttp)(url, {
        method: init.method ?? 'GET',
        headers: { ...Object.fromEntries(headers), 'accept-encoding': 'identity' },
        agent: isEncrypted ? this.#https : this.#http,
        lookup: this.#lookup(port, isEncrypted),
        maxHeaderSize: MOST_HEADER_BYTES,
        ...(init.signal ? { signal: init.signal } : {}),
      });
      const timer = this.#deps.clock.setTimer(isStream ? HEAD_TIMEOUT_MS : this.#options.timeoutMs, () =>
        request.destroy(new McpFault('stuck', 'The server did not answer in time.')),
      );
      request.on('socket', (socket) => this.#guard(socket, port, isEncrypted));
      request.on('close', () => timer.cancel());
      request.on('error', (error) => reject(faultOf(error)));
      // 101 is nothing that was asked for.
      request.on('upgrade', (_response, socket) => {
        socket.destroy();
        reject(new McpFault('nonsense', 'The server changes the protocol.'));
      });
      request.on('response', (response) => {
        if (isStream) timer.cancel();
        try {
          resolve(this.#responseOf(response, isStream));
        } catch (thrown) {
          request.destroy();
          reject(faultOf(thrown));
        }
      });
      request.end(typeof init.body === 'string' ? init.body : undefined);
    });
  };

  /** Closes every connection. */
  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #lookup(port: number, isEncrypted: boolean): LookupFunction {
    const resolve = this.#deps.resolve ?? (lookup as ResolveName);
    return (name, options, callback) => {
      resolve(name, { ...options, all: true }, (error, found) => {
        if (error) {
          callback(error, '');
          return;
        }
        const permitted = found.filter(({ address }) => this.#deps.fence.permits(address, port, isEncrypted));
        const [first] = permitted;
        if (!first) callback(fenced(), '');
        else if (options.all) callback(null, permitted);
        else callback(null, first.address, first.family);
      });
    };
  }

  /** Whatever the way to it was: the address at the other end is what counts. */
  #guard(socket: Socket, port: number, isEncrypted: boolean): void {
    const check = () => {
      if (!this.#deps.fence.permits(socket.remoteAddress ?? '', port, isEncrypted)) socket.destroy(fenced());
    };
    if (socket.connecting) socket.once('connect', check);
    else check();
  }

  /** @throws McpFault, RangeError (a status that is none) */
  #responseOf(response: IncomingMessage, isStream: boolean): Response {
    const { statusCode: status = 0, headers } = response;
    if (status >= 300 && status < 400 && status !== 304) throw new McpFault('redirected', 'The server sends us elsewhere.', { status });
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') throw new McpFault('nonsense', 'The server compresses what was to be plain.');
    const init = { status, headers: plainHeaders(headers) };
    if (EMPTY.has(status)) {
      response.resume();
      return new Response(null, init);
    }
    const isEvents = /^text\/event-stream\b/i.test(headers['content-type'] ?? '');
    const framing = isEvents || isStream ? 'events' : 'whole';
    return new Response(this.#bodyOf(response, framing), init);
  }

  #bodyOf(response: IncomingMessage, framing: 'events' | 'whole'): ReadableStream<Uint8Array> {
    const { clock } = this.#deps;
    const bounds = new StreamBounds(framing);
    let over = false;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          const fail = (error: Error) => {
            if (over) return;
            over = true;
            response.destroy();
            controller.error(error);
          };
          response.on('data', (chunk: Buffer) => {
            if (over) return;
            const fault = bounds.pass(chunk, clock.now());
            if (fault) {
              fail(fault);
              if (framing === 'events') this.#options.onCutOff?.(fault);
              return;
            }
            controller.enqueue(new Uint8Array(chunk));
            if ((controller.desiredSize ?? 0) <= 0) response.pause();
          });
          response.on('end', () => {
            if (over) return;
            over = true;
            controller.close();
          });
          response.on('error', (error) => fail(faultOf(error)));
          response.on('aborted', () => fail(new McpFault('gone', 'The server broke off its answer.')));
          response.pause();
        },
        pull: () => {
          response.resume();
        },
        cancel: () => {
          over = true;
          response.destroy();
        },
      },
      { highWaterMark: 16 },
    );
  }
}

function fenced(): McpFault {
  return new McpFault('fenced', 'The address of this server may not be connected to.');
}

/** What a server answers with, as far as somebody looks at it. */
function plainHeaders(headers: IncomingMessage['headers']): Headers {
  const plain = new Headers();
  for (const name of ['content-type', 'mcp-session-id', 'mcp-protocol-version', 'www-authenticate', 'allow']) {
    const value = headers[name];
    if (typeof value === 'string') plain.set(name, value);
  }
  return plain;
}

function faultOf(thrown: unknown): Error {
  if (thrown instanceof McpFault) return thrown;
  const { name, code } = thrown as { readonly name?: unknown; readonly code?: unknown };
  if (name === 'AbortError') return thrown as Error;
  if (code === 'HPE_HEADER_OVERFLOW') return new McpFault('too_large', 'The server sends more headers than anybody reads.');
  if (thrown instanceof RangeError || (typeof code === 'string' && code.startsWith('HPE_')))
    return new McpFault('nonsense', 'The server does not speak HTTP.');
  return new McpFault('unreachable', `The server cannot be reached (${typeof code === 'string' ? code : 'no connection'}).`, {
    cause: thrown,
  });
}

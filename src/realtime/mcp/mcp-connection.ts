import type { CallToolResult, Client, Tool, Transport } from '@modelcontextprotocol/client';
import type { AddressFence } from '../../base/address-fence.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { BoundedTransport } from './bounded-transport.ts';
import { FencedFetch, type ResolveName } from './fenced-fetch.ts';
import { McpFault } from './mcp-fault.ts';
import { loadMcp, type McpModule } from './mcp-module.ts';
import { type StdioServer, StdioTransport } from './stdio-transport.ts';

/** How a server is reached. */
export type McpEndpoint =
  | ({ readonly type: 'stdio' } & StdioServer)
  | {
      readonly type: 'http';
      readonly url: string;
      /** Also the one that opens the door; never told to anybody. */
      readonly headers: Readonly<Record<string, string>>;
      /** Certificates to trust beside the system's, PEM. */
      readonly ca?: string | undefined;
    };

export interface McpConnectionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly fence: AddressFence;
  readonly resolve?: ResolveName | undefined;
}

export interface McpConnectionOptions {
  /** Until a server has said hello and told its tools. */
  readonly listTimeoutMs: number;
  /** The longest call. */
  readonly callTimeoutMs: number;
}

/** Of one server, listed or not: more than a model is told. */
const MOST_LISTED = 1000;

/** A list comes in pages; what does not end is cut off. */
const MOST_PAGES = 32;

/** Servers say «changed» several times when they change something. */
const CHANGED_DEBOUNCE_MS = 300;

/** A stream for news that broke off is opened again after so long, however soon the server wants it. */
const LEAST_REOPEN_MS = 1000;
const MOST_REOPEN_MS = 30_000;

/** Of the goodbye to a server over HTTP. */
const GOODBYE_MS = 1000;

const OURS = { name: 'ringdown', version: '1' } as const;

/** Of what a server says went wrong. */
const MOST_ERROR = 1000;

/** One connection with one server of tools. */
export class McpConnection {
  /** The server has other tools than it told. */
  onToolsChanged: (() => void) | undefined;
  /** The connection is over: the server went away, or misbehaved. Not called after close(). */
  onLost: ((fault: McpFault) => void) | undefined;
  readonly #client: Client;
  readonly #mcp: McpModule;
  readonly #clock: Clock;
  readonly #options: McpConnectionOptions;
  readonly #goodbye: () => Promise<void>;
  readonly #release: () => void;
  #fault: McpFault | undefined;
  #isLost = false;
  #isClosed = false;

  /** @throws McpFault */
  static async open(deps: McpConnectionDeps, endpoint: McpEndpoint, options: McpConnectionOptions): Promise<McpConnection> {
    const mcp = await loadMcp();
    const connection = new McpConnection(deps, mcp, endpoint, options);
    try {
      await connection.#connect();
      connection.#fault = undefined;
      return connection;
    } catch (thrown) {
      const fault = connection.#fault ?? connection.#faultOf(thrown);
      await connection.close();
      throw fault;
    }
  }

  #transport: Transport;

  private constructor(deps: McpConnectionDeps, mcp: McpModule, endpoint: McpEndpoint, options: McpConnectionOptions) {
    this.#mcp = mcp;
    this.#clock = deps.clock;
    this.#options = options;
    const onCutOff = (fault: McpFault) => this.#breakOff(fault);
    const { transport, goodbye, release } = transportOf(deps, mcp, endpoint, { ...options, onCutOff });
    this.#transport = new BoundedTransport(transport, deps.clock);
    this.#goodbye = goodbye;
    this.#release = release;
    this.#client = new mcp.Client(OURS, {
      capabilities: {},
      // Schemas of strangers are not compiled.
      jsonSchemaValidator: { getValidator: () => (input) => ({ valid: true, data: input as never, errorMessage: undefined }) },
      inputRequired: { autoFulfill: false },
      listChanged: { tools: { autoRefresh: false, debounceMs: CHANGED_DEBOUNCE_MS, onChanged: () => this.onToolsChanged?.() } },
      // Programs of the old kind end when they are asked what they do not know.
      versionNegotiation: { mode: endpoint.type === 'http' ? 'auto' : 'legacy' },
    });
    this.#client.onerror = (error) => {
      const cause = causeOf(error);
      if (cause) this.#fault = cause;
    };
    this.#client.onclose = () => this.#lose();
  }

  /** Everything it says it can do, as it says it, up to what anybody looks at. @throws McpFault */
  async listTools(): Promise<readonly Tool[]> {
    if (!this.#client.getServerCapabilities()?.tools) return [];
    const until = this.#clock.now() + this.#options.listTimeoutMs;
    const tools: Tool[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < MOST_PAGES && tools.length < MOST_LISTED; page++) {
      const timeout = until - this.#clock.now();
      if (timeout <= 0) throw new McpFault('stuck', 'The server did not tell its tools in time.');
      const found = await this.#ask(
        (options) => this.#client.request({ method: 'tools/list', params: cursor === undefined ? {} : { cursor } }, options),
        {
          timeout,
        },
      );
      tools.push(...found.tools);
      cursor = found.nextCursor;
      if (cursor === undefined) break;
    }
    return tools.slice(0, MOST_LISTED);
  }

  /** @throws McpFault */
  callTool(tool: Tool, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<CallToolResult> {
    const { name, inputSchema } = tool;
    return this.#ask(
      (options) => this.#client.callTool({ name, arguments: { ...args } }, { ...options, toolDefinition: { name, inputSchema } }),
      { timeout: this.#options.callTimeoutMs, signal },
    );
  }

  /** Bounded in time. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#goodbye();
    await this.#client.close().catch(() => {});
    await this.#transport.close().catch(() => {});
    this.#release();
  }

  async #connect(): Promise<void> {
    const { listTimeoutMs: timeout } = this.#options;
    let timer: Timer | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      // The library bounds each message, and a server may answer many.
      timer = this.#clock.setTimer(timeout, () => reject(new McpFault('stuck', 'The server did not say hello in time.')));
    });
    await Promise.race([this.#client.connect(this.#transport, { timeout, maxTotalTimeout: timeout }), late]).finally(() => timer?.cancel());
  }

  async #ask<Result>(
    ask: (options: { timeout: number; maxTotalTimeout: number; signal?: AbortSignal }) => Promise<Result>,
    { timeout, signal }: { readonly timeout: number; readonly signal?: AbortSignal },
  ): Promise<Result> {
    if (this.#isClosed || this.#isLost) throw this.#fault ?? new McpFault('gone', 'The server is gone.');
    try {
      return await ask({ timeout, maxTotalTimeout: timeout, ...(signal ? { signal } : {}) });
    } catch (thrown) {
      throw this.#faultOf(thrown);
    }
  }

  #faultOf(thrown: unknown): McpFault {
    const { SdkError, SdkErrorCode, SdkHttpError, ProtocolError, InsufficientScopeError } = this.#mcp;
    const own = causeOf(thrown);
    if (own) return own;
    if (thrown instanceof SdkHttpError) {
      const { status } = thrown.data;
      return new McpFault('refused', `The server refuses with ${status}.`, { status, cause: thrown });
    }
    if (thrown instanceof InsufficientScopeError)
      return new McpFault('refused', 'The server refuses with 403.', { status: 403, cause: thrown });
    if (thrown instanceof ProtocolError) {
      return new McpFault('failed', thrown.message.slice(0, MOST_ERROR), { status: thrown.code, cause: thrown });
    }
    if (thrown instanceof SdkError) {
      if (thrown.code === SdkErrorCode.RequestTimeout)
        return new McpFault('stuck', 'The server did not answer in time.', { cause: thrown });
      if (thrown.code === SdkErrorCode.ConnectionClosed || thrown.code === SdkErrorCode.NotConnected)
        return this.#fault ?? new McpFault('gone', 'The server is gone.', { cause: thrown });
    }
    return faultOf(thrown);
  }

  #breakOff(fault: McpFault): void {
    this.#fault ??= fault;
    this.#client.close().catch(() => {});
  }

  #lose(): void {
    this.#isLost = true;
    if (this.#isClosed) return;
    this.onLost?.(this.#fault ?? new McpFault('gone', 'The server is gone.'));
  }
}

function transportOf(
  deps: McpConnectionDeps,
  mcp: McpModule,
  endpoint: McpEndpoint,
  { listTimeoutMs, callTimeoutMs, onCutOff }: McpConnectionOptions & { readonly onCutOff: (fault: McpFault) => void },
): { readonly transport: Transport; readonly goodbye: () => Promise<void>; readonly release: () => void } {
  const { clock, log, fence, resolve } = deps;
  if (endpoint.type === 'stdio') {
    return { transport: new StdioTransport({ clock, log, mcp }, endpoint), goodbye: async () => {}, release: () => {} };
  }
  const fenced = new FencedFetch(
    { clock, fence, ...(resolve ? { resolve } : {}) },
    { timeoutMs: Math.max(listTimeoutMs, callTimeoutMs), ca: endpoint.ca, onCutOff },
  );
  const transport = new mcp.StreamableHTTPClientTransport(new URL(endpoint.url), {
    fetch: fenced.fetch,
    requestInit: { headers: { ...endpoint.headers } },
    onInsufficientScope: 'throw',
    reconnectionScheduler: (reconnect, delayMs) => {
      const timer = clock.setTimer(Math.min(MOST_REOPEN_MS, Math.max(LEAST_REOPEN_MS, delayMs)), reconnect);
      return () => timer.cancel();
    },
  });
  return {
    transport,
    goodbye: async () => {
      if (transport.sessionId === undefined) return;
      const late = new Promise<void>((done) => {
        clock.setTimer(GOODBYE_MS, done);
      });
      await Promise.race([transport.terminateSession().catch(() => {}), late]);
    },
    release: () => fenced.close(),
  };
}

/** Our own fault in what the library makes of it. */
function causeOf(thrown: unknown): McpFault | undefined {
  for (let each = thrown, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth++) {
    if (each instanceof McpFault) return each;
  }
  return undefined;
}

function faultOf(thrown: unknown): McpFault {
  return causeOf(thrown) ?? new McpFault('nonsense', 'The server answers what nobody understands.', { cause: thrown });
}

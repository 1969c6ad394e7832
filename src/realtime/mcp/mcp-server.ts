import type { CallToolResult, Tool } from '@modelcontextprotocol/client';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { McpFault } from './mcp-fault.ts';
import type { McpMetrics } from './mcp-metrics.ts';

/** A connection as this sees it (McpConnection). */
export interface ServerConnection {
  onToolsChanged: (() => void) | undefined;
  onLost: ((fault: McpFault) => void) | undefined;
  listTools(): Promise<readonly Tool[]>;
  callTool(tool: Tool, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<CallToolResult>;
  close(): Promise<void>;
}

export interface McpServerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: McpMetrics;
  readonly connect: () => Promise<ServerConnection>;
}

export interface McpServerOptions {
  /** Calls at once; one more is refused. */
  readonly mostCalls: number;
  /** Connections that fail one after the other before nobody tries any more; default: without end. */
  readonly mostFailures?: number;
}

/** What is known of a server's tools. */
export type McpListing =
  | { readonly state: 'in_progress' }
  | { readonly state: 'completed'; readonly tools: readonly Tool[] }
  | { readonly state: 'failed'; readonly fault: McpFault };

/** After a failure the next try comes so much later, doubled each time; who was there for a minute begins anew. */
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 60_000;
const STEADY_MS = 60_000;

/** Lists are not fetched more often, however often they are said to have changed. */
const RELIST_MS = 2000;

/**
 * A server of tools, there or not: connects, asks for its tools, and does both again when the connection is lost, with growing pauses. Those who
 * watch it are told whenever it is known anew what it offers.
 */
export class McpServer {
  readonly #deps: McpServerDeps;
  readonly #options: McpServerOptions;
  readonly #watchers = new Set<(listing: McpListing) => void>();
  #connection: ServerConnection | undefined;
  #listing: McpListing = { state: 'in_progress' };
  #failures = 0;
  #connectedAt = 0;
  #listedAt = Number.NEGATIVE_INFINITY;
  #retry: Timer | undefined;
  #relist: Timer | undefined;
  #calls = 0;
  #isStarted = false;
  #isClosed = false;

  constructor(deps: McpServerDeps, options: McpServerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get listing(): McpListing {
    return this.#listing;
  }

  /** Begins to be there. Idempotent. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#connect();
  }

  /** @returns ends it */
  watch(watcher: (listing: McpListing) => void): () => void {
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** @throws McpFault, also when the server is not there */
  async call(tool: Tool, args: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<CallToolResult> {
    const { clock, metrics } = this.#deps;
    const connection = this.#connection;
    const since = clock.now();
    try {
      if (!connection) throw new McpFault('gone', 'The server is not there at the moment.');
      if (this.#calls >= this.#options.mostCalls) throw new McpFault('busy', 'Too many calls of this server run at a time.');
      this.#calls += 1;
      try {
        const result = await connection.callTool(tool, args, signal);
        metrics.calls.inc({ outcome: result.isError ? 'tool_error' : 'completed' });
        metrics.callSeconds.observe((clock.now() - since) / 1000);
        return result;
      } finally {
        this.#calls -= 1;
      }
    } catch (thrown) {
      const fault =
        thrown instanceof McpFault ? thrown : new McpFault('nonsense', 'The server answers what nobody understands.', { cause: thrown });
      metrics.calls.inc({ outcome: signal.aborted ? 'aborted' : fault.code });
      // A server that has forgotten our session (404) is greeted anew.
      if (connection && (fault.code === 'gone' || (fault.code === 'refused' && fault.status === 404))) this.#lose(connection, fault);
      throw fault;
    }
  }

  /** Bounded in time. Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watchers.clear();
    this.#retry?.cancel();
    this.#relist?.cancel();
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }

  #connect(): void {
    this.#tell({ state: 'in_progress' });
    this.#open().catch((thrown: unknown) => {
      if (!this.#isClosed) this.#fail(thrown);
    });
  }

  async #open(): Promise<void> {
    const connection = await this.#deps.connect();
    if (this.#isClosed) {
      await connection.close();
      return;
    }
    connection.onLost = (fault) => this.#lose(connection, fault);
    let tools: readonly Tool[];
    try {
      tools = await connection.listTools();
    } catch (thrown) {
      connection.onLost = undefined;
      await connection.close();
      throw thrown;
    }
    if (this.#isClosed) {
      await connection.close();
      return;
    }
    connection.onToolsChanged = () => this.#noteChanged(connection);
    this.#connection = connection;
    this.#connectedAt = this.#deps.clock.now();
    this.#note(tools);
  }

  #note(tools: readonly Tool[]): void {
    this.#listedAt = this.#deps.clock.now();
    this.#deps.metrics.servers.inc({ event: 'listed' });
    this.#deps.log.info({ tools: tools.length }, 'tool server listed');
    this.#tell({ state: 'completed', tools });
  }

  #fail(thrown: unknown): void {
    const { log, metrics } = this.#deps;
    const fault =
      thrown instanceof McpFault ? thrown : new McpFault('nonsense', 'The server answers what nobody understands.', { cause: thrown });
    metrics.servers.inc({ event: fault.code });
    log.warn({ code: fault.code, status: fault.status, reason: fault.message }, 'tool server not there');
    this.#failures += 1;
    this.#tell({ state: 'failed', fault });
    this.#retryLater();
  }

  #lose(connection: ServerConnection, fault: McpFault): void {
    if (this.#isClosed || this.#connection !== connection) return;
    const { clock, log, metrics } = this.#deps;
    this.#connection = undefined;
    this.#relist?.cancel();
    this.#relist = undefined;
    connection.onLost = undefined;
    connection.onToolsChanged = undefined;
    connection.close().catch(() => {});
    metrics.servers.inc({ event: 'lost' });
    log.warn({ code: fault.code, reason: fault.message }, 'tool server lost');
    this.#failures = clock.now() - this.#connectedAt >= STEADY_MS ? 1 : this.#failures + 1;
    this.#tell({ state: 'failed', fault });
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#isClosed || this.#failures >= (this.#options.mostFailures ?? Number.POSITIVE_INFINITY)) return;
    const delayMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
    this.#retry = this.#deps.clock.setTimer(delayMs, () => this.#connect());
  }

  #noteChanged(connection: ServerConnection): void {
    if (this.#relist || this.#connection !== connection) return;
    const { clock } = this.#deps;
    this.#relist = clock.setTimer(Math.max(0, this.#listedAt + RELIST_MS - clock.now()), () => {
      this.#relist = undefined;
      const list = async () => {
        const tools = await connection.listTools();
        if (this.#connection === connection) this.#note(tools);
      };
      list().catch((thrown: unknown) =>
        this.#lose(
          connection,
          thrown instanceof McpFault ? thrown : new McpFault('nonsense', 'The server answers what nobody understands.'),
        ),
      );
    });
  }

  #tell(listing: McpListing): void {
    this.#listing = listing;
    for (const watcher of [...this.#watchers]) watcher(listing);
  }
}

import { AddressFence, type AllowedNetwork, literalHost } from '../../base/address-fence.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { ResolveName } from './fenced-fetch.ts';
import { McpConnection, type McpEndpoint } from './mcp-connection.ts';
import { McpFault } from './mcp-fault.ts';
import type { McpMetrics } from './mcp-metrics.ts';
import { McpServer, type ServerConnection } from './mcp-server.ts';
import { McpSource } from './mcp-source.ts';
import type { McpTool } from './mcp-tool.ts';
import type { ApprovalRule, ToolFilter } from './tool-list.ts';

/** A server of the configuration: one connection for all sessions of this process. */
export interface SharedServer {
  readonly label: string;
  readonly endpoint: McpEndpoint;
  readonly allowed?: ToolFilter | undefined;
  readonly approval: ApprovalRule;
  /** Does every session have it, without asking? */
  readonly everywhere: boolean;
  /** Whose sessions may have it; undefined: everybody's. */
  readonly projects?: readonly string[] | undefined;
}

export interface McpHubDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: McpMetrics;
  /** Makes connections; the real ones when absent. */
  readonly connect?: ((endpoint: McpEndpoint) => Promise<ServerConnection>) | undefined;
  readonly resolve?: ResolveName | undefined;
}

export interface McpHubOptions {
  readonly servers: readonly SharedServer[];
  readonly allow: readonly AllowedNetwork[];
  /** Whose sessions may bring servers of their own. */
  readonly sessionServers: 'all' | 'none' | readonly string[];
  readonly listTimeoutMs: number;
  readonly callTimeoutMs: number;
}

/** Calls at once: of one session a model's handful, of a shared server those of all its sessions. */
const MOST_SESSION_CALLS = 8;
const MOST_SHARED_CALLS = 64;

/** A session's own server that cannot be reached is given up; the session may bring it again. */
const MOST_SESSION_FAILURES = 5;

/** Of all sessions of this process: each is a connection or two. */
const MOST_SESSION_SERVERS = 1000;

/** The MCP servers of this process: those of the configuration, shared by its sessions, and those that sessions bring, which end with them. */
export class McpHub {
  readonly #deps: McpHubDeps;
  readonly #options: McpHubOptions;
  readonly #fence: AddressFence;
  readonly #connect: (endpoint: McpEndpoint, log: Logger) => Promise<ServerConnection>;
  readonly #shared = new Map<string, { readonly config: SharedServer; readonly server: McpServer }>();
  #sessionServers = 0;

  constructor(deps: McpHubDeps, options: McpHubOptions) {
    const { clock, metrics, connect, resolve } = deps;
    const fence = new AddressFence(options.allow);
    this.#fence = fence;
    this.#deps = deps;
    this.#options = options;
    this.#connect = (endpoint, log) =>
      connect ? connect(endpoint) : McpConnection.open({ clock, log, fence, resolve }, endpoint, options);
    for (const config of options.servers) {
      const log = deps.log.child({ server: config.label });
      const server = new McpServer(
        { clock, log, metrics, connect: () => this.#connect(config.endpoint, log) },
        { mostCalls: MOST_SHARED_CALLS },
      );
      this.#shared.set(config.label, { config, server });
    }
  }

  /** Connects to the servers of the configuration; those that are not there are tried again and again. */
  start(): void {
    for (const { server } of this.#shared.values()) server.start();
  }

  /** The servers that a session of this project has without asking, by their labels. */
  everywhere(project: string): readonly string[] {
    return [...this.#shared.values()].filter(({ config }) => config.everywhere && isOf(config, project)).map(({ config }) => config.label);
  }

  /** Is there a server of this label in the configuration that sessions of this project may have? */
  has(label: string, project: string): boolean {
    const shared = this.#shared.get(label);
    return shared !== undefined && isOf(shared.config, project);
  }

  /** May sessions of this project bring servers of their own? */
  mayBring(project: string): boolean {
    const { sessionServers } = this.#options;
    return sessionServers === 'all' || (sessionServers !== 'none' && sessionServers.includes(project));
  }

  /** May this be connected to, as far as its text says? Of names it is known when they are connected to. */
  permits(url: string): boolean {
    const { protocol, port } = new URL(url);
    const host = literalHost(new URL(url));
    const isEncrypted = protocol === 'https:';
    return host === undefined || this.#fence.permits(host, Number(port || (isEncrypted ? 443 : 80)), isEncrypted);
  }

  /** The tools of a server for one session. Whether the session may have it was asked before; if it may not, it has none. */
  source(tool: McpTool, project: string): McpSource {
    const { clock, metrics } = this.#deps;
    const { label, url, allowed, approval, headers } = tool;
    const common = { label, callTimeoutMs: this.#options.callTimeoutMs, log: this.#deps.log };
    if (url === undefined) {
      const shared = this.#shared.get(label);
      const config = shared?.config;
      const server =
        shared && isOf(shared.config, project) ? shared.server : this.#refused(new McpFault('fenced', 'There is no such server.'));
      // A session takes away, and adds nothing to what the operator has said.
      const selection = { allowed: config?.allowed, alsoAllowed: allowed, approval: config?.approval ?? 'always', alsoApproval: approval };
      return new McpSource(server, { ...common, selection });
    }
    const log = this.#deps.log.child({ server: 'session' });
    const selection = { allowed, approval: approval ?? 'always' };
    if (!this.mayBring(project))
      return new McpSource(this.#refused(new McpFault('fenced', 'This session may not bring servers.')), { ...common, selection });
    if (this.#sessionServers >= MOST_SESSION_SERVERS) {
      return new McpSource(this.#refused(new McpFault('busy', 'Too many sessions have servers of their own.')), { ...common, selection });
    }
    this.#sessionServers += 1;
    const endpoint: McpEndpoint = { type: 'http', url, headers: headers ?? {} };
    const server = new McpServer(
      { clock, log, metrics, connect: () => this.#connect(endpoint, log) },
      { mostCalls: MOST_SESSION_CALLS, mostFailures: MOST_SESSION_FAILURES },
    );
    const release = () => {
      this.#sessionServers -= 1;
      server.close().catch(() => {});
    };
    return new McpSource(server, { ...common, selection, release });
  }

  /** Ends every shared server, bounded in time. Those of sessions end with their sessions. */
  async close(): Promise<void> {
    await Promise.all([...this.#shared.values()].map(({ server }) => server.close()));
  }

  /** A server that is never there. */
  #refused(fault: McpFault): McpServer {
    const { clock, log, metrics } = this.#deps;
    return new McpServer({ clock, log, metrics, connect: () => Promise.reject(fault) }, { mostCalls: 0, mostFailures: 1 });
  }
}

function isOf({ projects }: SharedServer, project: string): boolean {
  return projects === undefined || projects.includes(project);
}

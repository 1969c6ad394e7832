import type { Logger } from '../../base/log.ts';
import type { RunningTool, ToolCall, ToolDefinition, ToolListing, ToolNews, ToolSource } from '../tools/tool-source.ts';
import { outputOf } from './call-output.ts';
import { McpFault } from './mcp-fault.ts';
import type { McpListing, McpServer } from './mcp-server.ts';
import { type ListedTool, listTools, type ToolSelection } from './tool-list.ts';

export interface McpSourceOptions {
  readonly label: string;
  readonly selection: ToolSelection;
  readonly callTimeoutMs: number;
  readonly log: Logger;
  /** The server is of this session alone, and ends with it. */
  readonly release?: (() => void) | undefined;
}

/** Our own bound comes first, and says why. */
const TIMEOUT_SLACK_MS = 1000;

/** The tools of one MCP server as one session has them. */
export class McpSource implements ToolSource {
  readonly label: string;
  onChanged: (() => void) | undefined;
  readonly #server: McpServer;
  readonly #options: McpSourceOptions;
  readonly #unwatch: () => void;
  readonly #aborts = new Set<AbortController>();
  #tools: ReadonlyMap<string, ListedTool> = new Map();
  #listing: ToolListing = { state: 'in_progress' };
  #isClosed = false;

  constructor(server: McpServer, options: McpSourceOptions) {
    this.label = options.label;
    this.#server = server;
    this.#options = options;
    this.#take(server.listing);
    this.#unwatch = server.watch((listing) => {
      this.#take(listing);
      this.onChanged?.();
    });
    server.start();
  }

  get listing(): ToolListing {
    return this.#listing;
  }

  get tools(): readonly ToolDefinition[] {
    return [...this.#tools.values()].map(({ name, tool, description, inputSchema, needsApproval }) => ({
      name,
      shownName: tool.name,
      description,
      parameters: inputSchema,
      needsApproval,
      timeoutMs: this.#options.callTimeoutMs + TIMEOUT_SLACK_MS,
      whenCancelled: 'finish',
    }));
  }

  start(call: ToolCall, tell: (news: ToolNews) => void): RunningTool {
    const abort = new AbortController();
    this.#aborts.add(abort);
    this.#run(call, abort.signal)
      .then(tell)
      .catch(() => {})
      .finally(() => this.#aborts.delete(abort));
    return { abort: () => abort.abort() };
  }

  close(): void {
    this.#unwatch();
    this.onChanged = undefined;
    for (const abort of this.#aborts) abort.abort();
    if (!this.#isClosed) this.#options.release?.();
    this.#isClosed = true;
  }

  /** Never fails: what goes wrong is said to the model. */
  async #run({ name, arguments: args }: ToolCall, signal: AbortSignal): Promise<ToolNews> {
    const listed = this.#tools.get(name);
    if (!listed) return { type: 'failed', code: 'no_such_tool', message: 'The server does not have this tool any more.' };
    try {
      const { text, isError } = outputOf(await this.#server.call(listed.tool, args, signal));
      return isError ? { type: 'failed', code: 'tool_error', message: text || 'The tool failed.' } : { type: 'done', output: text };
    } catch (thrown) {
      const { code, message } =
        thrown instanceof McpFault ? thrown : new McpFault('nonsense', 'The server answers what nobody understands.');
      return { type: 'failed', code, message };
    }
  }

  #take(listing: McpListing): void {
    switch (listing.state) {
      case 'in_progress':
        this.#listing = listing;
        break;
      case 'completed': {
        const { tools, leftOut } = listTools(this.label, listing.tools, this.#options.selection);
        this.#tools = new Map(tools.map((tool) => [tool.name, tool]));
        if (leftOut > 0) this.#options.log.warn({ label: this.label, leftOut }, 'tools of a server left out');
        this.#listing = { state: 'completed', tools: tools.map(shown) };
        break;
      }
      case 'failed':
        // The model goes on knowing the tools: a call says that the server is gone, and it may be back by then.
        this.#listing = { state: 'failed', code: listing.fault.code, message: listing.fault.message };
        break;
    }
  }
}

/** As the reference lists it. */
function shown({ tool, description, inputSchema }: ListedTool): Readonly<Record<string, unknown>> {
  const { annotations } = tool;
  return { name: tool.name, description, input_schema: inputSchema, ...(annotations ? { annotations } : {}) };
}

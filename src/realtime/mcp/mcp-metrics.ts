import type { Counter, Histogram, Metrics } from '../../base/metrics.ts';

/** What all conversations with servers of tools count together. */
export interface McpMetrics {
  /** `completed`, `tool_error`, or the code of an McpFault. */
  readonly calls: Counter<'outcome'>;
  readonly callSeconds: Histogram;
  /** `listed`, `lost`, `unreachable` and the other codes of an McpFault. */
  readonly servers: Counter<'event'>;
}

/** From a look-up in memory to what people stop waiting for. */
const SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60];

/** Registers them; once a process. */
export function createMcpMetrics(metrics: Metrics): McpMetrics {
  return {
    calls: metrics.counter('mcp_calls_total', 'Calls of tools of MCP servers, by how they ended', ['outcome']),
    callSeconds: metrics.histogram('mcp_call_seconds', 'How long MCP servers took for calls that they answered', SECONDS),
    servers: metrics.counter('mcp_servers_total', 'What became of connections to MCP servers', ['event']),
  };
}

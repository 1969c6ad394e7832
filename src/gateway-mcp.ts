import { readFile } from 'node:fs/promises';
import type { Clock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import type { Logger } from './base/log.ts';
import type { Metrics } from './base/metrics.ts';
import type { McpConfig, McpServerConfig } from './config/mcp.ts';
import type { McpEndpoint } from './realtime/mcp/mcp-connection.ts';
import { McpHub, type SharedServer } from './realtime/mcp/mcp-hub.ts';
import { createMcpMetrics } from './realtime/mcp/mcp-metrics.ts';
import type { ApprovalRule, ToolFilter } from './realtime/mcp/tool-list.ts';

/** The MCP servers of a process that owns sessions, begun. @throws GatewayError ERR_CONFIG */
export async function createMcpHub(
  parts: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics },
  config: McpConfig,
): Promise<McpHub> {
  const servers = await Promise.all(config.servers.map(sharedServer));
  const hub = new McpHub({ ...parts, metrics: createMcpMetrics(parts.metrics) }, { ...config, servers });
  hub.start();
  return hub;
}

async function sharedServer(config: McpServerConfig): Promise<SharedServer> {
  const { label, everywhere, projects, allowedTools, approval } = config;
  return { label, everywhere, projects, allowed: filterOf(allowedTools), approval: ruleOf(approval), endpoint: await endpointOf(config) };
}

async function endpointOf(config: McpServerConfig): Promise<McpEndpoint> {
  if (config.type === 'stdio') {
    const { type, command, args, env, cwd } = config;
    return { type, command, args, env, cwd };
  }
  const { type, url, headers, caFile } = config;
  if (caFile === undefined) return { type, url, headers };
  const ca = await readFile(caFile, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new GatewayError('ERR_CONFIG', `mcp.servers: ca ${caFile} cannot be read (${cause.code})`, { cause });
  });
  return { type, url, headers, ca };
}

function ruleOf(approval: McpServerConfig['approval']): ApprovalRule {
  if (typeof approval === 'string') return approval;
  return { always: filterOf(approval.always), never: filterOf(approval.never) };
}

function filterOf(names: readonly string[] | undefined): ToolFilter | undefined {
  return names && { names };
}

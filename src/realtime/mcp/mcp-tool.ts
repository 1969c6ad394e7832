import type { HostedTool } from '../tools/tool-source.ts';
import type { ApprovalRule, ToolFilter } from './tool-list.ts';

/** A server of tools as a session asks for it. */
export interface McpTool {
  readonly label: string;
  /** undefined: the server of the configuration with this label. */
  readonly url?: string | undefined;
  /** Also the one that opens the door. Never told to anybody. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** undefined: all that the server offers. */
  readonly allowed?: ToolFilter | undefined;
  /** Of servers of the configuration beside what that says. undefined: nothing more; always, for servers that sessions bring. */
  readonly approval?: ApprovalRule | undefined;
}

/** As the reference writes a filter. */
interface WrittenFilter {
  readonly read_only?: boolean;
  readonly tool_names?: readonly string[];
}

/** As the reference writes it, checked (surface/mcp-schema.ts). */
interface WrittenTool {
  readonly server_label: string;
  readonly server_url?: string;
  readonly authorization?: string;
  readonly headers?: Readonly<Record<string, string>> | null;
  readonly allowed_tools?: readonly string[] | WrittenFilter | null;
  readonly require_approval?: 'always' | 'never' | { readonly always?: WrittenFilter; readonly never?: WrittenFilter } | null;
}

/** undefined: it is another kind of tool. */
export function mcpToolOf(tool: HostedTool): McpTool | undefined {
  if (tool.type !== 'mcp') return undefined;
  const written = tool as unknown as WrittenTool;
  const { server_label: label, server_url: url, authorization, headers } = written;
  const opens =
    authorization === undefined ? {} : { Authorization: /^\S+\s/.test(authorization) ? authorization : `Bearer ${authorization}` };
  return {
    label,
    url,
    headers: { ...headers, ...opens },
    allowed: allowedOf(written.allowed_tools),
    approval: approvalOf(written.require_approval),
  };
}

function allowedOf(written: WrittenTool['allowed_tools']): ToolFilter | undefined {
  if (written === undefined || written === null) return undefined;
  if (Array.isArray(written)) return { names: written };
  const filter = filterOf(written as WrittenFilter);
  return filter.names === undefined && filter.readOnly === undefined ? undefined : filter;
}

function approvalOf(written: WrittenTool['require_approval']): ApprovalRule | undefined {
  if (written === undefined || written === null) return undefined;
  if (typeof written === 'string') return written;
  return { always: written.always && filterOf(written.always), never: written.never && filterOf(written.never) };
}

function filterOf({ tool_names: names, read_only: readOnly }: WrittenFilter): ToolFilter {
  return { names, readOnly };
}

import type { ApprovalRule, ToolFilter } from './tool-list.ts';

/** A server of tools as a session asks for it. */
export interface McpTool {
  readonly type: 'mcp';
  readonly label: string;
  /** undefined: the server of the configuration with this label. */
  readonly url?: string | undefined;
  /** Also the one that opens the door. Never told to anybody. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** undefined: all that the server offers. */
  readonly allowed?: ToolFilter | undefined;
  /** undefined: as the configuration says; always, for servers that sessions bring. */
  readonly approval?: ApprovalRule | undefined;
}

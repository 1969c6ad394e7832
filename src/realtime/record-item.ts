import type { Item } from './model.ts';

/*
 * What the record of a conversation holds beside the model's own items, in the reference's shapes for tools that the server runs. Models know the
 * same calls as functions.
 */

/** A call of a tool that the gateway runs. */
export interface HostedCallItem {
  readonly type: 'mcp_call';
  readonly id: string;
  readonly server_label: string;
  readonly name: string;
  readonly arguments: string;
  readonly approval_request_id: string | null;
  /** null: none yet, or it failed. */
  readonly output: string | null;
  readonly error: { readonly type: 'tool_execution_error'; readonly message: string } | null;
}

/** A call that a program has to agree to before it is run. */
export interface ApprovalRequestItem {
  readonly type: 'mcp_approval_request';
  readonly id: string;
  readonly server_label: string;
  readonly name: string;
  readonly arguments: string;
}

/** A program's word on it. */
export interface ApprovalResponseItem {
  readonly type: 'mcp_approval_response';
  readonly id: string;
  readonly approval_request_id: string;
  readonly approve: boolean;
  readonly reason?: string | null | undefined;
}

/** The tools that another machine offers. */
export interface ToolListItem {
  readonly type: 'mcp_list_tools';
  readonly id: string;
  readonly server_label: string;
  readonly tools: readonly Readonly<Record<string, unknown>>[];
}

export type HostedItem = HostedCallItem | ApprovalRequestItem | ApprovalResponseItem | ToolListItem;

/** An item as programs see it. */
export type RecordItem = Item | HostedItem;

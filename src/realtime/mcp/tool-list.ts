import { createHash } from 'node:crypto';
import type { Tool } from '@modelcontextprotocol/client';
import { MOST_MESSAGE_DEPTH } from './stream-bounds.ts';

/** Tools by name or by what they say of themselves. */
export interface ToolFilter {
  readonly names?: readonly string[] | undefined;
  readonly readOnly?: boolean | undefined;
}

/** Which calls a program must agree to. `byTool`: those of `always`, and all others but those of `never`. */
export type ApprovalRule = 'always' | 'never' | { readonly always?: ToolFilter | undefined; readonly never?: ToolFilter | undefined };

export interface ToolSelection {
  /** undefined: all. */
  readonly allowed?: ToolFilter | undefined;
  /** Of those again only these. */
  readonly alsoAllowed?: ToolFilter | undefined;
  readonly approval: ApprovalRule;
  /** Calls of these need approval, too. */
  readonly alsoApproval?: ApprovalRule | undefined;
}

/** A tool as it can be offered. */
export interface ListedTool {
  /** As the model calls it. */
  readonly name: string;
  /** The server's, whole. */
  readonly tool: Tool;
  readonly description: string;
  readonly inputSchema: Readonly<Record<string, unknown>>;
  readonly needsApproval: boolean;
}

/** Of one server: a model that is told more finds none of them. The reference takes 128 tools in all. */
export const MOST_TOOLS = 128;

const MOST_DESCRIPTION = 4096;
const MOST_SCHEMA = 65_536;

/** What names of tools may be (MCP, «Tool Names»), as far as they are harmless everywhere. */
const NAME = /^[A-Za-z0-9_./-]{1,128}$/;
const HARMFUL: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** What a model may call a function. */
const MOST_FUNCTION_NAME = 64;

/**
 * The tools of a server that can be offered: what is allowed of them, each with a name that models can say, without what would be dangerous or
 * more than anybody reads.
 * @returns also how many were left out for what they are
 */
export function listTools(
  label: string,
  found: readonly Tool[],
  selection: ToolSelection,
): { readonly tools: readonly ListedTool[]; readonly leftOut: number } {
  const tools = new Map<string, ListedTool>();
  let leftOut = 0;
  for (const tool of found) {
    if (selection.allowed && !isOf(tool, selection.allowed)) continue;
    if (selection.alsoAllowed && !isOf(tool, selection.alsoAllowed)) continue;
    const listed = tools.size < MOST_TOOLS ? offered(label, tool, selection, tools) : undefined;
    if (listed) tools.set(listed.name, listed);
    else leftOut += 1;
  }
  return { tools: [...tools.values()], leftOut };
}

function offered(
  label: string,
  tool: Tool,
  { approval, alsoApproval }: ToolSelection,
  others: ReadonlyMap<string, ListedTool>,
): ListedTool | undefined {
  if (!NAME.test(tool.name) || HARMFUL.has(tool.name)) return undefined;
  const name = functionName(label, tool.name);
  if (others.has(name)) return undefined;
  const inputSchema = safeSchema(tool.inputSchema, 0);
  if (!isFields(inputSchema) || JSON.stringify(inputSchema).length > MOST_SCHEMA) return undefined;
  return {
    name,
    tool,
    description: (tool.description ?? '').slice(0, MOST_DESCRIPTION),
    inputSchema,
    needsApproval: needsApproval(tool, approval) || (alsoApproval !== undefined && needsApproval(tool, alsoApproval)),
  };
}

/** What models call it: two servers may have tools of one name. */
export function functionName(label: string, toolName: string): string {
  const name = `${label}_${toolName.replaceAll(/[./]/g, '_')}`;
  if (name.length <= MOST_FUNCTION_NAME) return name;
  const digest = createHash('sha256').update(`${label} ${toolName}`).digest('hex').slice(0, 8);
  return `${name.slice(0, MOST_FUNCTION_NAME - digest.length - 1)}_${digest}`;
}

function needsApproval(tool: Tool, rule: ApprovalRule): boolean {
  if (rule === 'never' || rule === 'always') return rule === 'always';
  if (rule.always && isOf(tool, rule.always)) return true;
  return !(rule.never && isOf(tool, rule.never));
}

/** Of a filter that says nothing nothing is chosen. */
function isOf(tool: Tool, { names, readOnly }: ToolFilter): boolean {
  if (names === undefined && readOnly === undefined) return false;
  if (names !== undefined && !names.includes(tool.name)) return false;
  return readOnly === undefined || (tool.annotations?.readOnlyHint === true) === readOnly;
}

/** A copy without keys that touch prototypes; undefined when it is too deep. */
function safeSchema(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MOST_MESSAGE_DEPTH) return undefined;
  if (Array.isArray(value)) {
    const list = value.map((each) => safeSchema(each, depth + 1));
    return list.includes(undefined) ? undefined : list;
  }
  const copy: Record<string, unknown> = {};
  for (const [key, each] of Object.entries(value)) {
    if (key === '__proto__' || each === undefined) continue;
    const safe = safeSchema(each, depth + 1);
    if (safe === undefined) return undefined;
    copy[key] = safe;
  }
  return copy;
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { z } from 'zod';

/* Servers of tools (MCP) in a session object, as the reference has them. */

const MOST_URL = 2048;
const MOST_TOKEN = 8192;
const MOST_HEADERS = 32;
const MOST_NAMES = 128;
const MOST_DESCRIPTION = 4096;

/** Headers that the protocol says itself, or that would say where a request ends. */
const OURS = /^(?:host|connection|content-.*|accept.*|transfer-encoding|te|trailer|upgrade|expect|mcp-.*|last-event-id)$/i;

const filter = z.strictObject({
  read_only: z.boolean().optional(),
  tool_names: z.array(z.string().min(1).max(128)).max(MOST_NAMES).optional(),
});

const url = z
  .string()
  .max(MOST_URL)
  .superRefine((value, context) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    const issue = (message: string) => context.addIssue({ code: 'custom', message, params: { code: 'invalid_value' } });
    if (!parsed || (parsed.protocol !== 'https:' && parsed.protocol !== 'http:')) issue('Servers are reached by an https: URL.');
    else if (parsed.username !== '' || parsed.password !== '') issue("Credentials belong in 'authorization', not in a URL.");
  });

const headers = z
  .record(
    z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
    z
      .string()
      .max(MOST_TOKEN)
      .regex(/^[\x20-\x7e]*$/),
  )
  .refine((value) => Object.keys(value).length <= MOST_HEADERS)
  .refine((value) => !Object.keys(value).some((name) => OURS.test(name)), { message: 'These headers are not yours to say.' });

/** What is not here is refused by name: a connector that nobody connects is worse than none. */
const notHere = (what: string) =>
  z
    .unknown()
    .optional()
    .refine((value) => value === undefined || value === null, {
      message: `${what} are not supported: name a server_url.`,
      params: { code: 'unsupported_tool' },
    });

export const mcpTool = z.strictObject({
  type: z.literal('mcp'),
  server_label: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/),
  /** Absent: the server that the gateway's configuration has under this label. */
  server_url: url.optional(),
  server_description: z.string().max(MOST_DESCRIPTION).optional(),
  authorization: z
    .string()
    .max(MOST_TOKEN)
    .regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/)
    .optional(),
  headers: headers.nullable().optional(),
  allowed_tools: z
    .union([z.array(z.string().min(1).max(128)).max(MOST_NAMES), filter])
    .nullable()
    .optional(),
  require_approval: z
    .union([z.enum(['always', 'never']), z.strictObject({ always: filter.optional(), never: filter.optional() })])
    .nullable()
    .optional(),
  connector_id: notHere('Connectors'),
  tunnel_id: notHere('Tunnels'),
  defer_loading: z.boolean().optional(),
  allowed_callers: z
    .array(z.enum(['direct', 'programmatic']))
    .nullable()
    .optional(),
});

export type McpToolSettings = z.output<typeof mcpTool>;

/** What may be told of it to those who look: nothing that opens a door. */
export function shownTool<Tool extends { readonly type: string }>(tool: Tool): Tool {
  if (tool.type !== 'mcp') return tool;
  const { authorization: _, headers: __, ...shown } = tool as unknown as McpToolSettings;
  return shown as unknown as Tool;
}

/** A program sends back what it was told: the keys that it was not told stay, as long as the door is the same. */
export function keepKeys<Tool extends { readonly type: string }>(tools: readonly Tool[], before: readonly Tool[]): Tool[] {
  return tools.map((tool) => {
    const next = settingsOf(tool);
    const old = next && settingsOf(sameServer(tool, before));
    if (!next || !old || next.authorization !== undefined || next.headers !== undefined) return tool;
    const { authorization, headers } = old;
    const kept = { ...next, ...(authorization === undefined ? {} : { authorization }), ...(headers === undefined ? {} : { headers }) };
    // In the order of the schema: servers are told from each other by their JSON.
    return mcpTool.parse(kept) as unknown as Tool;
  });
}

/** The one of these that names the same server as this one. */
export function sameServer<Tool extends { readonly type: string }>(tool: Tool, tools: readonly Tool[]): Tool | undefined {
  const named = settingsOf(tool);
  if (!named) return undefined;
  return tools.find((each) => {
    const other = settingsOf(each);
    return other?.server_label === named.server_label && other.server_url === named.server_url;
  });
}

export function bringsKeys(tool: { readonly type: string }): boolean {
  const settings = settingsOf(tool);
  return settings?.authorization !== undefined || (settings?.headers ?? undefined) !== undefined;
}

function settingsOf(tool: { readonly type: string } | undefined): McpToolSettings | undefined {
  return tool?.type === 'mcp' ? (tool as unknown as McpToolSettings) : undefined;
}

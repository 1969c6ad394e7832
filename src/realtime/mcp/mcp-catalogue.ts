import type { CommandFault } from '../session-event.ts';
import type { ToolCatalogue, ToolContext } from '../tools/tool-catalogue.ts';
import type { HostedTool, ToolSource } from '../tools/tool-source.ts';
import type { McpHub } from './mcp-hub.ts';
import { mcpToolOf } from './mcp-tool.ts';

/** The MCP servers that sessions have: those of the configuration, and those that they bring. */
export class McpCatalogue implements ToolCatalogue {
  readonly #hub: McpHub;

  constructor(hub: McpHub) {
    this.#hub = hub;
  }

  standing({ project }: ToolContext): readonly ToolSource[] {
    return this.#hub.everywhere(project).map((label) => this.#hub.source({ label }, project));
  }

  open(tool: HostedTool, { project }: ToolContext): ToolSource | undefined {
    const asked = mcpToolOf(tool);
    return asked && this.#hub.source(asked, project);
  }

  refuse(tool: HostedTool, project: string): CommandFault | undefined {
    const asked = mcpToolOf(tool);
    if (!asked) return undefined;
    const { label, url, headers = {} } = asked;
    if (url !== undefined) {
      if (!this.#hub.mayBring(project)) return { code: 'forbidden', message: 'Sessions of this project may not bring servers of tools.' };
      return this.#hub.permits(url) ? undefined : { code: 'invalid_value', message: 'This address may not be connected to.' };
    }
    if (!this.#hub.has(label, project))
      return { code: 'invalid_value', message: `No server of tools has the label '${label}': name a server_url.` };
    if (Object.keys(headers).length === 0) return undefined;
    return { code: 'invalid_value', message: `What opens the server '${label}' is the gateway's own.` };
  }
}

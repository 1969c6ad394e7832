import type { CallToolResult, Tool } from '@modelcontextprotocol/client';
import { McpFault } from '../../../src/realtime/mcp/mcp-fault.ts';
import type { ServerConnection } from '../../../src/realtime/mcp/mcp-server.ts';

export const tool = (name: string): Tool => ({ name, inputSchema: { type: 'object' } });

/** A connection that says what it is told to. */
export class FakeConnection implements ServerConnection {
  onToolsChanged: (() => void) | undefined;
  onLost: ((fault: McpFault) => void) | undefined;
  lists = 0;
  closed = false;
  tools: readonly Tool[] | McpFault = [tool('a')];
  answer: (signal: AbortSignal) => Promise<CallToolResult> = () => Promise.resolve({ content: [{ type: 'text', text: 'ok' }] });

  listTools(): Promise<readonly Tool[]> {
    this.lists += 1;
    return this.tools instanceof McpFault ? Promise.reject(this.tools) : Promise.resolve(this.tools);
  }

  callTool(_tool: Tool, _args: object, signal: AbortSignal): Promise<CallToolResult> {
    return this.answer(signal);
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** Lets promises settle. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 10; n++) await Promise.resolve();
}

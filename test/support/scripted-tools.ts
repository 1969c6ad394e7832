import type { ToolCatalogue } from '../../src/realtime/tools/tool-catalogue.ts';
import type { AbortReason, ToolCall, ToolDefinition, ToolNews, ToolSource } from '../../src/realtime/tools/tool-source.ts';

/** Tools of a test: they note how they are called, and answer when the test says so. */
export class ScriptedTools implements ToolSource {
  readonly label = 'scripted';
  tools: ToolDefinition[];
  onChanged: (() => void) | undefined;
  readonly calls: { readonly call: ToolCall; readonly tell: (news: ToolNews) => void; aborted: AbortReason | undefined }[] = [];
  /** What a tool does when it is called. Default: nothing, until the test says so. */
  onCall: ((call: ToolCall, tell: (news: ToolNews) => void) => void) | undefined;
  closed = false;

  constructor(...tools: ToolDefinition[]) {
    this.tools = tools;
  }

  get catalogue(): ToolCatalogue {
    return { standing: () => [this], open: () => undefined };
  }

  start(call: ToolCall, tell: (news: ToolNews) => void) {
    const entry = { call, tell, aborted: undefined as AbortReason | undefined };
    this.calls.push(entry);
    this.onCall?.(call, tell);
    return {
      abort: (reason: AbortReason) => {
        entry.aborted = reason;
      },
    };
  }

  /** The newest call is answered. */
  answer(output: string): void {
    this.calls.at(-1)?.tell({ type: 'done', output });
  }

  close(): void {
    this.closed = true;
  }
}

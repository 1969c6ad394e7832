import type { CallToolResult } from '@modelcontextprotocol/client';

/** Of one result, in characters: sixteen thousand tokens. */
const MOST_OUTPUT = 65_000;

/** Of one thing that is named and not shown. */
const MOST_NAME = 200;

export interface CallOutput {
  readonly text: string;
  /** The tool itself says that it failed. */
  readonly isError: boolean;
}

/** What a tool answered, as text for a model that speaks: text as it is, of the rest what it is. Never throws, whatever the server sent. */
export function outputOf(result: CallToolResult): CallOutput {
  const parts: string[] = [];
  let length = 0;
  for (const block of result.content ?? []) {
    const text = textOf(block);
    if (text === '') continue;
    parts.push(text);
    length += text.length;
    if (length > MOST_OUTPUT) break;
  }
  if (parts.length === 0 && result.structuredContent !== undefined) parts.push(jsonOf(result.structuredContent));
  const text = parts.join('\n');
  return { text: text.length > MOST_OUTPUT ? `${text.slice(0, MOST_OUTPUT)}\n[cut off]` : text, isError: result.isError === true };
}

function textOf(block: CallToolResult['content'][number]): string {
  switch (block.type) {
    case 'text':
      return block.text;
    case 'image':
    case 'audio':
      return `[${block.type} ${named(block.mimeType)}]`;
    case 'resource_link':
      return `[resource ${named(block.uri)}]`;
    case 'resource':
      return 'text' in block.resource ? block.resource.text : `[resource ${named(block.resource.uri)}]`;
    default:
      return '';
  }
}

function named(text: string): string {
  return text.slice(0, MOST_NAME);
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return '';
  }
}

import type { ContentPart, Item } from '../model.ts';
import type { UpstreamProfile } from './profile.ts';

/** The preview's names of what an assistant wrote and said. */
const BETA_PARTS: Readonly<Record<string, string>> = { output_text: 'text', output_audio: 'audio' };

/**
 * An item as a server takes it in `conversation.item.create`. What was said aloud goes as its words: no server takes an
 * assistant's audio, and the caller's own was given through the buffer.
 */
export function wireItem(item: Item, id: string | undefined, dialect: UpstreamProfile['dialect']): Record<string, unknown> {
  const named = id === undefined ? {} : { id };
  switch (item.type) {
    case 'message':
      return { ...named, type: 'message', role: item.role, content: item.content.flatMap((part) => wirePart(part, item.role, dialect)) };
    case 'function_call':
      return { ...named, type: item.type, call_id: item.call_id, name: item.name, arguments: item.arguments };
    case 'function_call_output':
      return { ...named, type: item.type, call_id: item.call_id, output: item.output };
  }
}

function wirePart(part: ContentPart, role: string, dialect: UpstreamProfile['dialect']): Record<string, unknown>[] {
  switch (part.type) {
    case 'input_text':
      return [{ type: 'input_text', text: part.text }];
    case 'input_image':
      return [{ type: 'input_image', image_url: part.image_url, ...(part.detail === undefined ? {} : { detail: part.detail }) }];
    case 'input_audio':
      if (part.audio !== undefined) return [{ type: 'input_audio', audio: part.audio }];
      return part.transcript ? [{ type: 'input_text', text: part.transcript }] : [];
    case 'output_text':
      return [textPart(part.text, role, dialect)];
    case 'output_audio':
      return part.transcript ? [textPart(part.transcript, role, dialect)] : [];
  }
}

function textPart(text: string, role: string, dialect: UpstreamProfile['dialect']): Record<string, unknown> {
  const type = role === 'assistant' ? 'output_text' : 'input_text';
  return { type: dialect === 'beta' ? (BETA_PARTS[type] ?? type) : type, text };
}

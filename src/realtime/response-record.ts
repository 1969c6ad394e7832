import type { ContentPart, ItemStatus, ResponseRequest } from './model.ts';
import type { RecordItem } from './record-item.ts';

/** More parts in an item than any model writes, and more items in a response: what comes on top is dropped. */
const MOST_PARTS = 64;
const MOST_OUTPUTS = 128;

/** Of one text, transcript or call: longer than any model writes (4096 tokens). */
const MOST_TEXT = 1_000_000;

export interface WrittenPart {
  readonly kind: 'audio' | 'text';
  /** undefined: audio of which no transcript was told. */
  text: string | undefined;
}

/** An item of a response as it grows. */
export interface Output {
  readonly index: number;
  readonly item: RecordItem;
  readonly parts: WrittenPart[];
  arguments: string;
  done: boolean;
}

/** A response while it is written: its items, and what is in them so far. */
export class ResponseRecord {
  readonly responseId: string;
  readonly request: ResponseRequest | undefined;
  readonly #outputs = new Map<string, Output>();

  constructor(responseId: string, request: ResponseRequest | undefined) {
    this.responseId = responseId;
    this.request = request;
  }

  /** Out of band its items are no part of the conversation. */
  get inConversation(): boolean {
    return this.request?.conversation !== 'none';
  }

  get outputs(): Iterable<Output> {
    return this.#outputs.values();
  }

  output(itemId: string): Output | undefined {
    return this.#outputs.get(itemId);
  }

  /** A new item; undefined when there are too many. */
  open(item: RecordItem): Output | undefined {
    if (this.#outputs.size >= MOST_OUTPUTS) return undefined;
    const output: Output = { index: this.#outputs.size, item, parts: [], arguments: '', done: false };
    this.#outputs.set(item.id, output);
    return output;
  }
}

/** Is there a place for this part in the item? Parts come one after the other. */
export function isNextPart(output: Output, contentIndex: number): boolean {
  return contentIndex === output.parts.length && contentIndex < MOST_PARTS;
}

/** The place of the item's audio, there or to be: behind text that came first. */
export function audioIndexOf(output: Output): number {
  const at = output.parts.findLastIndex((part) => part.kind === 'audio');
  return at < 0 ? output.parts.length : at;
}

/** Appends to a part; false when it is too long already. */
export function write(part: WrittenPart, delta: string): boolean {
  if ((part.text?.length ?? 0) + delta.length > MOST_TEXT) return false;
  part.text = (part.text ?? '') + delta;
  return true;
}

export function writeArguments(output: Output, delta: string): boolean {
  if (output.arguments.length + delta.length > MOST_TEXT) return false;
  output.arguments += delta;
  return true;
}

/** The item as it is written now. */
export function itemOf({ item, parts, arguments: args }: Output, status: ItemStatus): RecordItem {
  switch (item.type) {
    case 'message':
      return { ...item, status, content: parts.map(contentOf) };
    case 'function_call':
      return { ...item, status, arguments: args };
    case 'mcp_call':
      return { ...item, arguments: args };
    case 'function_call_output':
      return { ...item, status };
    default:
      return item;
  }
}

function contentOf({ kind, text }: WrittenPart): ContentPart {
  if (kind === 'text') return { type: 'output_text', text: text ?? '' };
  return text === undefined ? { type: 'output_audio' } : { type: 'output_audio', transcript: text };
}

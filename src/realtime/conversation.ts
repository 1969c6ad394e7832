import { ItemList } from './item-list.ts';
import type { ContentPart, ControlEvent, InputTranscriptEvent, Item, ItemStatus, ResponseRequest, WritingEvent } from './model.ts';
import type { CutItem } from './playout.ts';
import { samplesToMs } from './playout-ledger.ts';
import type { HostedCallItem, RecordItem, ToolListItem } from './record-item.ts';
import {
  audioIndexOf,
  isNextPart,
  itemOf,
  type Output,
  ResponseRecord,
  type WrittenPart,
  write,
  writeArguments,
} from './response-record.ts';
import type { Audience, OutputPlace, StopReason } from './session-event.ts';

type ResponseDone = Extract<ControlEvent, { readonly type: 'response_done' }>;

interface AudioEvent {
  readonly type: 'audio';
  readonly responseId: string;
  readonly itemId: string;
  readonly pcm: Int16Array;
}

/** A function call that the model has written to its end. */
export interface WrittenCall {
  readonly place: OutputPlace;
  readonly callId: string;
  readonly name: string;
  readonly arguments: string;
  /** Is it one that the gateway runs? */
  readonly hosted: boolean;
}

/** Who runs calls. */
export interface CallWatch {
  /** Who runs a tool of this name here, and what programs call it; undefined: a program runs it. */
  hostOf(name: string): { readonly label: string; readonly shownName: string } | undefined;
  handleWritten(call: WrittenCall): void;
  /** @param stopped by us, before it was whole */
  handleOver(responseId: string, stopped: boolean): void;
}

export interface ConversationOptions {
  /** Does audio go out as it comes? */
  readonly streams: boolean;
  readonly calls?: CallWatch;
}

const UNWRITTEN = { type: 'tool_execution_error', message: 'The call was not written to its end.' } as const;

/**
 * The record of a conversation: its items in order, and the responses that are being written. Puts what the model writes
 * into items, and tells of all that to whoever listens.
 */
export class Conversation {
  readonly items = new ItemList();
  readonly #audience: Audience;
  readonly #options: ConversationOptions;
  readonly #responses = new Map<string, ResponseRecord>();
  #hasSpoken = false;

  constructor(audience: Audience, options: ConversationOptions) {
    this.#audience = audience;
    this.#options = options;
  }

  /** Was there audio of the agent in this conversation? */
  get hasSpoken(): boolean {
    return this.#hasSpoken;
  }

  /** An item that is whole. Tells why it was not taken. */
  add(item: RecordItem, after?: string): 'duplicate' | 'no_such_item' | undefined {
    const added = this.items.add(item, after);
    if (typeof added === 'string') return added;
    const { previousItemId } = added;
    this.#audience.listener?.({ type: 'item_added', item, previousItemId });
    this.#audience.listener?.({ type: 'item_done', item, previousItemId });
    return undefined;
  }

  /** The call of a hosted tool has its result. */
  finishCall(place: OutputPlace, result: Pick<HostedCallItem, 'output' | 'error'>): void {
    const item = this.items.get(place.itemId);
    if (item?.type !== 'mcp_call') return; // a program has removed it
    const done = { ...item, ...result };
    this.items.replace(done);
    this.#audience.listener?.({ type: 'tool_done', ...place, item: done, previousItemId: this.items.previousOf(item.id) });
  }

  /** Another machine is being asked for its tools; `listDone` follows. */
  listStarted(item: ToolListItem): void {
    const added = this.items.add(item);
    if (typeof added !== 'string') this.#audience.listener?.({ type: 'listing_started', item, previousItemId: added.previousItemId });
  }

  listDone(item: ToolListItem, failed: boolean): void {
    if (!this.items.get(item.id)) return; // a program has removed it
    this.items.replace(item);
    this.#audience.listener?.({ type: 'listing_done', item, failed, previousItemId: this.items.previousOf(item.id) });
  }

  remove(itemId: string): boolean {
    const removed = this.items.remove(itemId);
    if (removed) this.#audience.listener?.({ type: 'item_deleted', itemId });
    return removed;
  }

  /** Of this item so much was said; what was not heard is not in its transcript, and nobody knows where in it that is. */
  truncate(itemId: string, contentIndex: number, audioEndMs: number): void {
    const item = this.items.get(itemId);
    if (item?.type === 'message') {
      const content = item.content.map(
        (part, index): ContentPart => (index === contentIndex ? { type: 'output_audio', transcript: null } : part),
      );
      this.items.replace({ ...item, content });
    }
    this.#audience.listener?.({ type: 'item_truncated', itemId, contentIndex, audioEndMs: Math.floor(audioEndMs) });
  }

  /** What of an item that was cut off was said; false when it is no item of the conversation (any more). */
  cut({ itemId, sentMs }: CutItem): boolean {
    if (!this.items.get(itemId)) return false;
    this.truncate(itemId, this.audioPart(itemId), sentMs);
    return true;
  }

  /** Index of the part of this item that is audio; 0 when there is none. */
  audioPart(itemId: string): number {
    const item = this.items.get(itemId);
    if (item?.type !== 'message') return 0;
    return Math.max(
      0,
      item.content.findIndex(({ type }) => type === 'output_audio'),
    );
  }

  /** What a turn said. Of one that was taken back nobody is told. */
  transcribe(event: InputTranscriptEvent): void {
    const item = this.items.get(event.itemId);
    if (item?.type !== 'message') return;
    if (event.type === 'input_transcript') {
      const { transcript } = event;
      const content = item.content.map((part): ContentPart => (part.type === 'input_audio' ? { ...part, transcript } : part));
      this.items.replace({ ...item, content });
    }
    this.#audience.listener?.(event);
  }

  responseStarted(responseId: string, request: ResponseRequest | undefined): void {
    this.#responses.set(responseId, new ResponseRecord(responseId, request));
    this.#audience.listener?.({ type: 'response_started', responseId, request });
  }

  /** Something of a response that runs; of others it is dropped. */
  write(event: WritingEvent | AudioEvent): void {
    const record = this.#responses.get(event.responseId);
    if (!record) return;
    switch (event.type) {
      case 'item_started':
        if (!record.output(event.item.id)) this.#open(record, event.item);
        break;
      case 'text':
      case 'transcript':
        this.#writePart(record, event.itemId, event.contentIndex, event.type, event.delta);
        break;
      case 'arguments':
        this.#writeArguments(record, event.itemId, event.delta);
        break;
      case 'audio':
        this.#writeAudio(record, event.itemId, event.pcm);
        break;
      case 'item_done':
        this.#finishItem(record, event.item);
        break;
    }
  }

  /** The model has said all of it. */
  responseDone(event: ResponseDone): void {
    const { responseId, status, reason, error, usage } = event;
    this.#finish(responseId, status, { reason, error, usage });
  }

  /** We stopped it. */
  stop(responseId: string, reason: StopReason): void {
    this.#finish(responseId, 'cancelled', { reason });
  }

  /** The model is gone in the middle of all that was open. */
  failAll(error: { readonly code: string; readonly message: string }): void {
    for (const responseId of [...this.#responses.keys()]) this.#finish(responseId, 'failed', { error });
  }

  #finish(responseId: string, status: ResponseDone['status'], rest: Pick<ResponseDone, 'reason' | 'error' | 'usage'>): void {
    const record = this.#responses.get(responseId);
    if (!record) return;
    for (const output of record.outputs) this.#close(record, output, status === 'completed' ? 'completed' : 'incomplete');
    this.#responses.delete(responseId);
    this.#tellDone(record, { responseId, status, ...rest });
    this.#options.calls?.handleOver(responseId, status !== 'completed' && status !== 'incomplete');
  }

  #tellDone(record: ResponseRecord, { responseId, status, ...rest }: Omit<ResponseDone, 'type'>): void {
    const { listener } = this.#audience;
    if (!listener) return;
    const output = [...record.outputs].map(
      (each) => this.items.get(each.item.id) ?? itemOf(each, status === 'completed' ? 'completed' : 'incomplete'),
    );
    listener({ type: 'response_done', responseId, request: record.request, status, ...rest, output });
  }

  #open(record: ResponseRecord, item: Item): Output | undefined {
    const started = this.#startedItem(record, item);
    const output = record.open(started);
    if (!output) return undefined;
    if (record.inConversation) this.items.add(started);
    this.#audience.listener?.({
      type: 'output_started',
      responseId: record.responseId,
      itemId: item.id,
      outputIndex: output.index,
      item: started,
      inConversation: record.inConversation,
      previousItemId: this.items.previousOf(item.id),
    });
    return output;
  }

  #startedItem(record: ResponseRecord, item: Item): RecordItem {
    const host = item.type === 'function_call' && record.inConversation ? this.#options.calls?.hostOf(item.name) : undefined;
    if (item.type !== 'function_call' || host === undefined) {
      return { ...item, status: 'in_progress', ...(item.type === 'message' ? { content: [] } : {}) } as Item;
    }
    const { id } = item;
    return {
      type: 'mcp_call',
      id,
      server_label: host.label,
      name: host.shownName,
      arguments: '',
      approval_request_id: null,
      output: null,
      error: null,
    };
  }

  /** The output of this item; a message is made when the model did not announce it. */
  #outputOf(record: ResponseRecord, itemId: string): Output | undefined {
    const output =
      record.output(itemId) ?? this.#open(record, { type: 'message', id: itemId, role: 'assistant', status: 'in_progress', content: [] });
    return output?.done ? undefined : output;
  }

  #partOf(record: ResponseRecord, output: Output, contentIndex: number, kind: WrittenPart['kind']): WrittenPart | undefined {
    const part = output.parts[contentIndex];
    if (part) return part.kind === kind ? part : undefined;
    if (output.item.type !== 'message' || !isNextPart(output, contentIndex)) return undefined;
    const added: WrittenPart = { kind, text: kind === 'text' ? '' : undefined };
    output.parts.push(added);
    this.#audience.listener?.({
      type: 'part_started',
      responseId: record.responseId,
      itemId: output.item.id,
      outputIndex: output.index,
      contentIndex,
      part: kind,
    });
    return added;
  }

  #writePart(record: ResponseRecord, itemId: string, contentIndex: number, type: 'text' | 'transcript', delta: string): void {
    const output = this.#outputOf(record, itemId);
    const part = output && this.#partOf(record, output, contentIndex, type === 'text' ? 'text' : 'audio');
    if (!part || !write(part, delta)) return;
    this.#audience.listener?.({ type, responseId: record.responseId, itemId, outputIndex: output.index, contentIndex, delta });
  }

  #writeArguments(record: ResponseRecord, itemId: string, delta: string): void {
    const output = record.output(itemId);
    if (!output || output.done) return;
    const { item } = output;
    if ((item.type !== 'function_call' && item.type !== 'mcp_call') || !writeArguments(output, delta)) return;
    const callId = item.type === 'function_call' ? item.call_id : undefined;
    this.#audience.listener?.({ type: 'arguments', responseId: record.responseId, itemId, outputIndex: output.index, callId, delta });
  }

  #writeAudio(record: ResponseRecord, itemId: string, pcm: Int16Array): void {
    const output = this.#outputOf(record, itemId);
    if (!output) return;
    const contentIndex = audioIndexOf(output);
    if (!this.#partOf(record, output, contentIndex, 'audio')) return;
    this.items.addAudio(itemId, pcm.length);
    if (record.inConversation) this.#hasSpoken = true;
    if (!this.#options.streams) return;
    this.#audience.listener?.({ type: 'audio', responseId: record.responseId, itemId, outputIndex: output.index, contentIndex, pcm });
  }

  /** What the model says the item is; what of it was not told in pieces is written now. */
  #finishItem(record: ResponseRecord, item: Item): void {
    const output = record.output(item.id) ?? this.#open(record, item);
    if (!output || output.done) return;
    if (item.type === 'message') {
      for (const [index, part] of item.content.entries()) {
        if (output.parts[index]?.text) continue;
        if (part.type === 'output_text' && part.text) this.#writePart(record, item.id, index, 'text', part.text);
        if (part.type === 'output_audio' && part.transcript) this.#writePart(record, item.id, index, 'transcript', part.transcript);
      }
    } else if (item.type === 'function_call' && output.arguments === '' && item.arguments !== '') {
      this.#writeArguments(record, item.id, item.arguments);
    }
    this.#close(record, output, item.status === 'incomplete' ? 'incomplete' : 'completed');
    if (item.type !== 'function_call' || item.status === 'incomplete' || !record.inConversation) return;
    const { call_id: callId, name } = item;
    const place = { responseId: record.responseId, itemId: item.id, outputIndex: output.index };
    this.#options.calls?.handleWritten({ place, callId, name, arguments: output.arguments, hosted: output.item.type === 'mcp_call' });
  }

  #close(record: ResponseRecord, output: Output, status: ItemStatus): void {
    if (output.done) return;
    output.done = true;
    const item = itemOf(output, status);
    const { inConversation, responseId } = record;
    if (inConversation) this.items.replace(item);
    const { listener } = this.#audience;
    if (!listener) return;
    const place = { responseId, itemId: item.id, outputIndex: output.index };
    for (const [contentIndex, { kind, text }] of output.parts.entries()) {
      listener({ type: 'part_done', ...place, contentIndex, part: kind, text });
    }
    listener({ type: 'output_done', ...place, item, inConversation, previousItemId: this.items.previousOf(item.id) });
    if (item.type === 'mcp_call' && status !== 'completed') this.finishCall(place, { output: null, error: UNWRITTEN });
  }

  /** Milliseconds of audio the item has. */
  audioMs(itemId: string): number {
    return samplesToMs(this.items.audioSamples(itemId));
  }
}

import { randomText } from '../../base/ids.ts';
import { type ContentPart, type Item, MODEL_RATE_HZ, type ModelEvent } from '../model.ts';
import { AudioDecoder } from './audio-format.ts';
import type { ConversationHistory, HistoryEntry } from './conversation-history.ts';
import type { UpstreamProfile } from './profile.ts';
import type { Ask } from './response-asks.ts';
import { type Fields, idOf, numberOf, objectOf, objectsOf, type ServerEvent, textOf } from './server-event.ts';
import { readUsage } from './usage-shape.ts';

/** More responses at once, items in one, parts in an item: no server means it. */
const MOST_RESPONSES = 8;
const MOST_ITEMS = 32;
const MOST_PARTS = 16;

/** Of a text, or of a call's arguments: what follows is dropped and the item is not complete. */
const MOST_CHARS = 262_144;

/** Error texts are for people. */
const MOST_REASON_CHARS = 300;

interface OpenPart {
  readonly type: 'output_audio' | 'output_text';
  text: string;
}

interface OpenItem {
  readonly id: string;
  readonly upstreamId: string;
  readonly kind: { readonly type: 'message' } | { readonly type: 'function_call'; readonly callId: string; readonly name: string };
  readonly parts: Map<number, OpenPart>;
  /** Of an item of the conversation itself. */
  readonly entry: HistoryEntry | undefined;
  arguments: string;
  decoder: AudioDecoder | undefined;
  /** What of its audio was given to the session. */
  emittedSamples: number;
  overflowed: boolean;
  /** The session knows of it. */
  told: boolean;
  done: boolean;
}

export interface OpenResponse {
  readonly id: string;
  readonly upstreamId: string;
  readonly ask: Ask | undefined;
  readonly outOfBand: boolean;
  readonly items: Map<string, OpenItem>;
  cancelled: boolean;
  /** The session has been given something of it. */
  told: boolean;
}

/** What was going on when a connection was lost. */
export interface LostResponse {
  readonly id: string;
  readonly ask: Ask | undefined;
  readonly outOfBand: boolean;
  /** `whole`: only its end was missing; `begun`: the session has a part of it; `empty`: it has nothing. */
  readonly state: 'whole' | 'begun' | 'empty';
}

export interface ReaderDeps {
  readonly profile: UpstreamProfile;
  readonly history: ConversationHistory;
  readonly emit: (event: ModelEvent) => void;
  /** Counts what a server should not do. */
  readonly count: (what: string) => void;
  /** Of this item nobody has heard more than this. */
  readonly unheard: (entry: HistoryEntry, heardMs: number) => void;
  /** A response of the conversation is over. */
  readonly settled: () => void;
}

/** The server's responses as they grow, as events of a model. What makes no sense is counted and passed over. */
export class ResponseReader {
  readonly #deps: ReaderDeps;
  readonly #open = new Map<string, OpenResponse>();

  constructor(deps: ReaderDeps) {
    this.#deps = deps;
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  /** Does a response of the conversation itself run? */
  get isSpeaking(): boolean {
    for (const { outOfBand } of this.#open.values()) if (!outOfBand) return true;
    return false;
  }

  /** A response began. Undefined when it may not. */
  begin(upstreamId: string, ask: Ask | undefined, outOfBand: boolean): OpenResponse | undefined {
    if (this.#open.has(upstreamId) || this.#open.size >= MOST_RESPONSES) {
      this.#deps.count(this.#open.has(upstreamId) ? 'duplicate' : 'too_many_responses');
      return undefined;
    }
    const taken = [...this.#open.values()].some(({ id }) => id === upstreamId);
    const id = ask?.responseId ?? (taken ? `resp_${randomText(20)}` : upstreamId);
    const response: OpenResponse = { id, upstreamId, ask, outOfBand, items: new Map(), cancelled: ask?.cancelled ?? false, told: false };
    this.#open.set(upstreamId, response);
    if (!response.cancelled && ask?.responseId === undefined) {
      this.#deps.emit({ type: 'response_started', responseId: id, ...(ask?.request && { requestId: ask.request.requestId }) });
    }
    return response;
  }

  /** The session does not want it any more. Undefined when there is no such response, or it was cancelled before. */
  cancel(responseId: string): OpenResponse | undefined {
    for (const response of this.#open.values()) {
      if (response.id !== responseId || response.cancelled) continue;
      response.cancelled = true;
      return response;
    }
    return undefined;
  }

  /** Reads an event of a response; false when it is none. */
  handle({ type, fields }: ServerEvent): boolean {
    switch (type) {
      case 'response.output_item.added':
        this.#addItem(fields);
        return true;
      case 'response.output_audio.delta':
        this.#handleAudio(fields);
        return true;
      case 'response.output_audio_transcript.delta':
        this.#handleText(fields, 'output_audio', 'delta');
        return true;
      case 'response.output_text.delta':
        this.#handleText(fields, 'output_text', 'delta');
        return true;
      case 'response.output_audio_transcript.done':
        this.#handleText(fields, 'output_audio', 'transcript');
        return true;
      case 'response.output_text.done':
        this.#handleText(fields, 'output_text', 'text');
        return true;
      case 'response.function_call_arguments.delta':
        this.#handleArguments(fields, 'delta');
        return true;
      case 'response.function_call_arguments.done':
        this.#handleArguments(fields, 'arguments');
        return true;
      case 'response.output_item.done':
        this.#handleItemDone(fields);
        return true;
      case 'response.done':
        this.#handleDone(fields);
        return true;
      case 'response.content_part.added':
      case 'response.content_part.done':
      case 'response.output_audio.done':
        return true;
      default:
        return false;
    }
  }

  /** The connection is gone: closes what was open, and tells what of it the session has. */
  lose(): LostResponse[] {
    const lost = [...this.#open.values()].map((response) => this.#lose(response));
    this.#open.clear();
    return lost.filter((each) => each !== undefined);
  }

  /** Responses that were cancelled, and whose end does not come: they are over. */
  abandonCancelled(): void {
    for (const response of [...this.#open.values()]) {
      if (!response.cancelled || response.outOfBand) continue;
      this.#open.delete(response.upstreamId);
      this.#lose(response);
    }
  }

  #lose(response: OpenResponse): LostResponse | undefined {
    const { id, ask, outOfBand, cancelled, told } = response;
    const items = [...response.items.values()];
    for (const item of items) if (!item.done) this.#finish(response, item, false);
    const called = items.some(({ kind, done, overflowed }) => kind.type === 'function_call' && done && !overflowed);
    if (cancelled) {
      this.#tellUnheard(response);
      if (ask?.cancelled !== true) this.#deps.emit({ type: 'response_done', responseId: id, status: 'cancelled' });
      return undefined;
    }
    if (!told) return { id, ask, outOfBand, state: 'empty' };
    const whole = called || items.every(({ entry }) => entry?.item.status === 'completed');
    const error = { code: 'connection_lost', message: 'the connection to the model was lost' };
    this.#deps.emit({ type: 'response_done', responseId: id, ...(whole ? { status: 'completed' } : { status: 'failed', error }) });
    return { id, ask, outOfBand, state: whole ? 'whole' : 'begun' };
  }

  #responseOf(fields: Fields): OpenResponse | undefined {
    const id = idOf(fields, 'response_id');
    const response = id === undefined ? [...this.#open.values()].at(-1) : this.#open.get(id);
    if (!response) this.#deps.count('unknown_response');
    return response;
  }

  #addItem(fields: Fields): OpenItem | undefined {
    const response = this.#responseOf(fields);
    const wire = objectOf(fields, 'item');
    const upstreamId = wire && idOf(wire, 'id');
    if (!response || !wire || upstreamId === undefined) return undefined;
    if (response.items.has(upstreamId)) {
      this.#deps.count('duplicate');
      return undefined;
    }
    return this.#openItem(response, upstreamId, wire);
  }

  #openItem(response: OpenResponse, upstreamId: string, wire: Fields): OpenItem | undefined {
    const type = textOf(wire, 'type') ?? 'message';
    if ((type !== 'message' && type !== 'function_call') || response.items.size >= MOST_ITEMS) {
      this.#deps.count(response.items.size >= MOST_ITEMS ? 'too_many_items' : 'unknown_item');
      return undefined;
    }
    const { history } = this.#deps;
    const id = history.has(upstreamId) ? `item_${randomText(20)}` : upstreamId;
    const callId = idOf(wire, 'call_id') ?? `call_${randomText(16)}`;
    const kind: OpenItem['kind'] =
      type === 'message' ? { type } : { type, callId, name: (textOf(wire, 'name') ?? '').slice(0, MOST_REASON_CHARS) };
    const entry: HistoryEntry | undefined = response.outOfBand ? undefined : { id, upstreamId: undefined, item: emptyItem(id, kind) };
    const item: OpenItem = {
      ...{ id, upstreamId, kind, entry, parts: new Map(), arguments: '', decoder: undefined },
      ...{ emittedSamples: 0, overflowed: false, told: !response.cancelled, done: false },
    };
    response.items.set(upstreamId, item);
    if (entry) {
      history.add(entry);
      history.name(entry, upstreamId);
    }
    if (response.cancelled) return item;
    response.told = true;
    this.#deps.emit({ type: 'item_started', responseId: response.id, item: emptyItem(id, kind) });
    return item;
  }

  /** The item that a delta belongs to. Some servers announce none, and some name none. */
  #itemOf(response: OpenResponse, fields: Fields, type: 'message' | 'function_call'): OpenItem | undefined {
    const named = idOf(fields, 'item_id');
    const upstreamId =
      named ?? [...response.items.values()].findLast(({ kind }) => kind.type === type)?.upstreamId ?? `item_${randomText(20)}`;
    const item = response.items.get(upstreamId) ?? this.#openItem(response, upstreamId, { ...fields, type });
    if (item?.kind.type === type && !item.done) return item;
    if (item) this.#deps.count(item.done ? 'after_done' : 'wrong_item');
    return undefined;
  }

  #handleAudio(fields: Fields): void {
    const response = this.#responseOf(fields);
    const delta = textOf(fields, 'delta');
    if (!response || delta === undefined) return;
    const item = this.#itemOf(response, fields, 'message');
    if (!item) return;
    item.decoder ??= new AudioDecoder(this.#deps.profile.output);
    this.#giveAudio(response, item, indexOf(fields), item.decoder.decode(delta));
  }

  #giveAudio(response: OpenResponse, item: OpenItem, contentIndex: number, pcm: Int16Array): void {
    if (pcm.length === 0) return;
    this.#partOf(item, contentIndex, 'output_audio');
    if (item.entry) {
      item.entry.speech ??= { contentIndex, receivedSamples: 0, heardMs: undefined };
      item.entry.speech.receivedSamples += pcm.length;
    }
    if (response.cancelled) return;
    item.emittedSamples += pcm.length;
    this.#deps.emit({ type: 'audio', responseId: response.id, itemId: item.id, pcm });
  }

  #partOf(item: OpenItem, contentIndex: number, type: OpenPart['type']): OpenPart | undefined {
    const known = item.parts.get(contentIndex);
    if (known || item.parts.size >= MOST_PARTS) return known?.type === type ? known : undefined;
    const part: OpenPart = { type, text: '' };
    item.parts.set(contentIndex, part);
    return part;
  }

  /** A delta, or the whole: of that, what the deltas did not have is given as one. */
  #handleText(fields: Fields, type: OpenPart['type'], field: 'delta' | 'transcript' | 'text'): void {
    const response = this.#responseOf(fields);
    const text = textOf(fields, field);
    if (!response || !text) return;
    const item = this.#itemOf(response, fields, 'message');
    if (item) this.#giveText(response, item, indexOf(fields), type, text, field === 'delta');
  }

  #giveText(response: OpenResponse, item: OpenItem, contentIndex: number, type: OpenPart['type'], text: string, isDelta: boolean): void {
    const part = this.#partOf(item, contentIndex, type);
    if (!part || (!isDelta && part.text !== '')) return;
    const delta = this.#within(item, part.text.length, text);
    if (delta === '') return;
    part.text += delta;
    if (response.cancelled) return;
    const event = { responseId: response.id, itemId: item.id, contentIndex, delta };
    this.#deps.emit(type === 'output_text' ? { type: 'text', ...event } : { type: 'transcript', ...event });
  }

  #handleArguments(fields: Fields, field: 'delta' | 'arguments'): void {
    const response = this.#responseOf(fields);
    const text = textOf(fields, field);
    if (!response || !text) return;
    const item = this.#itemOf(response, fields, 'function_call');
    if (item) this.#giveArguments(response, item, text, field === 'delta');
  }

  #giveArguments(response: OpenResponse, item: OpenItem, text: string, isDelta: boolean): void {
    if (!isDelta && item.arguments !== '') return;
    const delta = this.#within(item, item.arguments.length, text);
    if (delta === '') return;
    item.arguments += delta;
    if (!response.cancelled) this.#deps.emit({ type: 'arguments', responseId: response.id, itemId: item.id, delta });
  }

  #within(item: OpenItem, length: number, text: string): string {
    if (length + text.length <= MOST_CHARS) return text;
    if (!item.overflowed) this.#deps.count('too_long');
    item.overflowed = true;
    return text.slice(0, MOST_CHARS - length);
  }

  #handleItemDone(fields: Fields): void {
    const response = this.#responseOf(fields);
    const wire = objectOf(fields, 'item');
    const upstreamId = wire && idOf(wire, 'id');
    if (!response || !wire || upstreamId === undefined) return;
    const item = response.items.get(upstreamId) ?? this.#openItem(response, upstreamId, wire);
    if (!item) return;
    if (item.done) this.#deps.count('duplicate');
    else this.#complete(response, item, wire);
  }

  /** The whole item is there: what no delta has said is said now. */
  #complete(response: OpenResponse, item: OpenItem, wire: Fields): void {
    const { kind } = item;
    if (kind.type === 'function_call') {
      const whole = textOf(wire, 'arguments');
      if (whole) this.#giveArguments(response, item, whole, false);
    } else {
      for (const [index, part] of objectsOf(wire, 'content', MOST_PARTS).entries()) {
        const spoken = textOf(part, 'type')?.endsWith('audio') ?? false;
        const text = textOf(part, spoken ? 'transcript' : 'text');
        if (text) this.#giveText(response, item, index, spoken ? 'output_audio' : 'output_text', text, false);
      }
    }
    this.#finish(response, item, textOf(wire, 'status') !== 'incomplete');
  }

  #finish(response: OpenResponse, item: OpenItem, completed: boolean): void {
    const tail = completed && item.decoder?.flush();
    if (tail) this.#giveAudio(response, item, item.entry?.speech?.contentIndex ?? 0, tail);
    item.done = true;
    const whole = wholeItem(item, completed && !item.overflowed ? 'completed' : 'incomplete');
    if (item.entry) item.entry.item = whole;
    if (item.told) this.#deps.emit({ type: 'item_done', responseId: response.id, item: whole });
  }

  #handleDone(fields: Fields): void {
    const wire = objectOf(fields, 'response') ?? fields;
    const upstreamId = idOf(wire, 'id') ?? idOf(fields, 'response_id');
    const response = upstreamId === undefined ? [...this.#open.values()].at(-1) : this.#open.get(upstreamId);
    if (!response) {
      this.#deps.count('unknown_response');
      return;
    }
    this.#open.delete(response.upstreamId);
    const status = statusOf(wire);
    this.#completeFromOutput(response, wire);
    for (const item of response.items.values()) if (!item.done) this.#finish(response, item, status === 'completed');
    if (response.cancelled) this.#tellUnheard(response);
    if (response.ask?.cancelled !== true) {
      const usage = readUsage(wire);
      this.#deps.emit({ type: 'response_done', responseId: response.id, status, ...whyOf(wire), ...(usage && { usage }) });
    }
    if (!response.outOfBand) this.#deps.settled();
  }

  /** Some servers give items only with the end. */
  #completeFromOutput(response: OpenResponse, wire: Fields): void {
    for (const output of objectsOf(wire, 'output', MOST_ITEMS)) {
      const id = idOf(output, 'id');
      if (id === undefined) continue;
      const item = response.items.get(id) ?? this.#openItem(response, id, output);
      if (item && !item.done) this.#complete(response, item, output);
    }
  }

  /** Of a cancelled response the session has what was given before, and nothing of the rest. */
  #tellUnheard(response: OpenResponse): void {
    for (const { entry, emittedSamples, parts, kind } of response.items.values()) {
      const written = [...parts.values()].some(({ type }) => type === 'output_text');
      if (!entry || written || kind.type !== 'message' || entry.speech?.heardMs !== undefined) continue;
      const received = entry.speech?.receivedSamples ?? 0;
      if (received === 0 || received > emittedSamples) this.#deps.unheard(entry, (emittedSamples * 1000) / MODEL_RATE_HZ);
    }
  }
}

function indexOf(fields: Fields): number {
  const index = numberOf(fields, 'content_index') ?? 0;
  return Number.isInteger(index) && index < MOST_PARTS ? index : 0;
}

function emptyItem(id: string, kind: OpenItem['kind']): Item {
  if (kind.type === 'message') return { type: 'message', id, role: 'assistant', status: 'in_progress', content: [] };
  return { type: 'function_call', id, status: 'in_progress', call_id: kind.callId, name: kind.name, arguments: '' };
}

function wholeItem({ id, kind, parts, arguments: args }: OpenItem, status: 'completed' | 'incomplete'): Item {
  if (kind.type === 'function_call') return { type: 'function_call', id, status, call_id: kind.callId, name: kind.name, arguments: args };
  const content = [...parts.entries()]
    .sort(([a], [b]) => a - b)
    .map(([, { type, text }]): ContentPart => (type === 'output_text' ? { type, text } : { type, transcript: text }));
  return { type: 'message', id, role: 'assistant', status, content };
}

function statusOf(wire: Fields): 'completed' | 'cancelled' | 'failed' | 'incomplete' {
  const status = textOf(wire, 'status');
  return status === 'cancelled' || status === 'failed' || status === 'incomplete' ? status : 'completed';
}

function whyOf(wire: Fields): { readonly reason?: string; readonly error?: { readonly code: string; readonly message: string } } {
  const details = objectOf(wire, 'status_details');
  if (!details) return {};
  const reason = textOf(details, 'reason')?.slice(0, 64);
  const error = objectOf(details, 'error');
  return {
    ...(reason !== undefined && { reason }),
    ...(error && {
      error: {
        code: (textOf(error, 'code') ?? textOf(error, 'type') ?? 'server_error').slice(0, 64),
        message: (textOf(error, 'message') ?? 'the model failed').slice(0, MOST_REASON_CHARS),
      },
    }),
  };
}

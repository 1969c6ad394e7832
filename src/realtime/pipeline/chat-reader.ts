import type { ResponseUsage } from '../model.ts';
import { type Fields, numberOf, objectOf, objectsOf, textOf } from '../upstream/server-event.ts';
import { parseFields } from './parse-fields.ts';
import { SseParser, type SseResult } from './sse-parser.ts';
import { type StageReader, type StageReading, unreadable, WholeBody } from './stage-reader.ts';
import { ThinkFilter } from './think-filter.ts';

/** What a chat service writes. */
export type ChatEvent =
  | { readonly type: 'text'; readonly text: string }
  /** A piece of a function call; the first one of an index has its name. */
  | { readonly type: 'call'; readonly index: number; readonly callId?: string; readonly name?: string; readonly arguments: string }
  | { readonly type: 'finish'; readonly reason: string }
  | { readonly type: 'usage'; readonly usage: ResponseUsage }
  /** It thinks. */
  | { readonly type: 'alive' };

/** A model writes some 4 characters a token: more than any context is no answer. */
const MOST_BODY_BYTES = 4_194_304;

/** Calls in one answer. */
const MOST_CALLS = 32;

/** Reads a streamed completion; or a whole one, of servers that do not stream. */
export class ChatReader implements StageReader<ChatEvent> {
  readonly #sse: SseParser | undefined;
  readonly #whole = new WholeBody(MOST_BODY_BYTES);
  readonly #think = new ThinkFilter();
  #bytes = 0;
  #finished = false;
  #ended = false;

  /** @param type of the content, bare */
  constructor(type: string) {
    this.#sse = type === 'application/json' ? undefined : new SseParser();
  }

  push(bytes: Uint8Array): StageReading<ChatEvent> {
    if (this.#ended) return { events: [] };
    this.#bytes += bytes.length;
    if (this.#bytes > MOST_BODY_BYTES) return unreadable('too_large', 'more than 4 MB');
    if (this.#sse) return this.#readEvents(this.#sse.push(bytes));
    this.#whole.push(bytes);
    return { events: [] };
  }

  end(): StageReading<ChatEvent> {
    if (this.#ended) return { events: [], ended: true };
    if (!this.#sse) return this.#readWhole();
    const last = this.#readEvents(this.#sse.end());
    if (last.fault || last.ended) return last;
    const fault = this.#finished ? undefined : ({ code: 'cut_off', detail: 'the stream has no end' } as const);
    return { events: [...last.events, ...this.#rest()], fault, ended: this.#finished };
  }

  #readEvents(result: SseResult): StageReading<ChatEvent> {
    if ('fault' in result) {
      if (result.fault === 'too_large') return unreadable('too_large', 'an event of more than 1 MB');
      return unreadable('bad_data', 'bad UTF-8');
    }
    const events: ChatEvent[] = [];
    for (const data of result.events) {
      if (data.trim() === '[DONE]') {
        this.#ended = true;
        return { events: [...events, ...this.#rest()], ended: true };
      }
      const fields = parseFields(data);
      if (!fields) return { events, fault: { code: 'bad_data', detail: 'an event that is not JSON' } };
      const error = objectOf(fields, 'error');
      if (error) return { events, fault: { code: 'server_error', detail: textOf(error, 'message') ?? 'an error in the stream' } };
      this.#readChunk(fields, 'delta', events);
    }
    return { events };
  }

  #readWhole(): StageReading<ChatEvent> {
    const text = this.#whole.text();
    const fields = text === undefined ? undefined : parseFields(text);
    if (!fields) return unreadable('bad_data', 'not JSON');
    const events: ChatEvent[] = [];
    this.#readChunk(fields, 'message', events);
    if (events.length === 0) return unreadable('bad_data', 'no choices');
    return { events: [...events, ...this.#rest()], ended: true };
  }

  #readChunk(fields: Fields, name: 'delta' | 'message', events: ChatEvent[]): void {
    const choice = objectsOf(fields, 'choices', 1)[0];
    const delta = choice && objectOf(choice, name);
    const before = events.length;
    if (delta) this.#readDelta(delta, events);
    const reason = choice && textOf(choice, 'finish_reason');
    if (reason !== undefined) {
      this.#finished = true;
      events.push({ type: 'finish', reason });
    }
    const usage = readChatUsage(fields);
    if (usage) events.push({ type: 'usage', usage });
    if (events.length === before && choice) events.push({ type: 'alive' });
  }

  #readDelta(delta: Fields, events: ChatEvent[]): void {
    const text = textOf(delta, 'content') || textOf(delta, 'refusal');
    const said = text ? this.#think.push(text) : '';
    if (said !== '') events.push({ type: 'text', text: said });
    for (const [position, call] of objectsOf(delta, 'tool_calls', MOST_CALLS).entries()) {
      const index = numberOf(call, 'index') ?? position;
      if (index >= MOST_CALLS) continue;
      const written = objectOf(call, 'function') ?? {};
      const callId = textOf(call, 'id');
      const name = textOf(written, 'name');
      events.push({
        ...{ type: 'call', index, arguments: textOf(written, 'arguments') ?? '' },
        ...(callId ? { callId: callId.slice(0, 128) } : {}),
        ...(name ? { name: name.slice(0, 128) } : {}),
      });
    }
  }

  #rest(): ChatEvent[] {
    const text = this.#think.flush();
    return text === '' ? [] : [{ type: 'text', text }];
  }
}

function readChatUsage(fields: Fields): ResponseUsage | undefined {
  const usage = objectOf(fields, 'usage');
  if (!usage) return undefined;
  const input = numberOf(usage, 'prompt_tokens') ?? 0;
  const output = numberOf(usage, 'completion_tokens') ?? 0;
  const cached = numberOf(objectOf(usage, 'prompt_tokens_details') ?? {}, 'cached_tokens');
  return {
    total_tokens: numberOf(usage, 'total_tokens') ?? input + output,
    input_tokens: input,
    output_tokens: output,
    ...(cached === undefined ? {} : { input_token_details: { cached_tokens: cached } }),
  };
}

import { type Fields, objectOf, objectsOf, textOf } from '../upstream/server-event.ts';
import { parseFields } from './parse-fields.ts';
import { SseParser, type SseResult } from './sse-parser.ts';
import { type StageReader, type StageReading, unreadable, WholeBody } from './stage-reader.ts';

export type TranscriptionEvent =
  | { readonly type: 'delta'; readonly text: string }
  | { readonly type: 'done'; readonly text: string; readonly usage?: unknown };

/** A turn is a minute at most; so many words nobody says in it. */
const MOST_BODY_BYTES = 262_144;

/** Reads what a service heard: a stream of events, one JSON object, or plain text. */
export class TranscriptionReader implements StageReader<TranscriptionEvent> {
  readonly #sse: SseParser | undefined;
  readonly #plain: boolean;
  readonly #whole = new WholeBody(MOST_BODY_BYTES);
  #bytes = 0;
  #text = '';
  #ended = false;

  /** @param type of the content, bare */
  constructor(type: string) {
    this.#sse = type === 'text/event-stream' ? new SseParser() : undefined;
    this.#plain = type === 'text/plain';
  }

  push(bytes: Uint8Array): StageReading<TranscriptionEvent> {
    if (this.#ended) return { events: [] };
    this.#bytes += bytes.length;
    if (this.#bytes > MOST_BODY_BYTES) return unreadable('too_large', 'more than 256 kB');
    if (this.#sse) return this.#readEvents(this.#sse.push(bytes));
    this.#whole.push(bytes);
    return { events: [] };
  }

  end(): StageReading<TranscriptionEvent> {
    if (this.#ended) return { events: [], ended: true };
    if (!this.#sse) return this.#readWhole();
    const last = this.#readEvents(this.#sse.end());
    if (last.fault || last.ended) return last;
    // Servers that send segments end with the stream; one without any segment has heard nothing.
    return { events: [...last.events, { type: 'done', text: this.#text.trim() }], ended: true };
  }

  #readWhole(): StageReading<TranscriptionEvent> {
    const body = this.#whole.text();
    if (body === undefined) return unreadable('bad_data', 'bad UTF-8');
    if (this.#plain) return { events: [{ type: 'done', text: body.trim() }], ended: true };
    const fields = parseFields(body);
    const text = fields && textOf(fields, 'text');
    if (!fields || text === undefined) return unreadable('bad_data', fields ? 'no text in it' : 'not JSON');
    return { events: [doneOf(text, fields)], ended: true };
  }

  #readEvents(result: SseResult): StageReading<TranscriptionEvent> {
    if ('fault' in result) return unreadable('bad_data', 'an unreadable stream');
    const events: TranscriptionEvent[] = [];
    for (const data of result.events) {
      if (data.trim() === '[DONE]') return this.#finish(events, this.#text.trim());
      const fields = parseFields(data);
      if (!fields) return { events, fault: { code: 'bad_data', detail: 'an event that is not JSON' } };
      const error = objectOf(fields, 'error');
      if (error) return { events, fault: { code: 'server_error', detail: textOf(error, 'message') ?? 'an error in the stream' } };
      if (textOf(fields, 'type') === 'transcript.text.done')
        return this.#finish(events, textOf(fields, 'text') ?? this.#text.trim(), fields);
      const delta = deltaOf(fields);
      if (delta === '') continue;
      this.#text += delta;
      events.push({ type: 'delta', text: delta });
    }
    return { events };
  }

  #finish(events: readonly TranscriptionEvent[], text: string, fields: Fields = {}): StageReading<TranscriptionEvent> {
    this.#ended = true;
    return { events: [...events, doneOf(text, fields)], ended: true };
  }
}

function doneOf(text: string, fields: Fields): TranscriptionEvent {
  const usage = objectOf(fields, 'usage');
  return { type: 'done', text: text.trim(), ...(usage ? { usage } : {}) };
}

/** The reference's events, chunks as of chat completions, or segments. */
function deltaOf(fields: Fields): string {
  const type = textOf(fields, 'type');
  if (type?.startsWith('transcript.')) return type === 'transcript.text.delta' ? (textOf(fields, 'delta') ?? '') : '';
  const choice = objectsOf(fields, 'choices', 1)[0];
  if (choice) return textOf(objectOf(choice, 'delta') ?? {}, 'content') ?? '';
  return textOf(fields, 'text') ?? '';
}

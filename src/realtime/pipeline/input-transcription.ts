import { MODEL_RATE_HZ, type ModelEvent } from '../model.ts';
import type { HistoryEntry } from '../upstream/conversation-history.ts';
import type { CallBoard } from './call-board.ts';
import type { TranscriptionOptions } from './pipeline-options.ts';
import type { Quirks } from './quirks.ts';
import type { ServiceCall } from './service-call.ts';
import type { StageFault } from './stage.ts';
import { type TranscriptionEvent, TranscriptionReader } from './transcription-reader.ts';
import { transcriptionRequest } from './transcription-request.ts';

/** What became of a turn's words: `undefined`, they are still being found out. */
export type Transcript = { readonly text: string } | { readonly fault: StageFault };

/** Less is no word, and some services refuse it. */
const SHORTEST_SAMPLES = 0.1 * MODEL_RATE_HZ;

/** Said of turns whose words nobody knows. */
const UNKNOWN_WORDS = '(The caller spoke here; the words could not be made out.)';

export interface InputTranscriptionDeps {
  readonly board: CallBoard;
  readonly options: TranscriptionOptions;
  readonly quirks: Quirks;
  readonly emit: (event: ModelEvent, entry: HistoryEntry) => void;
  /** The words of a turn, as far as they are known. */
  readonly onWords: (entry: HistoryEntry, words: string) => void;
  /** Is somebody told the words? */
  readonly isTold: () => boolean;
  readonly onSettled: (entry: HistoryEntry, transcript: Transcript, now: number) => void;
}

/** The words of turns, found out by a service. */
export class InputTranscription {
  readonly #deps: InputTranscriptionDeps;
  readonly #pending = new Map<HistoryEntry, ServiceCall<TranscriptionEvent> | undefined>();

  constructor(deps: InputTranscriptionDeps) {
    this.#deps = deps;
  }

  get isPending(): boolean {
    return this.#pending.size > 0;
  }

  /** @param pcm at 24 kHz */
  begin(entry: HistoryEntry, pcm: Int16Array, now: number): void {
    if (pcm.length < SHORTEST_SAMPLES) {
      this.#settle(entry, { text: '' }, undefined, now);
      return;
    }
    const { board, options, quirks } = this.#deps;
    let streams = false;
    let text = '';
    this.#pending.set(entry, undefined);
    const call = board.open<TranscriptionEvent>(
      'transcription',
      {
        request: (retryOf) => {
          if (retryOf?.code === 'refused' && streams) quirks.wholeTranscripts = true;
          streams = (options.stream ?? true) && !quirks.wholeTranscripts;
          return transcriptionRequest(options, pcm, streams);
        },
        reader: (type) => (isTranscript(type) ? new TranscriptionReader(type) : undefined),
        adapt: ({ code }) => code === 'refused' && streams,
        restart: () => {
          text = '';
          return true;
        },
        onEvent: (event, at) => {
          if (event.type === 'done') {
            this.#deps.onWords(entry, event.text);
            this.#settle(entry, { text: event.text }, event.usage, at);
          } else {
            text += event.text;
            this.#deps.onWords(entry, text.trim());
            this.#tellDelta(entry, event.text);
          }
        },
        onDone: (at) => {
          if (this.#pending.has(entry)) this.#settle(entry, { text: text.trim() }, undefined, at);
        },
        onFault: (fault, at) => this.#settle(entry, { fault }, undefined, at),
      },
      now,
    );
    if (this.#pending.has(entry)) this.#pending.set(entry, call);
  }

  /** The turn is none any more. */
  forget(entry: HistoryEntry): void {
    this.#pending.get(entry)?.cancel();
    this.#pending.delete(entry);
  }

  #tellDelta(entry: HistoryEntry, delta: string): void {
    if (this.#deps.isTold()) this.#deps.emit({ type: 'input_transcript_delta', itemId: entry.id, delta }, entry);
  }

  #settle(entry: HistoryEntry, transcript: Transcript, usage: unknown, now: number): void {
    this.#pending.delete(entry);
    const { item, id } = entry;
    if (item.type !== 'message') return;
    const { emit, isTold } = this.#deps;
    if ('fault' in transcript) {
      entry.item = {
        ...item,
        content: [...item.content.filter(({ type }) => type !== 'input_audio'), { type: 'input_text', text: UNKNOWN_WORDS }],
      };
      const { code, message } = transcript.fault;
      if (isTold()) emit({ type: 'input_transcript_failed', itemId: id, code: `transcription_${code}`, message }, entry);
    } else {
      const { text } = transcript;
      entry.item = {
        ...item,
        content: item.content.map((part) => (part.type === 'input_audio' ? { type: 'input_audio', transcript: text } : part)),
      };
      if (isTold()) emit({ type: 'input_transcript', itemId: id, transcript: text, ...(usage === undefined ? {} : { usage }) }, entry);
    }
    this.#deps.onSettled(entry, transcript, now);
  }
}

export function isTranscript(type: string): boolean {
  return type === 'application/json' || type === 'text/event-stream' || type === 'text/plain';
}

import type { ModelEvent } from '../model.ts';
import type { ConversationHistory, HistoryEntry } from './conversation-history.ts';
import { idOf, objectOf, type ServerEvent, textOf } from './server-event.ts';
import { readUsage } from './usage-shape.ts';

const DELTA = 'conversation.item.input_audio_transcription.delta';
const COMPLETED = 'conversation.item.input_audio_transcription.completed';
const FAILED = 'conversation.item.input_audio_transcription.failed';

/** What a caller says in a turn of 60 s is a thousandth of this. */
const MOST_CHARS = 65_536;

/** What the caller said, as the server wrote it down: for the session, and for the history in place of the audio. */
export class InputTranscripts {
  readonly #history: ConversationHistory;
  readonly #emit: (event: ModelEvent) => void;

  constructor(history: ConversationHistory, emit: (event: ModelEvent) => void) {
    this.#history = history;
    this.#emit = emit;
  }

  /** Are this turn's words not known yet? */
  isAwaited(entry: HistoryEntry | undefined): boolean {
    return entry?.pcm !== undefined && entry.upstreamId !== undefined;
  }

  /** False when the event is no transcription. */
  handle({ type, fields }: ServerEvent): boolean {
    if (type !== DELTA && type !== COMPLETED && type !== FAILED) return false;
    const upstreamId = idOf(fields, 'item_id');
    const entry = upstreamId === undefined ? undefined : this.#history.findByUpstreamId(upstreamId);
    if (!entry) return true; // of a turn that went on, or of nothing
    if (type === DELTA) {
      const delta = textOf(fields, 'delta')?.slice(0, MOST_CHARS);
      if (delta) this.#emit({ type: 'input_transcript_delta', itemId: entry.id, delta });
    } else if (type === COMPLETED) this.#complete(entry, (textOf(fields, 'transcript') ?? '').slice(0, MOST_CHARS), readUsage(fields));
    else {
      const error = objectOf(fields, 'error') ?? {};
      const code = (textOf(error, 'code') ?? 'transcription_failed').slice(0, 64);
      const message = (textOf(error, 'message') ?? 'the caller was not understood').slice(0, 300);
      this.#emit({ type: 'input_transcript_failed', itemId: entry.id, code, message });
    }
    return true;
  }

  #complete(entry: HistoryEntry, words: string, usage: unknown): void {
    const { item } = entry;
    const part = item.type === 'message' ? item.content[0] : undefined;
    if (item.type !== 'message' || part?.type !== 'input_audio' || part.transcript) return; // known already
    entry.item = { ...item, content: [{ type: 'input_audio', transcript: words }] };
    entry.pcm = undefined;
    // The first part of a turn that could not be replaced comes first.
    const transcript = [...wordsOf(entry.prior), words].join(' ');
    this.#emit({ type: 'input_transcript', itemId: entry.id, transcript, ...(usage !== undefined && { usage }) });
  }
}

function wordsOf(entry: HistoryEntry | undefined): string[] {
  if (!entry) return [];
  const part = entry.item.type === 'message' ? entry.item.content[0] : undefined;
  return [...wordsOf(entry.prior), ...(part?.type === 'input_audio' && part.transcript ? [part.transcript] : [])];
}

import { type Item, MODEL_RATE_HZ } from '../model.ts';

/** What an assistant said aloud. */
export interface Speech {
  readonly contentIndex: number;
  receivedSamples: number;
  /** The caller has heard no more than this; undefined: all of it. */
  heardMs: number | undefined;
}

/** An item of the conversation, under our name and the server's. */
export interface HistoryEntry {
  readonly id: string;
  /** What the connection that is used now calls it; undefined while it has not said so. */
  upstreamId: string | undefined;
  item: Item;
  /** The caller's words have not been written down: the audio itself is kept, as long as there is room. */
  pcm?: Int16Array | undefined;
  /** An earlier part of the same turn, at a server that cannot delete. */
  prior?: HistoryEntry | undefined;
  speech?: Speech | undefined;
  /** The session that is used now knows what was said aloud as a text only. */
  asText?: boolean;
  /** Not part of the conversation any more, but the server has to be told as soon as it has named it. */
  unwanted?: boolean;
}

/** Items beyond this are forgotten, oldest first: more than an hour of turns. */
const MOST_ITEMS = 400;

/** Texts, arguments, images: what a model's context would hold. */
const MOST_CHARS = 2_000_000;

/** The caller's audio that nobody has written down, of all turns together: 1 MB. */
const MOST_AUDIO_SAMPLES = 20 * MODEL_RATE_HZ;

/** What was said so far, so that another session of the model can be told. Bounded: the oldest goes first. */
export class ConversationHistory {
  readonly #entries: HistoryEntry[] = [];
  readonly #byUpstreamId = new Map<string, HistoryEntry>();
  #names = new Set<string>();

  get entries(): readonly HistoryEntry[] {
    return this.#entries;
  }

  /** @param previousItemId undefined: at the end; `root`: at the beginning; unknown: at the end */
  add(entry: HistoryEntry, previousItemId?: string): void {
    const before = previousItemId === undefined ? -1 : this.#entries.findIndex(({ id }) => id === previousItemId);
    if (previousItemId === 'root') this.#entries.unshift(entry);
    else if (before >= 0) this.#entries.splice(before + 1, 0, entry);
    else this.#entries.push(entry);
    this.#names.add(entry.id);
    this.#prune(entry);
  }

  remove(entry: HistoryEntry): void {
    const at = this.#entries.indexOf(entry);
    if (at >= 0) this.#entries.splice(at, 1);
    this.#forgetName(entry);
  }

  find(id: string): HistoryEntry | undefined {
    return this.#entries.findLast((entry) => entry.id === id);
  }

  findByUpstreamId(upstreamId: string): HistoryEntry | undefined {
    return this.#byUpstreamId.get(upstreamId);
  }

  /** Is this name in use? */
  has(id: string): boolean {
    return this.#names.has(id);
  }

  /** The server has named it. */
  name(entry: HistoryEntry, upstreamId: string): void {
    entry.upstreamId = upstreamId;
    this.#byUpstreamId.set(upstreamId, entry);
  }

  /** Another session of the server: none of its names are known yet. */
  forgetNames(): void {
    this.#byUpstreamId.clear();
    for (const entry of this.#entries) {
      entry.upstreamId = undefined;
      entry.asText = false;
    }
  }

  entryBefore(entry: HistoryEntry): HistoryEntry | undefined {
    return this.#entries[this.#entries.indexOf(entry) - 1];
  }

  /** The server's id of this item, or of the newest before it that the server knows; undefined: none. */
  upstreamIdBefore(previousItemId: string): string | undefined {
    for (let at = this.#entries.findIndex(({ id }) => id === previousItemId); at >= 0; at--) {
      const upstreamId = this.#entries[at]?.upstreamId;
      if (upstreamId !== undefined) return upstreamId;
    }
    return undefined;
  }

  /** Items as another session is told them. What refers to something forgotten is left out. */
  replayable(): readonly HistoryEntry[] {
    const calls = new Set<string>();
    return this.#entries.filter(({ item }) => {
      if (item.type === 'function_call') {
        if (item.status === 'completed') calls.add(item.call_id);
        return item.status === 'completed';
      }
      return item.type !== 'function_call_output' || calls.has(item.call_id);
    });
  }

  #forgetName({ id, upstreamId }: HistoryEntry): void {
    if (!this.find(id)) this.#names.delete(id);
    if (upstreamId !== undefined) this.#byUpstreamId.delete(upstreamId);
  }

  #prune(newest: HistoryEntry): void {
    let chars = 0;
    let samples = 0;
    for (let at = this.#entries.length - 1; at >= 0; at--) {
      const entry = this.#entries[at];
      if (!entry) continue;
      chars += sizeOf(entry.item);
      samples += entry.pcm?.length ?? 0;
      if (samples > MOST_AUDIO_SAMPLES && entry !== newest) entry.pcm = undefined;
      if (chars <= MOST_CHARS && this.#entries.length - at <= MOST_ITEMS) continue;
      for (const old of this.#entries.splice(0, at + 1)) this.#forgetName(old);
      return;
    }
  }
}

function sizeOf(item: Item): number {
  if (item.type === 'function_call') return item.arguments.length;
  if (item.type === 'function_call_output') return item.output.length;
  let chars = 0;
  for (const part of item.content) {
    if ('text' in part) chars += part.text.length;
    else if ('image_url' in part) chars += part.image_url.length;
    else chars += (part.audio?.length ?? 0) + (part.transcript?.length ?? 0);
  }
  return chars;
}

/** A fast speaker; the transcript of speech that was cut off runs ahead of its audio by more than this allows. */
const MOST_CHARS_PER_S = 18;

/** Said when nothing better is known. */
const UNKNOWN_WORDS = '(The caller spoke here; the words are not known any more.)';

/** The item with what was really heard of it, as far as that can be told: no server gives the words of half an item. */
export function heardItem({ item, speech, pcm }: HistoryEntry): Item {
  if (item.type !== 'message') return item;
  if (item.role === 'user') {
    const known = pcm || item.content.some((part) => part.type !== 'input_audio' || part.audio !== undefined || part.transcript);
    return known ? item : { ...item, content: [{ type: 'input_text', text: UNKNOWN_WORDS }] };
  }
  if (!speech) return item;
  const receivedMs = (speech.receivedSamples * 1000) / MODEL_RATE_HZ;
  return {
    ...item,
    content: item.content.map((part) => {
      if (part.type !== 'output_audio' || !part.transcript) return part;
      return { type: 'output_audio', transcript: heardText(part.transcript, receivedMs, speech.heardMs, item.status === 'completed') };
    }),
  };
}

function heardText(transcript: string, receivedMs: number, heardMs: number | undefined, whole: boolean): string {
  let chars = whole ? transcript.length : Math.min(transcript.length, (receivedMs / 1000) * MOST_CHARS_PER_S);
  if (heardMs !== undefined && receivedMs > 0) chars = Math.min(chars, (transcript.length * heardMs) / receivedMs);
  if (chars >= transcript.length) return transcript;
  const cut = transcript.slice(0, Math.floor(chars));
  return `${cut.slice(0, Math.max(0, cut.lastIndexOf(' ')))} …`.trimStart();
}

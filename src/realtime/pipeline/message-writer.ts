import { randomText } from '../../base/ids.ts';
import type { ItemStatus, ModelEvent } from '../model.ts';
import type { ConversationHistory, HistoryEntry } from '../upstream/conversation-history.ts';
import { Said } from './said.ts';

/** What an assistant says or writes in one response: an item, its events, and its place in the history. */
export class MessageWriter {
  readonly itemId = `item_${randomText(20)}`;
  readonly said = new Said();
  readonly #responseId: string;
  readonly #emit: (event: ModelEvent) => void;
  #history: ConversationHistory | undefined;
  #entry: HistoryEntry | undefined;
  #open = false;
  #written: string | undefined;
  #spoken = '';

  /** @param history undefined: out of band, or not yet */
  constructor(responseId: string, emit: (event: ModelEvent) => void, history: ConversationHistory | undefined) {
    this.#responseId = responseId;
    this.#emit = emit;
    this.#history = history;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** There will be one. */
  open(): void {
    if (this.#open) return;
    this.#open = true;
    const item = { type: 'message', id: this.itemId, role: 'assistant', status: 'in_progress', content: [] } as const;
    this.#emit({ type: 'item_started', responseId: this.#responseId, item });
    if (this.#history) this.#join(this.#history);
  }

  /** It is part of the conversation from now on. */
  join(history: ConversationHistory): void {
    this.#history = history;
    if (!this.#open) return;
    this.#join(history);
    this.record();
  }

  write(delta: string): void {
    this.open();
    this.#written = (this.#written ?? '') + delta;
    this.#emit({ type: 'text', responseId: this.#responseId, itemId: this.itemId, contentIndex: 0, delta });
  }

  /** @param counts is it part of the conversation? */
  beginPassage(text: string, counts: boolean): void {
    this.open();
    this.said.begin(text, counts);
    const delta = this.#spoken === '' ? text : ` ${text}`;
    this.#spoken += delta;
    this.#emit({ type: 'transcript', responseId: this.#responseId, itemId: this.itemId, contentIndex: 0, delta });
  }

  sound(pcm: Int16Array): void {
    this.said.add(pcm.length);
    this.#emit({ type: 'audio', responseId: this.#responseId, itemId: this.itemId, pcm });
  }

  /** Nothing more comes. */
  finish(status: ItemStatus): void {
    if (!this.#open) return;
    const part =
      this.#written === undefined
        ? ({ type: 'output_audio', transcript: this.#spoken } as const)
        : ({ type: 'output_text', text: this.#written } as const);
    const content = this.#written === undefined && this.#spoken === '' ? [] : [part];
    this.#emit({
      type: 'item_done',
      responseId: this.#responseId,
      item: { type: 'message', id: this.itemId, role: 'assistant', status, content },
    });
    this.record();
  }

  #join(history: ConversationHistory): void {
    const item = { type: 'message', id: this.itemId, role: 'assistant', status: 'in_progress', content: [] } as const;
    this.#entry = { id: this.itemId, upstreamId: undefined, item };
    history.add(this.#entry);
  }

  /** The history has what was heard; what nobody heard is not in it. */
  record(): void {
    const entry = this.#entry;
    if (!entry || !this.#history) return;
    const text = this.#written ?? this.said.text();
    if (text === '') {
      this.#history.remove(entry);
      this.#entry = undefined;
      return;
    }
    const part =
      this.#written === undefined ? ({ type: 'output_audio', transcript: text } as const) : ({ type: 'output_text', text } as const);
    entry.item = { type: 'message', id: this.itemId, role: 'assistant', status: 'completed', content: [part] };
  }
}

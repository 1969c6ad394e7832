import { type AskedFor, askedBy, NOTHING_ASKED } from './caller-words.ts';
import { HeardTranscript } from './heard-transcript.ts';
import { ENGLISH } from './lexicon/english.ts';
import type { Lexicon } from './lexicon/lexicon.ts';
import type { PlayoutLedger } from './playout-ledger.ts';
import { samplesToMs } from './playout-ledger.ts';

/** As many as the playout's ledger has. */
const KEPT_ITEMS = 32;

/** What was probably heard of an item. */
export interface HeardItem {
  readonly heardMs: number;
  /** undefined: no transcript of it was told. */
  readonly transcript: string | undefined;
}

interface SpokenItem {
  readonly responseId: string;
  readonly transcript: HeardTranscript;
  whole: boolean;
}

/** The words of what the agent says, beside its audio. */
export class SpokenText {
  readonly #ledger: Pick<PlayoutLedger, 'entries'>;
  readonly #items = new Map<string, SpokenItem>();
  /** Of the language that is spoken; null: nobody knows it. */
  lexicon: Lexicon | null = ENGLISH;
  #latestId: string | undefined;
  #asked: { readonly length: number; readonly itemId: string; readonly asked: AskedFor } | undefined;

  constructor(ledger: Pick<PlayoutLedger, 'entries'>) {
    this.#ledger = ledger;
  }

  /** More of what the item's audio says. */
  add(responseId: string, itemId: string, delta: string): void {
    let item = this.#items.get(itemId);
    if (!item) {
      item = { responseId, transcript: new HeardTranscript(), whole: false };
      this.#items.set(itemId, item);
      if (this.#items.size > KEPT_ITEMS) this.#forgetOldest();
    }
    item.transcript.add(delta, this.#entry(itemId)?.receivedSamples ?? 0);
    this.#latestId = itemId;
  }

  /** All of what the item's audio says, when it was not told in pieces. */
  complete(responseId: string, itemId: string, transcript: string): void {
    if (!this.#items.get(itemId)?.transcript.text) this.add(responseId, itemId, transcript);
  }

  /** Nothing more comes of this response. */
  finish(responseId: string): void {
    for (const item of this.#items.values()) if (item.responseId === responseId) item.whole = true;
  }

  /** What of this item had left on the wire by then, and which words that were. */
  heardBefore(itemId: string, at: number): HeardItem {
    const entry = this.#entry(itemId);
    if (!entry) return { heardMs: 0, transcript: undefined };
    const samples = entry.log.sentBefore(entry, at);
    const item = this.#items.get(itemId);
    return { heardMs: samplesToMs(samples), transcript: item?.transcript.upTo(samples, entry.receivedSamples, item.whole) };
  }

  /** What the agent says or has said last. */
  get latest(): string {
    return this.#latestItem?.transcript.text ?? '';
  }

  /** What that asks for. */
  get asked(): AskedFor {
    const item = this.#latestItem;
    if (!item || this.#latestId === undefined) return NOTHING_ASKED;
    const { text } = item.transcript;
    if (this.#asked?.itemId !== this.#latestId || this.#asked.length !== text.length) {
      this.#asked = { itemId: this.#latestId, length: text.length, asked: this.#askedBy(text) };
    }
    return this.#asked.asked;
  }

  #askedBy(text: string): AskedFor {
    if (this.lexicon) return askedBy(text, this.lexicon);
    // A question mark is one in most languages.
    return /[?؟？]\s*$/.test(text) ? { asked: 'open' } : NOTHING_ASKED;
  }

  /** How much of it has left, 0 to 1; 0 while more may come. */
  get playedShare(): number {
    const item = this.#latestItem;
    const entry = this.#latestId === undefined ? undefined : this.#entry(this.#latestId);
    return item?.whole && entry ? entry.sentSamples / Math.max(1, entry.receivedSamples) : 0;
  }

  get #latestItem(): SpokenItem | undefined {
    return this.#latestId === undefined ? undefined : this.#items.get(this.#latestId);
  }

  #entry(itemId: string) {
    return this.#ledger.entries.findLast((entry) => entry.itemId === itemId);
  }

  #forgetOldest(): void {
    for (const itemId of this.#items.keys()) {
      this.#items.delete(itemId);
      return;
    }
  }
}

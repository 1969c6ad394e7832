import { samplesToMs } from '../playout-ledger.ts';

interface Passage {
  readonly text: string;
  /** Of the conversation? Not what covers up a delay or a failure. */
  readonly counts: boolean;
  samples: number;
}

/** What of an item was spoken, passage by passage, so that it can be told what was heard of it. */
export class Said {
  readonly #passages: Passage[] = [];
  #heardMs = Number.POSITIVE_INFINITY;

  get isEmpty(): boolean {
    return this.#passages.length === 0;
  }

  begin(text: string, counts: boolean): void {
    this.#passages.push({ text, counts, samples: 0 });
  }

  /** More sound of the newest passage. */
  add(samples: number): void {
    const last = this.#passages.at(-1);
    if (last) last.samples += samples;
  }

  /** The caller has heard no more than this. */
  cutAt(ms: number): void {
    this.#heardMs = Math.min(this.#heardMs, ms);
  }

  /**
   * The words that were heard, up to the last whole one; of the passage that was cut off an estimate, by its share of the
   * passage's sound so far.
   */
  text(): string {
    let leftMs = this.#heardMs;
    const heard: string[] = [];
    for (const { text, counts, samples } of this.#passages) {
      const ms = samplesToMs(samples);
      if (leftMs >= ms) {
        if (counts && text !== '') heard.push(text);
      } else {
        const part = ms === 0 ? '' : wholeWords(text, leftMs / ms);
        if (counts && part !== '') heard.push(`${part} …`);
        break;
      }
      leftMs -= ms;
    }
    return heard.join(' ');
  }
}

function wholeWords(text: string, share: number): string {
  const end = Math.floor(text.length * share);
  const head = text.slice(0, end);
  if (/\s/.test(text.charAt(end))) return head;
  // Scripts without spaces are cut where they are.
  const space = head.search(/\s\S*$/);
  if (space >= 0) return head.slice(0, space);
  return /\s/.test(text) ? '' : head;
}

import { type LedgerEntry, markSent, samplesToMs } from './playout-ledger.ts';

interface Chunk {
  readonly pcm: Int16Array;
  readonly entry: LedgerEntry;
  /** Sample of the item at which this chunk begins. */
  readonly offset: number;
}

/** One second of what was played is kept, to go back over at a resume (at most 400 ms are needed). */
const HISTORY_SAMPLES = 24_000;

/** Ten milliseconds each for two minutes: a model that sends smaller pieces than that is dropped on. */
const MOST_CHUNKS = 12_000;

/** Audio in the order it is to be said, with a cursor that can go back a little. Holds the model's arrays, copies nothing. */
export class PlayoutQueue {
  readonly #chunks: Chunk[] = [];
  /** The cursor: the chunk it is in, and how far. */
  #index = 0;
  #at = 0;
  /** Samples before the cursor that are still kept, and after it. */
  #behind = 0;
  #ahead = 0;

  /** Samples that wait to be said. */
  get ahead(): number {
    return this.#ahead;
  }

  get isFull(): boolean {
    return this.#chunks.length >= MOST_CHUNKS;
  }

  /** The response at the cursor. */
  get responseId(): string | undefined {
    return this.#chunks[this.#index]?.entry.responseId;
  }

  push(pcm: Int16Array, entry: LedgerEntry, offset: number): void {
    this.#chunks.push({ pcm, entry, offset });
    this.#ahead += pcm.length;
  }

  /** Fills the start of `out` and moves on; returns how many samples there were. The first `counted` of them go to the ledger as sent. */
  read(out: Int16Array, counted: number, now: number): number {
    let filled = 0;
    while (filled < out.length) {
      const chunk = this.#chunks[this.#index];
      if (!chunk) break;
      const take = Math.min(out.length - filled, chunk.pcm.length - this.#at);
      out.set(take === chunk.pcm.length ? chunk.pcm : chunk.pcm.subarray(this.#at, this.#at + take), filled);
      const sent = Math.min(take, counted - filled);
      if (sent > 0) markSent(chunk.entry, chunk.offset + this.#at + sent, now);
      filled += take;
      this.#advance(chunk, take);
    }
    this.#behind += filled;
    this.#ahead -= filled;
    this.#forget();
    return filled;
  }

  /** Passes over samples that will never be said. */
  skip(samples: number): void {
    let left = Math.min(samples, this.#ahead);
    this.#ahead -= left;
    this.#behind += left;
    while (left > 0) {
      const chunk = this.#chunks[this.#index];
      if (!chunk) break;
      const take = Math.min(left, chunk.pcm.length - this.#at);
      left -= take;
      this.#advance(chunk, take);
    }
    this.#forget();
  }

  /** Moves the cursor back within the response that was playing, as far as it is kept; returns by how much. */
  rewind(samples: number): number {
    let moved = 0;
    const responseId = this.#at > 0 ? this.responseId : this.#chunks[this.#index - 1]?.entry.responseId;
    while (moved < samples) {
      if (this.#at === 0) {
        const previous = this.#chunks[this.#index - 1];
        if (previous?.entry.responseId !== responseId || !previous) break;
        this.#index -= 1;
        this.#at = previous.pcm.length;
      }
      const step = Math.min(samples - moved, this.#at);
      this.#at -= step;
      moved += step;
    }
    this.#behind -= moved;
    this.#ahead += moved;
    return moved;
  }

  /** Empties the queue; returns the items that were not said to their end, in order. */
  clear(): { itemId: string; responseId: string; sentMs: number }[] {
    const cut = new Set<LedgerEntry>();
    for (let n = this.#index; n < this.#chunks.length; n++) {
      const chunk = this.#chunks[n];
      if (chunk && chunk.entry.sentSamples < chunk.entry.receivedSamples) cut.add(chunk.entry);
    }
    this.#chunks.length = 0;
    this.#index = 0;
    this.#at = 0;
    this.#behind = 0;
    this.#ahead = 0;
    return [...cut].map((entry) => ({ itemId: entry.itemId, responseId: entry.responseId, sentMs: samplesToMs(entry.sentSamples) }));
  }

  #advance(chunk: Chunk, samples: number): void {
    this.#at += samples;
    if (this.#at < chunk.pcm.length) return;
    this.#index += 1;
    this.#at = 0;
  }

  #forget(): void {
    for (let first = this.#chunks[0]; first && this.#index > 0; first = this.#chunks[0]) {
      if (this.#behind - first.pcm.length < HISTORY_SAMPLES) break;
      this.#behind -= first.pcm.length;
      this.#chunks.shift();
      this.#index -= 1;
    }
  }
}

import type { HistoryEntry } from './conversation-history.ts';
import type { Ask } from './response-asks.ts';

/** What an event of ours was about, for the error that may name it. `quiet`: nobody needs to know that it was refused. */
export type SentEvent = { readonly ask: Ask } | { readonly item: HistoryEntry } | 'quiet' | undefined;

/** A server that answers errors this late answers none. */
const MOST_EVENTS = 256;

/** Which event of ours an error is about. */
export class SentEvents {
  readonly #events = new Map<string, SentEvent>();
  #count = 0;

  /** The id of the next event. */
  next(event: SentEvent): string {
    this.#count += 1;
    const id = `rd_${this.#count}`;
    if (event !== undefined) this.#events.set(id, event);
    if (this.#events.size > MOST_EVENTS) {
      for (const oldest of this.#events.keys()) {
        this.#events.delete(oldest);
        break;
      }
    }
    return id;
  }

  take(id: string | undefined): SentEvent {
    if (id === undefined) return undefined;
    const event = this.#events.get(id);
    this.#events.delete(id);
    return event;
  }
}

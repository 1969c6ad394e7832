import type { ModelEvent } from '../model.ts';
import type { HistoryEntry } from '../upstream/conversation-history.ts';
import type { PipelineResponse } from './pipeline-response.ts';

/** An answer to a turn that may not be over: what would be told of it is kept until it is. Bounded as the answer is. */
export class Preparation {
  readonly startMs: number;
  readonly entry: HistoryEntry;
  response: PipelineResponse | undefined;
  /** The turns' owner knows what it says. */
  toldWords = false;
  readonly #held: ModelEvent[] = [];

  /** @param entry the turn, under a name of its own */
  constructor(startMs: number, entry: HistoryEntry) {
    this.startMs = startMs;
    this.entry = entry;
  }

  hold(event: ModelEvent): void {
    this.#held.push(event);
  }

  /** The turn has this name. */
  release(id: string): { readonly entry: HistoryEntry; readonly events: readonly ModelEvent[] } {
    const entry = Object.assign(this.entry, { id, item: { ...this.entry.item, id } });
    const events = this.#held.map((event) => (isOfTurn(event) ? { ...event, itemId: id } : event));
    return { entry, events };
  }
}

function isOfTurn({ type }: ModelEvent): boolean {
  return type === 'input_transcript' || type === 'input_transcript_delta' || type === 'input_transcript_failed';
}

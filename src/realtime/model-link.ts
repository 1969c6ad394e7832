import type { CallContext, ControlEvent, ModelConnection, ModelEvent, RealtimeModel } from './model.ts';
import type { Playout } from './playout.ts';

/** More open responses at once than any model has: the next one is refused. */
const MOST_OPEN_RESPONSES = 8;

/**
 * The model as the session has it: which responses are open, which are unwanted. What the model says of responses goes to
 * the playout here, the rest to the owner.
 */
export class ModelLink {
  readonly connection: ModelConnection;
  readonly #playout: Playout;
  readonly #onEvent: (event: ControlEvent) => void;
  readonly #open = new Set<string>();
  /** Commits that no response has answered yet. */
  #requested = false;
  /** The response that was asked for is cancelled before it had a name. */
  #unwanted = false;
  #closed = false;

  constructor(model: RealtimeModel, playout: Playout, onEvent: (event: ControlEvent) => void, call?: CallContext) {
    this.#playout = playout;
    this.#onEvent = onEvent;
    this.connection = model.connect((event) => this.#handle(event), call);
  }

  /** Does the model owe more audio? */
  get isResponding(): boolean {
    return this.#open.size > 0;
  }

  commitTurn(startMs: number, endMs: number): void {
    this.#requested = true;
    this.#unwanted = false;
    this.connection.commitTurn({ startMs, endMs });
  }

  /** The model may answer something other than a turn. */
  expectResponse(): void {
    this.#unwanted = false;
  }

  /** Stops everything that is said or about to be said, and tells the model what of it was. */
  stopResponses(now: number): void {
    if (this.#requested) {
      this.#requested = false;
      this.#unwanted = true;
      this.connection.cancelResponse(undefined);
    }
    const open = [...this.#open];
    this.#open.clear();
    const cut = this.#playout.stop(now);
    for (const responseId of open) {
      this.#playout.forget(responseId);
      this.connection.cancelResponse(responseId);
    }
    for (const { itemId, sentMs } of cut) this.connection.truncate(itemId, sentMs);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.connection.close();
  }

  #handle(event: ModelEvent): void {
    if (this.#closed) return;
    switch (event.type) {
      case 'response_started':
        this.#handleStarted(event.responseId, event.live ?? false);
        return;
      case 'audio':
        if (this.#open.has(event.responseId)) this.#playout.push(event.responseId, event.itemId, event.pcm);
        return;
      case 'response_done':
        if (!this.#open.delete(event.responseId)) return;
        this.#playout.seal(event.responseId);
        break;
      case 'closed':
        for (const responseId of this.#open) this.#playout.seal(responseId);
        this.#open.clear();
        break;
      default:
        break;
    }
    this.#onEvent(event);
  }

  #handleStarted(responseId: string, live: boolean): void {
    this.#requested = false;
    if (this.#unwanted || this.#open.size >= MOST_OPEN_RESPONSES) {
      this.#unwanted = false;
      this.connection.cancelResponse(responseId);
      return;
    }
    this.#open.add(responseId);
    this.#playout.open(responseId, live);
  }
}

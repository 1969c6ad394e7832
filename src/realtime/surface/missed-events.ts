/** A greeting is some twenty events of 10 kB together; a client that takes longer than this to come has missed the beginning. */
const MOST_EVENTS = 200;
const MOST_CHARACTERS = 65_536;

/**
 * What happened before the client's own way for events was there: audio needs a round trip or two less than a data channel, so the agent speaks first.
 * All of it or, when it has become too much, nothing: half a beginning would make no sense.
 */
export class MissedEvents {
  #events: string[] | undefined = [];
  #characters = 0;

  /** Is anything still kept for somebody? */
  get isWaiting(): boolean {
    return this.#events !== undefined;
  }

  keep(event: string): void {
    if (!this.#events) return;
    this.#events.push(event);
    this.#characters += event.length;
    if (this.#events.length > MOST_EVENTS || this.#characters > MOST_CHARACTERS) this.#events = undefined;
  }

  /** Gives them away, once. */
  take(): readonly string[] {
    const events = this.#events ?? [];
    this.#events = undefined;
    return events;
  }
}

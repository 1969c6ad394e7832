import type { Channel } from './event-channel.ts';

/** Requests and items whose fault the model may still report: of older ones everybody is told. */
const MOST_ORIGINS = 256;

/** Which client's event something came from. */
export interface Origin {
  readonly channel: Channel;
  /** The name the client gave the event. */
  readonly eventId: string | undefined;
}

/** Where requests and items came from, by their names: whoever caused a fault is told of it. */
export class Origins {
  readonly #origins = new Map<string, Origin>();

  add(name: string, origin: Origin): void {
    this.#origins.set(name, origin);
    if (this.#origins.size <= MOST_ORIGINS) return;
    for (const oldest of this.#origins.keys()) {
      this.#origins.delete(oldest);
      break;
    }
  }

  /** It is known once. */
  take(name: string | undefined): Origin | undefined {
    if (name === undefined) return undefined;
    const origin = this.#origins.get(name);
    this.#origins.delete(name);
    return origin;
  }

  forget(channel: Channel): void {
    for (const [name, origin] of this.#origins) if (origin.channel === channel) this.#origins.delete(name);
  }
}

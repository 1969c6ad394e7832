import type { Audience } from './session-event.ts';

/** Which responses are on the wire: tells when one begins, is over, or is cut off. */
export class PlaybackRecord {
  readonly #audience: Audience;
  readonly #sounding = new Set<string>();

  constructor(audience: Audience) {
    this.#audience = audience;
  }

  begun(responseId: string): void {
    this.#sounding.add(responseId);
    this.#audience.listener?.({ type: 'playback_started', responseId });
  }

  played(responseId: string): void {
    if (this.#sounding.delete(responseId)) this.#audience.listener?.({ type: 'playback_stopped', responseId });
  }

  cleared(): void {
    for (const responseId of this.#sounding) this.#audience.listener?.({ type: 'playback_cleared', responseId });
    this.#sounding.clear();
  }
}

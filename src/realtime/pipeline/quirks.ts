/** What the services turned out not to know; found once, and known to all calls from then on. */
export class Quirks {
  /** Transcription refuses to stream. */
  wholeTranscripts = false;
  /** Chat refuses fields that came later. */
  plainChat = false;
  readonly #voices = new Set<string>();

  /** Speech has no such voice. */
  hasNot(voice: string): boolean {
    return this.#voices.has(voice);
  }

  /** @param voice that was asked for by a client: bounded by what clients may ask */
  addMissingVoice(voice: string): void {
    if (this.#voices.size < MOST_VOICES) this.#voices.add(voice);
  }
}

/** Clients make names up: more are asked for each time. */
const MOST_VOICES = 64;

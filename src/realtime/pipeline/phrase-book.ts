import type { VoiceManner } from './speech-request.ts';

/** Greeting, fallback and patience, in a few voices. */
const MOST_PHRASES = 32;

/** Ten seconds of one are 480 kB. */
const MOST_SAMPLES = 30 * 24_000;

/** Something that is said word for word, and its sound. */
export interface Phrase {
  readonly text: string;
  readonly pcm: Int16Array;
}

/** The sound of texts that are always the same, kept for all calls: it is there at once, and when the service is not. */
export class PhraseBook {
  readonly #phrases = new Map<string, Int16Array>();
  readonly #claimed = new Set<string>();

  get(text: string, manner: VoiceManner): Int16Array | undefined {
    return this.#phrases.get(keyOf(text, manner));
  }

  add(text: string, manner: VoiceManner, pcm: Int16Array): void {
    if (pcm.length > MOST_SAMPLES) return;
    this.#phrases.set(keyOf(text, manner), pcm);
    const oldest = this.#phrases.keys().next();
    if (this.#phrases.size > MOST_PHRASES && !oldest.done) this.#phrases.delete(oldest.value);
  }

  /** Nobody else fetches it meanwhile? Then you do, until `release`. */
  claim(text: string, manner: VoiceManner): boolean {
    const key = keyOf(text, manner);
    if (this.#claimed.has(key) || this.#phrases.has(key)) return false;
    this.#claimed.add(key);
    return true;
  }

  release(text: string, manner: VoiceManner): void {
    this.#claimed.delete(keyOf(text, manner));
  }
}

function keyOf(text: string, { voice, speed }: VoiceManner): string {
  return JSON.stringify([text, voice, speed ?? null]);
}

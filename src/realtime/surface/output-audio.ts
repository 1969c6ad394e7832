import { AudioWriter } from './audio-codec.ts';
import type { AudioFormat } from './session-schema.ts';

/** Audio of a session without a media leg on its way to clients: each item in the format that was in force when it began. */
export class OutputAudio {
  readonly #writers = new Map<string, AudioWriter>();

  /** A piece of this item's audio, as base64; may be empty. */
  write(itemId: string, pcm: Int16Array, format: AudioFormat): string {
    let writer = this.#writers.get(itemId);
    if (!writer) {
      writer = new AudioWriter(format);
      this.#writers.set(itemId, writer);
    }
    return writer.write(pcm);
  }

  /** What the conversion still holds of the item's audio; the item is over. */
  last(itemId: string): string | undefined {
    const last = this.#writers.get(itemId)?.flush();
    this.#writers.delete(itemId);
    return last;
  }
}

import { SpeechLine, type SpeechLineDeps } from './speech-line.ts';
import type { VoiceManner } from './speech-request.ts';

/** Gets the sound of texts before they are needed, one after the other; a failure is none: they are asked for again by the next call. */
export class PhraseFetcher {
  readonly #deps: SpeechLineDeps;

  constructor(deps: SpeechLineDeps) {
    this.#deps = deps;
  }

  fetch(texts: readonly (string | undefined)[], manner: VoiceManner, now: number): void {
    const [text, ...rest] = texts;
    if (texts.length === 0) return;
    const { book } = this.#deps;
    if (text === undefined || !book.claim(text, manner)) {
      this.fetch(rest, manner, now);
      return;
    }
    const line = new SpeechLine(this.#deps, manner, {
      onBegin: () => {},
      onSound: () => {},
      onProgress: (fault, at) => {
        if (!fault && !line.isEmpty) return;
        book.release(text, manner);
        this.fetch(rest, manner, at);
      },
    });
    line.add(text, true, now);
  }
}

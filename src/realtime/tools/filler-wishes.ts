import type { Audience } from '../session-event.ts';
import type { CallSounds, Filler, Wish } from './filler.ts';
import type { WaitingCall } from './tool-desk.ts';
import type { FillerChoice } from './tool-source.ts';

/** People begin to wonder whether the line is dead after half a second. */
const DEFAULT_AFTER_MS = 600;

export interface FillerDeps {
  readonly audience: Audience;
  readonly sounds?: CallSounds | undefined;
  /** While something runs that says nothing of it. */
  readonly filler?: FillerChoice | undefined;
  /** The far end plays: it is told, and nothing is laid under. */
  readonly streams: boolean;
  /** These words in the model's own voice, if it has them. */
  readonly phrase: (text: string) => Int16Array | undefined;
}

/** What is to be heard for what the caller waits for: the oldest of it that wants to be heard at all. */
export class FillerWishes {
  readonly #filler: Filler;
  readonly #deps: FillerDeps;
  #id: string | undefined;

  constructor(filler: Filler, deps: FillerDeps) {
    this.#filler = filler;
    this.#deps = deps;
  }

  /** The caller waits for other things than before. */
  update(waiting: readonly WaitingCall[]): void {
    const { filler: otherwise } = this.#deps;
    const heard = waiting.find(({ filler = otherwise }) => filler !== undefined && filler.sound !== 'none');
    if (heard?.id === this.#id) return;
    this.#id = heard?.id;
    const choice = heard && (heard.filler ?? otherwise);
    if (this.#deps.streams) this.#tell(choice);
    else this.#filler.filler = choice && heard && this.#wish(choice, heard.since);
  }

  #tell(choice: FillerChoice | undefined): void {
    const { sound = 'none', afterMs = DEFAULT_AFTER_MS, text } = choice ?? {};
    this.#deps.audience.listener?.({ type: 'filler', sound, afterMs, text });
  }

  #wish({ sound, afterMs = DEFAULT_AFTER_MS, text }: FillerChoice, since: number): Wish | undefined {
    const { sounds } = this.#deps;
    if (!sounds || sound === 'none') return undefined;
    const own = sound === 'phrase' && text !== undefined ? this.#deps.phrase(text) : undefined;
    return { pcm: own ?? sounds[sound], loops: sound !== 'phrase', since, afterMs };
  }
}

import { MODEL_RATE_HZ } from '../model.ts';
import { CallerAudio } from '../upstream/caller-audio.ts';

/** A turn is ended after a minute: 2.9 MB, for that long. */
const MOST_SAMPLES = 60 * MODEL_RATE_HZ;

/** For so long after its end a turn may be taken back and go on. */
const KEPT_AFTER_SAMPLES = 2 * MODEL_RATE_HZ;

/** The caller's audio, kept as long as a turn needs it. */
export class TurnAudio {
  readonly #audio = new CallerAudio(MOST_SAMPLES);
  #spokenFromMs: number | undefined;
  #releaseAt = Number.POSITIVE_INFINITY;

  append(pcm: Int16Array): void {
    this.#audio.append(pcm);
    if (this.#audio.end >= this.#releaseAt) this.#release();
  }

  /** The caller speaks from here on. */
  begin(startMs: number): void {
    this.#spokenFromMs = startMs;
    this.#releaseAt = Number.POSITIVE_INFINITY;
    this.#audio.need(toSamples(startMs));
  }

  /** A copy of what was heard lately, as far as it is kept, turn or not. */
  lately(startMs: number, endMs: number): Int16Array {
    return this.#audio.read(toSamples(startMs), toSamples(endMs));
  }

  /** As `finish`, of a turn that may go on. */
  peek(startMs: number, endMs: number): Int16Array | undefined {
    return this.#spokenFromMs === startMs ? this.#audio.read(toSamples(startMs), toSamples(endMs)) : undefined;
  }

  /** A copy of the turn; undefined when nobody began to speak there. */
  finish(startMs: number, endMs: number): Int16Array | undefined {
    this.#releaseAt = this.#audio.end + KEPT_AFTER_SAMPLES;
    return this.peek(startMs, endMs);
  }

  /** What was being said is no turn. */
  discard(): void {
    this.#release();
  }

  #release(): void {
    this.#spokenFromMs = undefined;
    this.#releaseAt = Number.POSITIVE_INFINITY;
    this.#audio.need(undefined);
  }
}

function toSamples(ms: number): number {
  return Math.max(0, Math.round((ms * MODEL_RATE_HZ) / 1000));
}

import { MODEL_FRAME_SAMPLES } from './model.ts';

/**
 * After the last key of a secure entry so much is masked still: the sound of a key comes later than the key itself (jitter buffer, decoder), and a
 * finger that has typed sixteen keys may type a seventeenth.
 */
const TAIL_MS = 400;

/** Who wants to know what comes of the caller: the model, a recorder, a trace. */
export interface CallerObserver {
  /** 20 ms at 24 kHz. The buffer is used again. */
  readonly audio?: (pcm: Int16Array, now: number) => void;
  readonly key?: (digit: string, now: number) => void;
}

const SILENCE = new Int16Array(MODEL_FRAME_SAMPLES);

/**
 * What may be known of a caller's audio and keys, and the only way to know it. The session gives what comes from the caller to this object before
 * anything else, and everybody else (turn detection, model, events, transcript; and whatever records or traces a session) has it from here: as
 * an observer, or as the return value of `audio` and `key`. While it is on, audio is silence and keys do not exist. Nothing else in a session may
 * hold an uplink frame or a key, and whoever adds something that listens to callers adds it as an observer.
 */
export class SecureMask {
  readonly #observers = new Set<CallerObserver>();
  #on = false;
  #maskedUntil = Number.NEGATIVE_INFINITY;

  isOn(now: number): boolean {
    return this.#on || now < this.#maskedUntil;
  }

  begin(): void {
    this.#on = true;
  }

  /** The entry is over; the sound of its last key is not. */
  end(now: number): void {
    if (!this.#on) return;
    this.#on = false;
    this.#maskedUntil = now + TAIL_MS;
  }

  /** From now on it is told what may be known. @returns ends that */
  observe(observer: CallerObserver): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /** A frame of the caller's audio for those it talks to, who are no observers. */
  masked(pcm: Int16Array, now: number): Int16Array {
    return this.isOn(now) ? SILENCE.subarray(0, pcm.length) : pcm;
  }

  /** A frame of the caller's audio, as it may be known. */
  audio(pcm: Int16Array, now: number): Int16Array {
    const known = this.masked(pcm, now);
    if (this.#observers.size > 0) for (const { audio } of this.#observers) audio?.(known, now);
    return known;
  }

  /** A key of the caller, as it may be known; undefined: nobody may know. */
  key(digit: string, now: number): string | undefined {
    if (this.isOn(now)) {
      if (!this.#on) this.#maskedUntil = now + TAIL_MS;
      return undefined;
    }
    for (const { key } of this.#observers) key?.(digit, now);
    return digit;
  }
}

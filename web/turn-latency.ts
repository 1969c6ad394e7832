/** From the end of the caller's words to the first sound of the answer, as this browser hears them. Milliseconds. */
export interface TurnLatency {
  /** Until the gateway took the turn for over. */
  readonly decidingMs: number;
  /** From there to the first sound. */
  readonly answeringMs: number;
}

/** A longer one was no answer to these words. */
const LONGEST_MS = 20_000;

/** Stopwatch of one turn after the other. Times are of one clock, in milliseconds. */
export class TurnStopwatch {
  #lastVoiceAt: number | undefined;
  #decidedAt: number | undefined;

  /** The microphone heard a voice. */
  voice(now: number): void {
    this.#lastVoiceAt = now;
  }

  /** The gateway says the turn is over. */
  decided(now: number): void {
    this.#decidedAt = now;
  }

  /** The agent is heard; undefined when that answers no turn. */
  heard(now: number): TurnLatency | undefined {
    const decidedAt = this.#decidedAt;
    if (decidedAt === undefined) return undefined;
    this.#decidedAt = undefined;
    const lastVoiceAt = Math.min(this.#lastVoiceAt ?? decidedAt, decidedAt);
    if (now - lastVoiceAt > LONGEST_MS) return undefined;
    return { decidingMs: decidedAt - lastVoiceAt, answeringMs: now - decidedAt };
  }
}

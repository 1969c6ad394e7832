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

/** A piece of the way from the caller's last sound to the ear, as the gateway's `turn.latency` tells it. */
export interface TurnStage {
  readonly name: 'decided' | 'requested' | 'model' | 'packet' | 'ear';
  /** What it is, for who reads it. */
  readonly text: string;
  readonly ms: number;
}

const STAGES = [
  ['decided', 'end of turn', 'decided_ms'],
  ['requested', 'request', 'requested_ms'],
  ['model', 'model', 'first_delta_ms'],
  ['packet', 'first packet', 'first_packet_ms'],
  ['ear', 'way to the ear', 'ear_ms'],
] as const;

/** The pieces in order; what is not known is part of the next that is. */
export function stagesOf(event: Readonly<Record<string, unknown>>): readonly TurnStage[] {
  const stages: TurnStage[] = [];
  let before = 0;
  for (const [name, text, key] of STAGES) {
    const at = event[key];
    if (typeof at !== 'number' || !Number.isFinite(at) || at < before) continue;
    stages.push({ name, text, ms: at - before });
    before = at;
  }
  return stages;
}

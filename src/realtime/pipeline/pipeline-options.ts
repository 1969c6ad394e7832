import type { StageTimings } from './service-call.ts';
import type { Stage } from './stage.ts';

/** One service of the row. */
export interface ServiceOptions {
  /** `http://127.0.0.1:8000/v1`, or the whole address of what is asked, query included. */
  readonly url: string;
  readonly model: string;
  readonly apiKey?: string | undefined;
  /** Goes into each request as it is: `{temperature: 0.3}`. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
}

export interface TranscriptionOptions extends ServiceOptions {
  /** ISO 639-1. */
  readonly language?: string | undefined;
  /** Names and words that come up. */
  readonly prompt?: string | undefined;
  /** Are words asked for as they are understood? A service that refuses is asked without. Default true. */
  readonly stream?: boolean | undefined;
}

export interface SpeechOptions extends ServiceOptions {
  readonly voice: string;
  /** 0.25 to 4. */
  readonly speed?: number | undefined;
  /** What is asked for; WAV is understood whatever was asked. Default `pcm`. */
  readonly format?: 'pcm' | 'wav' | undefined;
  /** Of raw samples. Default 24000. */
  readonly rateHz?: number | undefined;
}

export interface PipelineOptions {
  readonly transcription: TranscriptionOptions;
  readonly chat: ServiceOptions;
  readonly speech: SpeechOptions;
  readonly instructions?: string | undefined;
  /** Said as it stands when the call is answered, unless the call's owner leaves the first word to somebody else. */
  readonly greeting?: string | undefined;
  /** Said when a stage fails; default: a prompt of ours, in English. */
  readonly fallback?: string | undefined;
  /** Said when there is nothing to hear for `patienceMs`; default: a prompt of ours, in English. */
  readonly patience?: string | undefined;
  /** Default 1500; 0: never. */
  readonly patienceMs?: number | undefined;
  readonly timings?: Partial<Record<Stage, Partial<StageTimings>>> | undefined;
}

/**
 * A connection is made in one round trip or not at all. A second request goes out while there is still time for its answer
 * within two seconds; the first word is given what a loaded machine of one's own may need.
 */
export const DEFAULT_TIMINGS: Readonly<Record<Stage, StageTimings>> = {
  transcription: { connectMs: 1000, hedgeMs: 800, firstMs: 5000, idleMs: 3000, totalMs: 20_000 },
  chat: { connectMs: 1000, hedgeMs: 800, firstMs: 8000, idleMs: 5000, totalMs: 120_000 },
  speech: { connectMs: 1000, hedgeMs: 600, firstMs: 5000, idleMs: 1200, totalMs: 60_000 },
};

/** Two seconds of nothing is what callers take for a dead line. */
export const DEFAULT_PATIENCE_MS = 1500;

import { MODEL_RATE_HZ, type ModelEvent } from '../model.ts';
import type { CallBoard } from './call-board.ts';
import { isTranscript } from './input-transcription.ts';
import type { TranscriptionOptions } from './pipeline-options.ts';
import type { Quirks } from './quirks.ts';
import type { ServiceCall } from './service-call.ts';
import { type TranscriptionEvent, TranscriptionReader } from './transcription-reader.ts';
import { transcriptionRequest } from './transcription-request.ts';

/** Words that come later than this after a voice over the agent change nothing any more. */
const LATEST_MS = 1500;

/** Some services refuse less. */
const SHORTEST_SAMPLES = 0.1 * MODEL_RATE_HZ;

export interface BurstWordsDeps {
  readonly board: CallBoard;
  readonly options: TranscriptionOptions;
  readonly quirks: Quirks;
  readonly emit: (event: ModelEvent) => void;
}

/** What a voice over the agent's speech said: asked for at once, one at a time, and of use only for a moment. A service that fails is not missed. */
export class BurstWords {
  readonly #deps: BurstWordsDeps;
  #call: ServiceCall<TranscriptionEvent> | undefined;

  constructor(deps: BurstWordsDeps) {
    this.#deps = deps;
  }

  /** @param pcm at 24 kHz */
  find(pcm: Int16Array, now: number): void {
    this.cancel();
    if (pcm.length < SHORTEST_SAMPLES) return;
    const { board, options, quirks, emit } = this.#deps;
    const call: ServiceCall<TranscriptionEvent> = board.open<TranscriptionEvent>(
      'transcription',
      {
        // Half a word would be another one: all of it or nothing.
        request: () => transcriptionRequest(options, pcm, (options.stream ?? true) && !quirks.wholeTranscripts),
        reader: (type) => (isTranscript(type) ? new TranscriptionReader(type) : undefined),
        restart: () => false,
        onEvent: (event, at) => {
          if (event.type === 'done' && event.text !== '' && at - now <= LATEST_MS) emit({ type: 'caller_words', words: event.text });
        },
        onDone: () => {},
        onFault: () => {},
      },
      now,
    );
    this.#call = call;
  }

  /** Nobody needs them any more. */
  cancel(): void {
    this.#call?.cancel();
    this.#call = undefined;
  }
}

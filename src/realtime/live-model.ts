import type { CallContext, ModelConnection, ModelEvent, RealtimeModel, UplinkWhileSpeaking } from './model.ts';

/** A model that can be another one from one conversation to the next. Conversations that are there keep theirs. */
export class LiveModel implements Required<RealtimeModel> {
  #model: RealtimeModel;

  constructor(model: RealtimeModel) {
    this.#model = model;
  }

  get name(): string {
    return this.#model.name;
  }

  get language(): string | undefined {
    return this.#model.language;
  }

  get uplinkWhileSpeaking(): UplinkWhileSpeaking {
    return this.#model.uplinkWhileSpeaking ?? 'auto';
  }

  get takesTurns(): boolean {
    return this.#model.takesTurns ?? false;
  }

  replace(model: RealtimeModel): void {
    this.#model = model;
  }

  connect(onEvent: (event: ModelEvent) => void, call?: CallContext): ModelConnection {
    return this.#model.connect(onEvent, call);
  }
}

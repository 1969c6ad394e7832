import type { ModelConnection, ModelEvent, RealtimeModel } from '../model.ts';
import { EmbeddedConversation } from './conversation.ts';
import type { Prompts } from './prompts.ts';

/**
 * The agent that needs nothing: no key, no service, no understanding. It says so, says back what the caller said, and
 * has an echo and a test tone on the keys. Every way through media and turns is exercised by it.
 */
export class EmbeddedAgent implements RealtimeModel {
  readonly name = 'embedded';
  readonly #prompts: Prompts;

  constructor(deps: { readonly prompts: Prompts }) {
    this.#prompts = deps.prompts;
  }

  connect(onEvent: (event: ModelEvent) => void): ModelConnection {
    return new EmbeddedConversation(this.#prompts, onEvent);
  }
}

import type { CallContext, ModelConnection, ModelEvent, RealtimeModel } from '../model.ts';
import { EmbeddedConversation } from './conversation.ts';
import type { Prompts } from './prompts.ts';

/**
 * The agent that needs nothing: no key, no service, no understanding. It says so, says back what the caller said, and
 * has an echo and a test tone on the keys. Every way through media and turns is exercised by it.
 */
export class EmbeddedAgent implements RealtimeModel {
  readonly name = 'embedded';
  readonly #prompts: Prompts;
  readonly #transferTarget: string | undefined;

  /** @param options.transferTarget URI that key 5 leads to */
  constructor(deps: { readonly prompts: Prompts }, options: { readonly transferTarget?: string } = {}) {
    this.#prompts = deps.prompts;
    this.#transferTarget = options.transferTarget;
  }

  connect(onEvent: (event: ModelEvent) => void, call?: CallContext): ModelConnection {
    return new EmbeddedConversation(this.#prompts, onEvent, { call, transferTarget: this.#transferTarget });
  }
}

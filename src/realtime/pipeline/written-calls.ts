import { randomText } from '../../base/ids.ts';
import type { Item, ModelEvent } from '../model.ts';
import type { ChatEvent } from './chat-reader.ts';

/** Of one call: what a program can be expected to read. */
const MOST_ARGUMENT_CHARS = 262_144;

interface WrittenCall {
  readonly itemId: string;
  readonly callId: string;
  readonly name: string;
  arguments: string;
}

/** The function calls of one answer as they are written, several at once. */
export class WrittenCalls {
  readonly #responseId: string;
  readonly #emit: (event: ModelEvent) => void;
  readonly #calls: WrittenCall[] = [];
  readonly #byIndex = new Map<number, WrittenCall>();

  constructor(responseId: string, emit: (event: ModelEvent) => void) {
    this.#responseId = responseId;
    this.#emit = emit;
  }

  get isEmpty(): boolean {
    return this.#calls.length === 0;
  }

  /** @returns false: it is too long */
  write(event: Extract<ChatEvent, { readonly type: 'call' }>): boolean {
    const known = this.#byIndex.get(event.index);
    // Some servers count all calls as number 0, and name each.
    const isNew = event.name !== undefined && (known === undefined || (event.callId !== undefined && event.callId !== known.callId));
    const call = isNew ? this.#begin(event.index, event.callId, event.name ?? '') : known;
    if (!call || event.arguments === '') return true;
    if (call.arguments.length + event.arguments.length > MOST_ARGUMENT_CHARS) return false;
    call.arguments += event.arguments;
    this.#emit({ type: 'arguments', responseId: this.#responseId, itemId: call.itemId, delta: event.arguments });
    return true;
  }

  /** All of them are whole. */
  finish(): Item[] {
    return this.#calls.map((call) => {
      const item = itemOf(call, 'completed');
      this.#emit({ type: 'item_done', responseId: this.#responseId, item });
      return item;
    });
  }

  #begin(index: number, callId: string | undefined, name: string): WrittenCall {
    const call = { itemId: `item_${randomText(20)}`, callId: callId ?? `call_${randomText(16)}`, name, arguments: '' };
    this.#calls.push(call);
    this.#byIndex.set(index, call);
    this.#emit({ type: 'item_started', responseId: this.#responseId, item: itemOf(call, 'in_progress') });
    return call;
  }
}

function itemOf(call: WrittenCall, status: 'completed' | 'in_progress'): Item {
  return { type: 'function_call', id: call.itemId, status, call_id: call.callId, name: call.name, arguments: call.arguments };
}

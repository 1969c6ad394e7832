import { randomText } from '../base/ids.ts';
import type { Conversation } from './conversation.ts';
import { msToSamples } from './playout-ledger.ts';
import type { Audience, CommandFault } from './session-event.ts';

/** Less than this is no turn. The reference's number. */
const SHORTEST_COMMIT_MS = 100;

/** A turn that became an item. */
export interface RecordedTurn {
  readonly itemId: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** 96 random bits: nobody guesses the item of another session. */
export function newItemId(): string {
  return `item_${randomText(16)}`;
}

/** Which of the caller's audio has become which item, and what is not committed yet. Tells of it to whoever listens. */
export class TurnRecord {
  readonly #audience: Audience;
  readonly #conversation: Conversation;
  /** The turn that is spoken. */
  #spoken: { readonly itemId: string; readonly startMs: number } | undefined;
  #last: RecordedTurn | undefined;
  /** All before it is committed or thrown away. */
  #openFromMs = 0;

  constructor(audience: Audience, conversation: Conversation) {
    this.#audience = audience;
    this.#conversation = conversation;
  }

  /** Is audio being collected for a turn? */
  get isCollecting(): boolean {
    return this.#spoken !== undefined;
  }

  /** Somebody speaks. `announce` is called when that is told: what was stopped by it comes after it. */
  speechStarted(startMs: number, announce: () => void): void {
    const continued = this.#last?.startMs === startMs ? this.#last : undefined;
    this.#spoken = { itemId: newItemId(), startMs };
    this.#audience.listener?.({ type: 'speech_started', itemId: this.#spoken.itemId, startMs });
    announce();
    // The turn goes on: what was taken for all of it was not.
    if (continued) this.#conversation.remove(continued.itemId);
  }

  /** Audio comes that somebody will commit by hand. */
  collect(fromMs: number): void {
    this.#spoken = { itemId: newItemId(), startMs: fromMs };
  }

  /** What was spoken is an item now. */
  committed(startMs: number, endMs: number): RecordedTurn {
    const itemId = this.#spoken?.itemId ?? newItemId();
    this.#audience.listener?.({ type: 'speech_stopped', itemId, endMs });
    return this.#record({ itemId, startMs, endMs });
  }

  /** All that is not committed becomes an item, whatever is in it. */
  commitByHand(heardMs: number): RecordedTurn | CommandFault {
    const startMs = this.#spoken?.startMs ?? this.#openFromMs;
    if (heardMs - startMs < SHORTEST_COMMIT_MS) {
      const has = `${Math.max(0, heardMs - startMs).toFixed(2)}ms`;
      return {
        code: 'input_audio_buffer_commit_empty',
        message: `Error committing input audio buffer: buffer too small. Expected at least ${SHORTEST_COMMIT_MS}ms of audio, but buffer only has ${has} of audio.`,
      };
    }
    return this.#record({ itemId: this.#spoken?.itemId ?? newItemId(), startMs, endMs: heardMs });
  }

  /** Nobody said anything: the silence itself is a turn. */
  idle(startMs: number, endMs: number): RecordedTurn {
    const turn = { itemId: newItemId(), startMs, endMs };
    this.#audience.listener?.({ type: 'idle_timeout', ...turn });
    return this.#record(turn);
  }

  /** Nothing comes of what was spoken. */
  discarded(endMs: number): void {
    if (this.#spoken) this.#audience.listener?.({ type: 'speech_stopped', itemId: this.#spoken.itemId, endMs });
    this.clear(endMs);
  }

  clear(heardMs: number): void {
    this.#spoken = undefined;
    this.#openFromMs = heardMs;
    this.#audience.listener?.({ type: 'input_cleared' });
  }

  #record(turn: RecordedTurn): RecordedTurn {
    this.#spoken = undefined;
    this.#last = turn;
    this.#openFromMs = turn.endMs;
    const { itemId } = turn;
    this.#audience.listener?.({ type: 'turn_committed', itemId, previousItemId: this.#conversation.items.lastId });
    this.#conversation.add({
      type: 'message',
      id: itemId,
      role: 'user',
      status: 'completed',
      content: [{ type: 'input_audio', transcript: null }],
    });
    this.#conversation.items.addAudio(itemId, msToSamples(turn.endMs - turn.startMs));
    return turn;
  }
}

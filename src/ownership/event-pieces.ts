import { MAX_EVENT_CHARACTERS, PIECE_CHARACTERS } from '../leg/session-messages.ts';

/** What was handed on is told in portions: one message for some ten seconds of speech. */
const TELL_EVERY_CHARACTERS = MAX_EVENT_CHARACTERS / 32;

/** What may be under way on one channel and not yet handed on at the other end: an event of the largest size, and what is not told of yet. */
const WINDOW_CHARACTERS = MAX_EVENT_CHARACTERS + 2 * TELL_EVERY_CHARACTERS;

/** Cuts events into pieces and counts what is under way. */
export class PieceSender {
  readonly #send: (piece: string, last: boolean) => boolean;
  #underWay = 0;

  /** @param send a piece; false when there is no way for it */
  constructor(send: (piece: string, last: boolean) => boolean) {
    this.#send = send;
  }

  /** False when the other side does not take it: the channel is then of no more use, as a part of the event may have gone. */
  send(event: string): boolean {
    if (this.#underWay + event.length > WINDOW_CHARACTERS) return false;
    this.#underWay += event.length;
    for (let at = 0; ; at += PIECE_CHARACTERS) {
      const last = at + PIECE_CHARACTERS >= event.length;
      if (!this.#send(event.slice(at, at + PIECE_CHARACTERS), last)) return false;
      if (last) return true;
    }
  }

  /** The other side has handed on so much. */
  taken(characters: number): void {
    this.#underWay = Math.max(0, this.#underWay - characters);
  }
}

/** Puts pieces together again. */
export class PieceReceiver {
  readonly #tell: (characters: number) => void;
  #pieces: string[] = [];
  #waiting = 0;
  #untold = 0;

  /** @param tell says how much has been handed on since it was said last */
  constructor(tell: (characters: number) => void) {
    this.#tell = tell;
  }

  /** The event that this piece completes, undefined when more is to come; `overflow` when it is longer than any event. */
  take(piece: string, last: boolean): { readonly event: string } | 'overflow' | undefined {
    this.#waiting += piece.length;
    if (this.#waiting > MAX_EVENT_CHARACTERS) {
      this.#pieces = [];
      return 'overflow';
    }
    if (!last) {
      this.#pieces.push(piece);
      return undefined;
    }
    const event = this.#pieces.length === 0 ? piece : this.#pieces.join('') + piece;
    this.#pieces = [];
    this.#untold += this.#waiting;
    this.#waiting = 0;
    if (this.#untold >= TELL_EVERY_CHARACTERS) {
      this.#tell(this.#untold);
      this.#untold = 0;
    }
    return { event };
  }
}

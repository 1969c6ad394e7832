import { levelDbov, SILENCE_DBOV } from '../audio/level.ts';
import type { Clock } from '../base/clock.ts';
import type { AmdOptions, Answered } from '../leg/answered-by.ts';
import { AnsweringMachine } from '../realtime/answering-machine.ts';

/** Louder is somebody, or something: the noise of a telephone line is not. */
const AUDIBLE_DBOV = -50;
/** What sounded so shortly before the answer may go on after it: packets on their way, and those of gateways that stop a moment later. */
const SOUNDING_WITHIN_MS = 100;
/** Nobody has said hello by then. */
const MOST_TAIL_MS = 200;

export interface AnswerWatchHandlers {
  /** Something was found out: the verdict, later the beep. */
  readonly onAnswered: (answered: Answered) => void;
  /** What is to be done with the call now. Once. */
  readonly onDecided: (what: 'go_on' | 'hang_up') => void;
}

/**
 * Listens to who has answered a call of ours, until it is known what to do with it. Time counts from the answer: what sounds before it (ringing, an
 * announcement, music) is not listened to, nor what is left of that when the answer comes.
 */
export class AnswerWatch {
  readonly #clock: Clock;
  readonly #options: AmdOptions;
  readonly #handlers: AnswerWatchHandlers;
  #machine: AnsweringMachine | undefined;
  #soundedAt = Number.NEGATIVE_INFINITY;
  /** Until then sound may be the end of what was there before the answer. */
  #tailUntil = 0;
  #over = false;

  constructor(clock: Clock, options: AmdOptions, handlers: AnswerWatchHandlers) {
    this.#clock = clock;
    this.#options = options;
    this.#handlers = handlers;
  }

  /** The call is answered. Once. */
  begin(): void {
    if (this.#over || this.#machine) return;
    const now = this.#clock.now();
    this.#tailUntil = now - this.#soundedAt <= SOUNDING_WITHIN_MS ? now + MOST_TAIL_MS : now;
    this.#machine = new AnsweringMachine();
  }

  /** 20 ms of the far end at 24 kHz, from its first packet on. @param concealed none of it came */
  handleFrame(pcm: Int16Array, concealed = false): void {
    if (this.#over) return;
    const machine = this.#machine;
    if (!machine) {
      if (levelDbov(pcm) > AUDIBLE_DBOV) this.#soundedAt = this.#clock.now();
      return;
    }
    const nothingCame = concealed && levelDbov(pcm) === SILENCE_DBOV;
    const answered = nothingCame || this.#isTail(pcm) ? machine.letPass() : machine.handleFrame(pcm);
    if (!answered) return;
    this.#handlers.onAnswered(answered);
    const what = this.#decide(answered);
    if (this.#over || what === undefined) return;
    this.end();
    this.#handlers.onDecided(what);
  }

  /** The call is over, or somebody has decided otherwise. Idempotent. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#machine?.free();
  }

  #isTail(pcm: Int16Array): boolean {
    const now = this.#clock.now();
    if (now >= this.#tailUntil) return false;
    if (levelDbov(pcm) > AUDIBLE_DBOV) return true;
    // It has ended: what sounds next is another thing.
    this.#tailUntil = now;
    return false;
  }

  #decide({ by, greetingOver }: Answered): 'go_on' | 'hang_up' | undefined {
    const { onMachine } = this.#options;
    if (onMachine === 'go_on' || by === 'human' || by === 'silence' || by === 'unsure') return 'go_on';
    // Nobody listens to a message there.
    if (onMachine === 'hang_up' || by === 'fax' || by === 'network') return 'hang_up';
    return by === 'machine_beep' || greetingOver ? 'go_on' : undefined;
  }
}

import type { AmdOptions, Answered } from '../leg/answered-by.ts';
import { AnsweringMachine } from '../realtime/answering-machine.ts';

export interface AnswerWatchHandlers {
  /** Something was found out: the verdict, later the beep. */
  readonly onAnswered: (answered: Answered) => void;
  /** What is to be done with the call now. Once. */
  readonly onDecided: (what: 'go_on' | 'hang_up') => void;
}

/** Listens to who has answered a call of ours, until it is known what to do with it. */
export class AnswerWatch {
  readonly #options: AmdOptions;
  readonly #handlers: AnswerWatchHandlers;
  readonly #machine = new AnsweringMachine();
  #over = false;

  constructor(options: AmdOptions, handlers: AnswerWatchHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** 20 ms of the far end at 24 kHz. */
  handleFrame(pcm: Int16Array): void {
    if (this.#over) return;
    const answered = this.#machine.handleFrame(pcm);
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
    this.#machine.free();
  }

  #decide({ by, greetingOver }: Answered): 'go_on' | 'hang_up' | undefined {
    const { onMachine } = this.#options;
    if (onMachine === 'go_on' || by === 'human' || by === 'silence' || by === 'unsure') return 'go_on';
    // Nobody listens to a message there.
    if (onMachine === 'hang_up' || by === 'fax' || by === 'network') return 'hang_up';
    return by === 'machine_beep' || greetingOver ? 'go_on' : undefined;
  }
}

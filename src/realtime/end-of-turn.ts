import { type AskedFor, NOTHING_ASKED, pauseFactorOf } from './caller-words.ts';
import { ENGLISH } from './lexicon/english.ts';
import type { Lexicon } from './lexicon/lexicon.ts';
import { PauseStatistics } from './pause-statistics.ts';
import type { EndOfTurn } from './turn-options.ts';

/** Words stretch and shorten the wait, but not beyond these: a dictated number has pauses of two seconds. */
const MIN_WORDS_WAIT_MS = 250;
const MAX_WORDS_WAIT_MS = 2200;

/** A judge from outside, asked when a gap begins: will the caller go on? */
export interface EndOfTurnPredictor {
  /** Longer than this nobody waits for it; the wait is then what it would be without. */
  readonly timeoutMs: number;
  /** Probability that the turn is over, 0 to 1; undefined when it does not know. May reject: then it does not know. */
  predict(question: EndOfTurnQuestion): Promise<number | undefined>;
}

export interface EndOfTurnQuestion {
  /** The turn so far, in milliseconds of the caller's audio. */
  readonly startMs: number;
  readonly endMs: number;
  /** What it says as far as a streaming transcript knows; empty without one. */
  readonly words: string;
  /** What the agent said before. */
  readonly agentWords: string;
}

/** How long a caller may be silent before the turn is over: by a fixed time, by this caller's pauses, by words, by a judge. */
export class EndOfTurnWait {
  readonly #pauses = new PauseStatistics();
  #words = '';
  /** What they do to the wait; undefined: nothing. */
  #factor: number | undefined;
  #probability: number | undefined;

  get words(): string {
    return this.#words;
  }

  /** Do the words say that more comes? */
  get isOpen(): boolean {
    return (this.#factor ?? 1) > 1;
  }

  learn(pauseMs: number): void {
    this.#pauses.learn(pauseMs);
  }

  /** What the turn says so far; replaces what it said before. @param lexicon null: of a language that nobody knows here */
  setWords(words: string, asked: AskedFor = NOTHING_ASKED, lexicon: Lexicon | null = ENGLISH): void {
    this.#words = words;
    this.#factor = words === '' || !lexicon ? undefined : pauseFactorOf(words, asked, lexicon);
  }

  /** How likely the turn is over, in the gap that runs. */
  setProbability(probability: number | undefined): void {
    this.#probability = probability === undefined ? undefined : Math.min(1, Math.max(0, probability));
  }

  /** Milliseconds; Infinity where somebody else decides. */
  waitMs(rule: EndOfTurn): number {
    if (rule.type === 'fixed') return rule.waitMs;
    if (rule.type === 'upstream') return Number.POSITIVE_INFINITY;
    if (this.#probability !== undefined) return waitFor(this.#probability);
    const wait = this.#pauses.waitMs(rule.z);
    if (this.#factor === undefined) return wait;
    return Math.min(MAX_WORDS_WAIT_MS, Math.max(MIN_WORDS_WAIT_MS, wait * this.#factor));
  }
}

/** Sure that it is over: 250 ms; sure that it is not: 2200 ms; between them by ratio, so that 0.5 is 740 ms. */
function waitFor(probability: number): number {
  return MAX_WORDS_WAIT_MS * (MIN_WORDS_WAIT_MS / MAX_WORDS_WAIT_MS) ** probability;
}

import type { Machine } from '../base/driver.ts';
import { TimerSet } from './embedded/timers.ts';
import { type Answer, type Located, type LocateOptions, locate, type Question } from './name-location.ts';

export type NameWatchOutput =
  /** Ask DNS; the answer comes by answered() with this round. */
  | { readonly type: 'ask'; readonly question: Question; readonly round: number }
  | { readonly type: 'located'; readonly places: readonly Located[] }
  /** Nothing is known, or nothing new: what was known before stays. */
  | { readonly type: 'failed'; readonly why: string };

/** Resolvers that answer at all do so in less; NAPTR, SRV and addresses are three questions after each other. */
const ROUND_MS = 4000;

/** After a failure, doubled each time (RFC 2308 §7: not again at once) up to the second. */
const FIRST_RETRY_MS = 5000;
const LAST_RETRY_MS = 60_000;

/**
 * Where one SIP domain is, asked again as often as its records want. The last good answer outlives a DNS that has gone (RFC 8767): a phone line need not be
 * down because a name server is.
 */
export class NameWatch implements Machine<NameWatchOutput> {
  readonly #options: LocateOptions;
  readonly #timers = new TimerSet<'ask' | 'give_up'>();
  readonly #outputs: NameWatchOutput[] = [];
  readonly #answers = new Map<string, Answer>();
  readonly #asked = new Set<string>();
  #round = 0;
  #retryMs = FIRST_RETRY_MS;

  constructor(options: LocateOptions) {
    this.#options = options;
  }

  start(now: number): void {
    this.#round += 1;
    this.#answers.clear();
    this.#asked.clear();
    this.#timers.start('give_up', now + ROUND_MS);
    this.#go(now);
  }

  /** @param round of the question: what comes too late is of no round any more */
  answered(now: number, question: Question, answer: Answer, round: number): void {
    const key = keyOf(question);
    if (round !== this.#round || !this.#asked.has(key) || this.#answers.has(key)) return;
    this.#answers.set(key, answer);
    if (this.#answers.size === this.#asked.size) this.#go(now);
  }

  pollOutput(): NameWatchOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#timers.next();
  }

  handleTimeout(now: number): void {
    for (let timer = this.#timers.takeDue(now); timer; timer = this.#timers.takeDue(now)) {
      if (timer === 'ask') this.start(now);
      else this.#fail(now, 'DNS did not answer in time');
    }
  }

  #go(now: number): void {
    const location = locate(this.#options, (question) => this.#answers.get(keyOf(question)));
    if (location.type === 'asks') {
      for (const question of location.questions) {
        this.#asked.add(keyOf(question));
        this.#outputs.push({ type: 'ask', question, round: this.#round });
      }
    } else if (location.type === 'failed') this.#fail(now, location.why);
    else {
      this.#over(now, location.ttlS * 1000);
      this.#retryMs = FIRST_RETRY_MS;
      this.#outputs.push({ type: 'located', places: location.places });
    }
  }

  #fail(now: number, why: string): void {
    this.#over(now, this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
    this.#outputs.push({ type: 'failed', why });
  }

  #over(now: number, waitMs: number): void {
    this.#round += 1; // what is still under way belongs to no round
    this.#timers.clear();
    this.#timers.start('ask', now + waitMs);
  }
}

function keyOf({ type, name }: Question): string {
  return `${type} ${name}`;
}

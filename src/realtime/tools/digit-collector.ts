import type { Machine } from '../../base/driver.ts';

/** How keys are collected. */
export interface EntryRules {
  /** So many and it is over: 1 to 64. */
  readonly most: number;
  /** Keys that end it and do not count; empty: none does. */
  readonly terminators: string;
  /** Until the first key, and from one key to the next. */
  readonly firstMs: number;
  readonly betweenMs: number;
  /** For all of it, however fast keys come; undefined: as long as they come. */
  readonly wholeMs?: number;
}

/** `stopped`: by whoever asked for it, or another program; `gone`: nobody is left who would get the keys. */
export type EntryEnd = 'count' | 'terminator' | 'timeout' | 'stopped' | 'gone' | 'ended';

export interface Entry {
  readonly digits: string;
  readonly endedBy: EntryEnd;
}

/** Collects keys until there are enough, one ends them, or none comes. Its one output is the end. */
export class DigitCollector implements Machine<Entry> {
  readonly #rules: EntryRules;
  readonly #until: number;
  #digits = '';
  #deadline: number | undefined;
  #entry: Entry | undefined;
  #over = false;

  constructor(rules: EntryRules, now: number) {
    this.#rules = rules;
    this.#until = now + (rules.wholeMs ?? Number.POSITIVE_INFINITY);
    this.#deadline = Math.min(this.#until, now + rules.firstMs);
  }

  pollOutput(): Entry | undefined {
    const entry = this.#entry;
    this.#entry = undefined;
    return entry;
  }

  nextTimeout(): number | undefined {
    return this.#deadline;
  }

  handleTimeout(now: number): void {
    if (this.#deadline !== undefined && now >= this.#deadline) this.#end('timeout');
  }

  handleKey(digit: string, now: number): void {
    if (this.#over) return;
    if (this.#rules.terminators.includes(digit)) {
      this.#end('terminator');
      return;
    }
    this.#digits += digit;
    this.#deadline = Math.min(this.#until, now + this.#rules.betweenMs);
    if (this.#digits.length >= this.#rules.most) this.#end('count');
  }

  stop(by: 'stopped' | 'gone' | 'ended'): void {
    if (!this.#over) this.#end(by);
  }

  #end(endedBy: EntryEnd): void {
    this.#over = true;
    this.#deadline = undefined;
    this.#entry = { digits: this.#digits, endedBy };
    this.#digits = '';
  }
}

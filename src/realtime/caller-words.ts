import { ENGLISH } from './lexicon/english.ts';
import type { Lexicon } from './lexicon/lexicon.ts';

/*
 * What the caller's words say about turns, without a model: whether a sentence sounds finished, and whether what is said over
 * the agent wants the floor. By lists of words, one a language (lexicon/); what is not in them is content, and nothing is concluded from it.
 */

/** What the agent has just asked for, as far as its words tell. */
export type Asked = 'nothing' | 'yes_no' | 'choice' | 'digits' | 'open';

export interface AskedFor {
  readonly asked: Asked;
  /** How many digits are expected; undefined: nobody knows. */
  readonly digits?: number | undefined;
}

export const NOTHING_ASKED: AskedFor = { asked: 'nothing' };

/**
 * By how much the expected pause is stretched or shortened. Measured on scripts with the same rules as here, so optimistic
 * (docs/turns.md); what they are worth on people is not known.
 */
export type PauseFactor = 2.6 | 1.9 | 1.4 | 0.9 | 0.75 | 0.55;
const HOLD: PauseFactor = 2.6;
const OPEN: PauseFactor = 1.9;
const WEAK_HOLD: PauseFactor = 1.4;
const NEUTRAL: PauseFactor = 0.9;
const WEAK_CLOSE: PauseFactor = 0.75;
const STRONG_CLOSE: PauseFactor = 0.55;

/** Two words of content are a sentence, not an acknowledgement. */
const ENOUGH_CONTENT = 2;

/** Words are looked at from the end; more are never needed. */
const MOST_TEXT = 400;

/** Lower-case words without their punctuation. */
export function wordsOf(text: string): string[] {
  return (
    text
      .slice(-MOST_TEXT)
      .toLowerCase()
      .replaceAll('’', "'")
      .match(/[\p{L}\p{N}][\p{L}\p{N}'-]*/gu) ?? []
  );
}

/** How the caller's words so far change the wait for more of them. */
export function pauseFactorOf(text: string, { asked, digits }: AskedFor = NOTHING_ASKED, lexicon: Lexicon = ENGLISH): PauseFactor {
  const tail = text.slice(-MOST_TEXT).trim().toLowerCase().replaceAll('’', "'");
  const words = wordsOf(tail);
  const last = words.at(-1);
  if (last === undefined) return NEUTRAL;
  const sentence = wordsOf(lastSentence(tail));
  if (lexicon.holds.some((each) => contains(sentence, each)) || endsWith(sentence, lexicon.preambles)) return HOLD;
  const dictated = digitsAtEnd(words, lexicon);
  if (dictated > 0 && (asked === 'digits' || dictated >= 3)) return ofDigits(dictated, asked, digits);
  // Whoever wrote the text down heard the sentence end: that says more than its last word.
  const ended = /[.?!]["')]?$/.test(tail) && !tail.endsWith('...');
  if (!ended) {
    if (lexicon.hesitations.has(last)) return HOLD;
    if (lexicon.dictated.has(last) || lexicon.openTails.has(last)) return OPEN;
    if (tail.endsWith(',')) return WEAK_HOLD;
  }
  if (endsWith(sentence, lexicon.closings)) return STRONG_CLOSE;
  if (asked === 'yes_no' && words.length <= 3) return STRONG_CLOSE;
  if (asked === 'choice' && words.length <= 4) return WEAK_CLOSE;
  if (tail.endsWith('?')) return STRONG_CLOSE;
  if (words.length >= 5 && beginsWith(sentence, lexicon.questions)) return WEAK_CLOSE;
  return ended ? WEAK_CLOSE : NEUTRAL;
}

/** People pause between the groups of a number; they are done when it is whole. */
function ofDigits(dictated: number, asked: Asked, expected: number | undefined): PauseFactor {
  if (expected === undefined) return asked === 'digits' || dictated % 3 === 0 || dictated % 4 === 0 ? OPEN : WEAK_HOLD;
  if (dictated < expected) return OPEN;
  return STRONG_CLOSE;
}

function digitsAtEnd(words: readonly string[], { digits, pairs, dictated }: Lexicon): number {
  let count = 0;
  for (let n = words.length - 1; n >= 0; n--) {
    const whole = words[n] ?? '';
    const word = whole.replaceAll('-', '');
    if (/^\d+$/.test(word)) count += word.length;
    else if (digits.has(word)) count += 1;
    else if (pairs.has(whole) || pairs.has(whole.split('-')[0] ?? '')) count += 2;
    else if (!/^(?:double|triple|doppel|doble)$/.test(word) || !dictated.has(word)) break;
  }
  return count;
}

function lastSentence(tail: string): string {
  return (
    tail
      .replace(/[.?!]+$/, '')
      .split(/[.?!]\s+/)
      .at(-1) ?? ''
  );
}

function contains(words: readonly string[], phrase: string): boolean {
  return ` ${words.join(' ')} `.includes(` ${phrase} `);
}

function endsWith(words: readonly string[], phrases: readonly string[]): boolean {
  const text = ` ${words.join(' ')}`;
  return phrases.some((phrase) => text.endsWith(` ${phrase}`));
}

function beginsWith(words: readonly string[], phrases: readonly string[]): boolean {
  const text = `${words.join(' ')} `;
  return phrases.some((phrase) => text.startsWith(`${phrase} `));
}

/** Are these words, over the agent's speech, nothing but "go on"? All of them must be: "yeah but" is not. */
export function isAcknowledgement(text: string, { acknowledgements }: Lexicon = ENGLISH): boolean {
  const words = wordsOf(text);
  return words.length > 0 && words.every((word) => acknowledgements.has(word));
}

/** Do these words, over the agent's speech, ask for the floor? */
export function asksForFloor(text: string, { interrupting, hesitations, acknowledgements }: Lexicon = ENGLISH): boolean {
  const words = wordsOf(text);
  if (words.some((word) => interrupting.has(word))) return true;
  // Fillers carry nothing: two of them are no sentence.
  return words.filter((word) => !hesitations.has(word) && !acknowledgements.has(word)).length >= ENOUGH_CONTENT;
}

/** What the agent's last sentence asks for. */
export function askedBy(agentText: string, { asks }: Lexicon = ENGLISH): AskedFor {
  const tail = agentText.slice(-MOST_TEXT).trim().toLowerCase().replaceAll('’', "'");
  const sentence = wordsOf(lastSentence(tail));
  const digits = digitsAskedFor(sentence, asks);
  if (digits !== undefined) return digits;
  if (!tail.endsWith('?')) return NOTHING_ASKED;
  if (asks.or.some((or) => contains(sentence, or))) return { asked: 'choice' };
  const from = asks.before.has(sentence[0] ?? '') ? 1 : 0;
  return { asked: beginsWith(sentence.slice(from), asks.yesNo) || endsWith(sentence, asks.tags) ? 'yes_no' : 'open' };
}

/** Lengths are those of what is usually dictated; postcodes and extensions differ, and nothing is assumed of them. */
function digitsAskedFor(sentence: readonly string[], asks: Lexicon['asks']): AskedFor | undefined {
  const has = (list: ReadonlySet<string>): boolean => sentence.some((word) => list.has(word));
  if (!has(asks.number) || !has(asks.give)) return undefined;
  if (has(asks.card)) return { asked: 'digits', digits: 16 };
  if (has(asks.phone)) return asks.phoneDigits === undefined ? { asked: 'digits' } : { asked: 'digits', digits: asks.phoneDigits };
  return has(asks.date) ? { asked: 'digits', digits: 8 } : { asked: 'digits' };
}

/** Shares of words are counted in runs of at least so many. */
const LEAST_RUN = 3;
/** A transcript that is this much our own words is our own echo. */
const ECHO_SHARE = 0.6;

/** Is this transcript of the caller a run of what the agent itself has just said? */
export function isEchoOf(text: string, agentText: string): boolean {
  const heard = wordsOf(text);
  if (heard.length < LEAST_RUN) return false;
  const said = wordsOf(agentText);
  let longest = 0;
  for (let from = 0; from < said.length; from++) {
    for (let at = 0; at < heard.length; at++) {
      let run = 0;
      while (heard[at + run] !== undefined && heard[at + run] === said[from + run]) run += 1;
      longest = Math.max(longest, run);
    }
  }
  return longest >= LEAST_RUN && longest / heard.length >= ECHO_SHARE;
}

/*
 * What the caller's words say about turns, without a model: whether a sentence sounds finished, and whether what is said over
 * the agent wants the floor. English; words of other languages are content words, and nothing is concluded from them.
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

function setOf(words: string): ReadonlySet<string> {
  return new Set(words.split(' '));
}

const HESITATIONS = setOf('um uh er erm hmm well so like uhm');
/** Nothing ends with a conjunction, a preposition, an article, an auxiliary, a subject or a question word. */
const OPEN_TAILS = setOf(
  'and or but because if when while although that than as with without for from to of in on at by into about under over between through ' +
    'a an the my your his her our their this these those some any every is are was were be am do does did have has had will would can could ' +
    "should may might must i we he she they i'm i'd i'll we're it's there's who what which where how why whose not very really just also",
);
const DICTATED = setOf('dot dash at double triple slash underscore hyphen hash star plus');
const DIGITS = setOf('zero oh one two three four five six seven eight nine ten');
const HOLD_PHRASES =
  /\b(let me (see|think|check|look|find)|hold on|hang on|one (moment|second|sec)|just a (moment|second|sec)|give me a|wait a|bear with)\b[^.?!]*[.?!]?$/;
/** A whole sentence that is the beginning of what is to come. */
const PREAMBLES = /\b(good question|how (do|should|can) i (say|put)( this| it)?|the thing is|it('s| is) like this)[.!]?$/;
const CLOSINGS = /\b(please|thanks|thank you|bye|goodbye|that's (all|it)|that is all)[.!]?$/;
const QUESTION = /^(who|what|which|when|where|why|how|is|are|was|were|do|does|did|can|could|would|will|should|may|have|has)\b/;

const ACKNOWLEDGEMENTS = setOf(
  "yeah yes yep yup ok okay right sure uh-huh mhm mm-hm mmhm mm hmm hm uh huh aha ah oh i see got it cool fine good great alright all that's",
);
const INTERRUPTING = setOf('stop wait no actually hold hang pause cancel repeat sorry human agent operator help');
/** Fillers carry nothing: two of them are no sentence. */
const EMPTY = new Set([...HESITATIONS, ...ACKNOWLEDGEMENTS]);
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
export function pauseFactorOf(text: string, { asked, digits }: AskedFor = NOTHING_ASKED): PauseFactor {
  const tail = text.slice(-MOST_TEXT).trim().toLowerCase().replaceAll('’', "'");
  const words = wordsOf(tail);
  const last = words.at(-1);
  if (last === undefined) return NEUTRAL;
  if (HOLD_PHRASES.test(tail) || PREAMBLES.test(tail)) return HOLD;
  const dictated = digitsAtEnd(words);
  if (dictated > 0 && (asked === 'digits' || dictated >= 3)) return ofDigits(dictated, asked, digits);
  // Whoever wrote the text down heard the sentence end: that says more than its last word.
  const ended = /[.?!]["')]?$/.test(tail) && !tail.endsWith('...');
  if (!ended) {
    if (HESITATIONS.has(last)) return HOLD;
    if (DICTATED.has(last) || OPEN_TAILS.has(last)) return OPEN;
    if (tail.endsWith(',')) return WEAK_HOLD;
  }
  return closingOf(tail, words, { ended, asked });
}

function closingOf(tail: string, words: readonly string[], { ended, asked }: { ended: boolean; asked: Asked }): PauseFactor {
  if (CLOSINGS.test(tail)) return STRONG_CLOSE;
  if (asked === 'yes_no' && words.length <= 3) return STRONG_CLOSE;
  if (asked === 'choice' && words.length <= 4) return WEAK_CLOSE;
  if (tail.endsWith('?')) return STRONG_CLOSE;
  if (words.length >= 5 && QUESTION.test(lastSentence(tail))) return WEAK_CLOSE;
  return ended ? WEAK_CLOSE : NEUTRAL;
}

/** People pause between the groups of a number; they are done when it is whole. */
function ofDigits(dictated: number, asked: Asked, expected: number | undefined): PauseFactor {
  if (expected === undefined) return asked === 'digits' || dictated % 3 === 0 || dictated % 4 === 0 ? OPEN : WEAK_HOLD;
  if (dictated < expected) return OPEN;
  return STRONG_CLOSE;
}

function digitsAtEnd(words: readonly string[]): number {
  let count = 0;
  for (let n = words.length - 1; n >= 0; n--) {
    const word = (words[n] ?? '').replaceAll('-', '');
    if (/^\d+$/.test(word)) count += word.length;
    else if (DIGITS.has(word)) count += 1;
    else if (word !== 'double' && word !== 'triple') break;
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

/** Are these words, over the agent's speech, nothing but "go on"? All of them must be: "yeah but" is not. */
export function isAcknowledgement(text: string): boolean {
  const words = wordsOf(text);
  return words.length > 0 && words.every((word) => ACKNOWLEDGEMENTS.has(word));
}

/** Do these words, over the agent's speech, ask for the floor? */
export function asksForFloor(text: string): boolean {
  const words = wordsOf(text);
  if (words.some((word) => INTERRUPTING.has(word))) return true;
  return words.filter((word) => !EMPTY.has(word)).length >= ENOUGH_CONTENT;
}

/** What the agent's last sentence asks for. */
export function askedBy(agentText: string): AskedFor {
  const tail = agentText.slice(-MOST_TEXT).trim().toLowerCase();
  const digits = digitsAskedFor(tail);
  if (digits !== undefined) return digits;
  if (!tail.endsWith('?')) return NOTHING_ASKED;
  const sentence = lastSentence(tail);
  if (/\bor\b/.test(sentence)) return { asked: 'choice' };
  if (/^(and |so |okay |ok )?(is|are|was|were|do|does|did|can|could|would|will|shall|should|may|have|has|right)\b/.test(sentence))
    return { asked: 'yes_no' };
  if (/\b(is that (right|correct|okay)|correct|right)$/.test(sentence)) return { asked: 'yes_no' };
  return { asked: 'open' };
}

/** Lengths are those of what is usually dictated; postcodes and extensions differ, and nothing is assumed of them. */
function digitsAskedFor(tail: string): AskedFor | undefined {
  const sentence = lastSentence(tail);
  if (!/\b(number|digits?|code|pin|date|zip)\b/.test(sentence) || !/\b(what|which|your|tell|give|enter|say|read)\b/.test(sentence))
    return undefined;
  if (/\bcard\b/.test(sentence)) return { asked: 'digits', digits: 16 };
  if (/\b(phone|telephone|mobile|callback)\b/.test(sentence)) return { asked: 'digits', digits: 10 };
  if (/\bdate\b/.test(sentence)) return { asked: 'digits', digits: 8 };
  return { asked: 'digits' };
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

/** The first piece is spoken as soon as it is one: nobody waits longer than for so many characters, where a clause ends. */
const LONG_FIRST_CHARS = 80;
const LEAST_FIRST_CLAUSE_CHARS = 30;

/** Later pieces are not shorter: voices need a little to find their melody. */
const LEAST_CHARS = 20;

/** Nobody says more in one breath, and a service has its limits: some twenty seconds. */
const MOST_CHARS = 300;

/** A full stop after these ends no sentence. */
const ABBREVIATIONS = new Set(
  (
    'mr mrs ms dr prof rev gen sen rep hon st mt ft vs fig eq vol pp ch sec nr no inc ltd co corp dept est approx ext tel ' +
    'e.g i.e cf al u.s u.k ph.d z.b d.h u.a o.ä v.a bzw ca hr fr str tr evtl ggf inkl zzgl sog vgl art mme mlle av bd srta sra'
  ).split(' '),
);

/** These may end one: they do where a capital follows. */
const MAYBE = new Set([
  'etc',
  'a.m',
  'p.m',
  'usw',
  'jr',
  'sr',
  'jan',
  'feb',
  'mar',
  'apr',
  'jun',
  'jul',
  'aug',
  'sep',
  'sept',
  'oct',
  'nov',
  'dec',
]);

/** After an ordinal number: `am 3. Mai`. */
const MONTH = /^(?:jan|feb|m[äa]r|apr|ma[ij]|jun|jul|aug|sep|o[ck]t|nov|de[zc])/i;

const CLOSERS = '"\'”’»›)]}」』）】》';
const WIDE_ENDS = '。！？｡';
const CLAUSE_ENDS = ',;:—–、，；：';

/**
 * Text as it is written, cut where a voice may take a breath: at the ends of sentences, and of clauses where sentences are
 * long. What cannot be decided yet waits for the next characters.
 */
export class SentenceSplitter {
  #text = '';
  #first = true;
  /** Up to here there is no end. */
  #seen = 0;

  /** The pieces that are complete with this. Together they are the text; spaces at their ends are left out. */
  push(text: string): string[] {
    this.#text += text;
    const pieces: string[] = [];
    for (let end = this.#findEnd(); end !== undefined; end = this.#findEnd()) this.#cut(end, pieces);
    return pieces;
  }

  /** Nothing more is written. */
  flush(): string[] {
    const pieces = this.push('\n');
    this.#cut(this.#text.length, pieces);
    return pieces;
  }

  #cut(end: number, pieces: string[]): void {
    const piece = this.#text.slice(0, end).trim();
    this.#text = this.#text.slice(end);
    this.#seen = 0;
    if (piece === '') return;
    pieces.push(piece);
    this.#first = false;
  }

  #findEnd(): number | undefined {
    const text = this.#text;
    const least = this.#first ? 1 : LEAST_CHARS;
    let at = this.#seen;
    for (; at < Math.min(text.length, MOST_CHARS); at++) {
      const end = endOfSentence(text, at);
      if (end === 'wait') break;
      if (end !== undefined && text.slice(0, end).trim().length >= least && hasWords(text.slice(0, end))) return end;
    }
    this.#seen = at;
    if (this.#first && text.length > LONG_FIRST_CHARS) {
      const end = lastClause(text.slice(0, MOST_CHARS), LEAST_FIRST_CLAUSE_CHARS);
      if (end !== undefined) return end;
    }
    return text.length > MOST_CHARS ? longestPiece(text) : undefined;
  }
}

/** Where the sentence ends whose last mark is at `at`: after that, closing quotes and one space. */
function endOfSentence(text: string, at: number): number | 'wait' | undefined {
  const mark = text.charAt(at);
  if (mark === '\n') return at + 1;
  const wide = WIDE_ENDS.includes(mark);
  if (!wide && mark !== '.' && mark !== '!' && mark !== '?' && mark !== '…') return undefined;
  let end = at + 1;
  while (
    end < text.length &&
    (CLOSERS.includes(text.charAt(end)) || '.!?…'.includes(text.charAt(end)) || WIDE_ENDS.includes(text.charAt(end)))
  )
    end += 1;
  if (end >= text.length) return 'wait';
  if (wide) return end;
  if (!/\s/.test(text.charAt(end))) return undefined;
  if (mark === '!' || mark === '?' || text.charAt(end) === '\n') return end;
  // A full stop says little by itself: what comes after it is looked at.
  const after = /\S/.exec(text.slice(end));
  if (!after) return 'wait';
  // Is it a month?
  if (/\d$/.test(text.slice(0, at)) && text.length - end - after.index < 3) return 'wait';
  return isFullStop(text.slice(0, at), text.slice(end + after.index)) ? end : undefined;
}

function isFullStop(before: string, after: string): boolean {
  const word = (/[\p{L}\p{N}.]+$/u.exec(before)?.[0] ?? '').toLowerCase().replace(/^\.+|\.+$/g, '');
  const next = after.charAt(0);
  const lower = next !== next.toUpperCase();
  if (lower) return false;
  if (ABBREVIATIONS.has(word)) return false;
  if (MAYBE.has(word)) return !/[\d]/.test(next);
  // An initial: `J. Smith`.
  if (/(?:^|[\s.])\p{Lu}$/u.test(before)) return false;
  if (/^\d{1,3}$/.test(word)) {
    // `1. First` at the beginning of a line, `am 3. Mai`.
    if (/(?:^|\n)\s*\d{1,3}$/.test(before)) return false;
    return !MONTH.test(after);
  }
  return true;
}

function hasWords(text: string): boolean {
  return /[\p{L}\p{N}]/u.test(text);
}

/** The end of the last clause that leaves at least so much before it. */
function lastClause(text: string, least: number): number | undefined {
  for (let at = text.length - 2; at >= least; at--) {
    const mark = text.charAt(at);
    if (!CLAUSE_ENDS.includes(mark)) continue;
    if (mark > '⺀' || /\s/.test(text.charAt(at + 1))) return at + 1;
  }
  return undefined;
}

function longestPiece(text: string): number {
  const head = text.slice(0, MOST_CHARS);
  const clause = lastClause(head, MOST_CHARS / 3);
  if (clause !== undefined) return clause;
  const space = head.search(/\s\S*$/);
  if (space > MOST_CHARS / 3) return space + 1;
  const code = text.charCodeAt(MOST_CHARS - 1);
  return code >= 0xd800 && code < 0xdc00 ? MOST_CHARS - 1 : MOST_CHARS;
}

/*
 * Which words of an item had been heard when its audio was cut off. Nobody knows: an estimate from syllables, with a pause's
 * weight for punctuation, over the audio that belongs to them (68 ms off in the middle, 391 at the 95th percentile; docs/turns.md).
 */

/** What a pause is worth, in syllables. */
const SENTENCE_PAUSE = 0.8;
const CLAUSE_PAUSE = 0.5;

/** A pair of "so much text, so much audio" every so often is enough; an answer of minutes has some hundred. */
const MOST_ANCHORS = 256;

/** Text beyond this is not looked at: ten minutes of speech. */
const MOST_TEXT = 16_384;

/** How far off the estimate may be, in 95 of 100 cases. */
export const HEARD_TOLERANCE_MS = 400;

interface Anchor {
  readonly units: number;
  readonly samples: number;
}

/** The words of one item beside its audio, as both come from the model. */
export class HeardTranscript {
  #text = '';
  readonly #anchors: Anchor[] = [];

  get text(): string {
    return this.#text;
  }

  /** More text, when so much of the item's audio had come. */
  add(delta: string, receivedSamples: number): void {
    if (this.#text.length >= MOST_TEXT) return;
    this.#text = (this.#text + delta).slice(0, MOST_TEXT);
    if (receivedSamples === 0 || this.#anchors.length >= MOST_ANCHORS) return;
    this.#anchors.push({ units: unitsOf(this.#text), samples: receivedSamples });
  }

  /** The words whose end lies before this sample. `whole`: all of the item's audio has come, and all of its text. */
  upTo(samples: number, receivedSamples: number, whole: boolean): string {
    if (samples <= 0 || receivedSamples <= 0) return '';
    if (whole && samples >= receivedSamples) return this.#text;
    const total = unitsOf(this.#text);
    const units = whole ? (total * samples) / receivedSamples : this.#unitsAt(samples, { units: total, samples: receivedSamples });
    return textUpTo(this.#text, units);
  }

  /** Between two anchors by proportion. Text may come long before its audio: then what is there of both is taken to belong together. */
  #unitsAt(samples: number, end: Anchor): number {
    let before: Anchor = { units: 0, samples: 0 };
    for (const anchor of [...this.#anchors, end]) {
      if (anchor.samples >= samples) {
        const span = anchor.samples - before.samples;
        return span === 0 ? anchor.units : before.units + ((anchor.units - before.units) * (samples - before.samples)) / span;
      }
      before = anchor;
    }
    return before.units;
  }
}

const WORD = /(\S+)(\s*)/g;

/** How long this text takes to say, in syllables. */
export function unitsOf(text: string): number {
  let sum = 0;
  for (const [, word = ''] of text.matchAll(WORD)) sum += unitsOfWord(word);
  return sum;
}

function textUpTo(text: string, units: number): string {
  let sum = 0;
  let end = 0;
  for (const match of text.matchAll(WORD)) {
    const word = match[1] ?? '';
    // A word is heard when its last syllable is; the pause behind it need not be.
    if (sum + syllablesOf(word) > units + 1e-9) break;
    sum += unitsOfWord(word);
    end = match.index + word.length;
  }
  return text.slice(0, end);
}

function unitsOfWord(word: string): number {
  if (/[.?!…]["')\]]*$/.test(word)) return syllablesOf(word) + SENTENCE_PAUSE;
  if (/[,;:–—]["')\]]*$/.test(word)) return syllablesOf(word) + CLAUSE_PAUSE;
  return syllablesOf(word);
}

/** Groups of vowels, without a silent e; a digit is said as a word; at least one where there is anything to say. */
function syllablesOf(word: string): number {
  const plain = word.toLowerCase();
  const digits = plain.match(/\d/g)?.length ?? 0;
  const groups = plain.match(/[aeiouyäöüáàâéèêíìîóòôúùûæøå]+/g)?.length ?? 0;
  const silent = groups > 1 && /[^aeiouyl]e[.,;:?!]*$/.test(plain) ? 1 : 0;
  const syllables = groups - silent + digits;
  if (syllables > 0) return syllables;
  // Scripts without these vowels: about a syllable for two letters.
  return Math.ceil((plain.match(/\p{L}/gu)?.length ?? 0) / 2);
}

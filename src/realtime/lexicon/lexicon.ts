/** Words of a language that say something about turns (caller-words.ts). All in lower case, as people say and servers write them. */
export interface Lexicon {
  /** Sounds of somebody who thinks. */
  readonly hesitations: ReadonlySet<string>;
  /** Nothing ends with one of these: only what never does in this language, a word that may end a sentence does harm here. */
  readonly openTails: ReadonlySet<string>;
  /** Between dictated characters. */
  readonly dictated: ReadonlySet<string>;
  readonly digits: ReadonlySet<string>;
  /** Numbers of two digits: ten and more. */
  readonly pairs: ReadonlySet<string>;
  /** Somewhere in the last sentence: the caller is about to look. */
  readonly holds: readonly string[];
  /** At the end: a whole sentence that is the beginning of what is to come. */
  readonly preambles: readonly string[];
  /** At the end: nothing comes after it. */
  readonly closings: readonly string[];
  /** First words of questions. */
  readonly questions: readonly string[];
  /** All of the words: "go on". */
  readonly acknowledgements: ReadonlySet<string>;
  /** One of the words: "stop". */
  readonly interrupting: ReadonlySet<string>;
  /** What the agent's questions ask for. */
  readonly asks: {
    readonly or: readonly string[];
    /** First words, after an "and" or "okay", of a question that yes or no answers. */
    readonly yesNo: readonly string[];
    readonly before: ReadonlySet<string>;
    /** At the end: "is that right". */
    readonly tags: readonly string[];
    /** One of these words and one of `give`: digits. */
    readonly number: ReadonlySet<string>;
    readonly give: ReadonlySet<string>;
    readonly card: ReadonlySet<string>;
    readonly phone: ReadonlySet<string>;
    /** Digits of a telephone number; undefined: they differ. */
    readonly phoneDigits: number | undefined;
    readonly date: ReadonlySet<string>;
  };
}

/** Words between spaces. */
export function words(text: string): ReadonlySet<string> {
  return new Set(text.split(' '));
}

/** Phrases between commas. */
export function phrases(text: string): readonly string[] {
  return text.split(',').map((each) => each.trim());
}

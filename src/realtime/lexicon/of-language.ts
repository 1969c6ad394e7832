import { ENGLISH } from './english.ts';
import { FRENCH } from './french.ts';
import { GERMAN } from './german.ts';
import type { Lexicon } from './lexicon.ts';
import { SPANISH } from './spanish.ts';

const LEXICONS: ReadonlyMap<string, Lexicon> = new Map([
  ['en', ENGLISH],
  ['de', GERMAN],
  ['es', SPANISH],
  ['fr', FRENCH],
]);

/**
 * The words of this language (`de`, `de-AT`, `DE_at`), null where none are known: then only rhythm decides about turns.
 * Nobody said which language: English.
 */
export function lexiconOf(language: string | undefined): Lexicon | null {
  if (language === undefined) return ENGLISH;
  return LEXICONS.get(language.toLowerCase().split(/[-_]/)[0] ?? '') ?? null;
}

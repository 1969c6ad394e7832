import { ENGLISH } from './lexicon/english.ts';
import type { Lexicon } from './lexicon/lexicon.ts';

/** When a caller's silence ends the turn: after a fixed time, or after what this caller's own pauses (and words, where there are any) predict. */
export type EndOfTurn =
  | { readonly type: 'fixed'; readonly waitMs: number }
  /** `z`: how patient; 0.7 eager, 1 normal, 1.6 patient. */
  | { readonly type: 'pause_adaptive'; readonly z: number }
  /** The model's server hears the caller all the time and decides; we play, fall silent and tell what was said. */
  | { readonly type: 'upstream' };

export interface TurnOptions {
  readonly endOfTurn: EndOfTurn;
  /** Evidence of a near-end voice that counts as an onset. */
  readonly onsetEvidenceMs: number;
  /** The same while the call's first agent speech begins: the line is not known yet. */
  readonly coldEvidenceMs: number;
  readonly coldMs: number;
  /** Audio before the onset that belongs to the turn: soft first consonants, and the evidence itself. */
  readonly prefixMs: number;
  /** Audio after the last voiced frame that belongs to the turn. */
  readonly suffixMs: number;
  /** Silence that makes a gap of a turn; shorter ones are plosives. */
  readonly gapMs: number;
  /** What a voice does to the agent's speech: silences it until it is judged, ends it, or nothing. */
  readonly bargeIn: 'hold' | 'at_once' | 'never';
  /** Frames quieter than this (dBov) are nobody's voice. */
  readonly quietestDb: number;
  /** An onset this soon after a commit takes the commit back; negative: never. */
  readonly continuationMs: number;
  /** Words of the caller's language; null: nobody here knows it, and words say nothing. */
  readonly lexicon: Lexicon | null;
  /** Is there somebody who can find out what a voice over the agent's speech said? */
  readonly findsWords: boolean;
  /** Is there a judge from outside to be asked about each gap? */
  readonly predicts: boolean;
  /** Does the model prepare answers to turns that may not be over? */
  readonly prepares: boolean;
  /** Silence after which it is asked to … */
  readonly prepareAtMs: number;
  /** … so many times a turn, … */
  readonly mostPreparations: number;
  /** … and not in turns longer than this: their answers are thought over anyway. */
  readonly prepareUntilMs: number;
  /** Speech without any gap for so long is speech in noise: what is far quieter than the voice in it is silence. */
  readonly noisyAfterMs: number;
  /** A turn is committed after this long, whatever is heard. */
  readonly longestTurnMs: number;
  /** A hold becomes an interruption when the burst lasts this long … */
  readonly interruptSpanMs: number;
  /** … and this much of it is voiced. */
  readonly interruptVoicedMs: number;
  /** Silence that ends the burst of a hold. */
  readonly resumeSilenceMs: number;
  /** Once we have been silent for so long, a shorter silence ends it: nobody likes an agent that is away for a second … */
  readonly resumeByMs: number;
  readonly resumeSoonMs: number;
  /** … and so does this much quiet, in which there is not even a soft consonant: such a pause within a word is shorter. */
  readonly resumeQuietMs: number;
  /** A hold without a verdict ends after this … */
  readonly verdictMs: number;
  /** … and so does any for which nothing speaks: the agent goes on, or the caller has the floor. */
  readonly onAmbiguous: 'resume' | 'yield';
  /** A sound at least this long over the end of a question is its answer. */
  readonly answerMs: number;
  /** With less than this left to say, a hold does not resume. */
  readonly worthResumingMs: number;
  /** A burst that began this soon after our first packet is a collision, and the caller wins it … */
  readonly collisionMs: number;
  /** … unless it is shorter than this; then we begin again. */
  readonly collisionBurstMs: number;
  /** A second burst this soon after a rejected one is meant. */
  readonly secondBurstMs: number;
  /** Words that ask for the floor count for so long after a hold was rejected: transcripts lag. */
  readonly lateWordsMs: number;
  /** Our own sound may come back this long after we ended: half a second of delay, and a room. */
  readonly echoTailMs: number;
  /** What stops this soon after we went silent was probably our own echo. */
  readonly echoStopsMs: number;
}

/** Measured choices, docs/turns.md; what is not measured yet says so there. */
export const DEFAULT_TURN_OPTIONS: TurnOptions = {
  endOfTurn: { type: 'pause_adaptive', z: 1 },
  onsetEvidenceMs: 60,
  coldEvidenceMs: 100,
  coldMs: 600,
  prefixMs: 300,
  suffixMs: 100,
  gapMs: 160,
  bargeIn: 'hold',
  quietestDb: Number.NEGATIVE_INFINITY,
  continuationMs: 700,
  lexicon: ENGLISH,
  findsWords: false,
  predicts: false,
  prepares: false,
  prepareAtMs: 250,
  mostPreparations: 3,
  prepareUntilMs: 10_000,
  noisyAfterMs: 3000,
  longestTurnMs: 60_000,
  interruptSpanMs: 800,
  interruptVoicedMs: 350,
  resumeSilenceMs: 350,
  resumeByMs: 600,
  resumeSoonMs: 200,
  resumeQuietMs: 100,
  verdictMs: 2000,
  onAmbiguous: 'resume',
  answerMs: 200,
  worthResumingMs: 600,
  collisionMs: 200,
  collisionBurstMs: 300,
  secondBurstMs: 3000,
  lateWordsMs: 1000,
  echoTailMs: 600,
  echoStopsMs: 300,
};

import { CallerLevel } from './caller-level.ts';
import type { HeardFrame } from './turn-output.ts';
import type { VoiceFrame } from './voice-detector.ts';

const FRAME_MS = 20;

/** Of the noise, where nobody measures it. */
const UNKNOWN_DB = Number.NEGATIVE_INFINITY;

/** More is never asked for, and evidence must fade when the voice does. */
const MOST_EVIDENCE_MS = 200;

/** Echo of this loudness needs a return loss of less than 8 dB: above it, a person is believed whatever was learned. */
const LOUDEST_ECHO_DB = -28;

/** The bar over an echo that was just heard. */
const ECHO_MARGIN_DB = 2;

/**
 * A known caller must always come through: the bar stays this far below the caller's loud frames, which are a tenth of them. (At 3 dB, who had
 * coughed was heard 0.46 s late by the next word, and some for as long as we spoke.)
 */
const BELOW_CALLER_DB = 9;

/** A voice with less room to the noise than this (dB) is noisy: every detector we have takes some of the noise for speech. */
const NOISY_SNR_DB = 15;

/**
 * A breath, an "s" and the burst of a "t" are no voice to the detector and no silence either: quiet is what is this close to the noise,
 * and this far below the loudest of the burst. (In noise nothing is quiet, so nobody is taken to have finished for a soft consonant.)
 */
const QUIET_ABOVE_FLOOR_DB = 9;
const QUIET_BELOW_PEAK_DB = 30;

/** An "s" before the first vowel is no voice to the detector, or too quiet for one: so much of it, this far above the noise, … */
const LEAST_CONSONANT_MS = 40;
const MOST_CONSONANT_MS = 200;
const CONSONANT_ABOVE_FLOOR_DB = 12;
/** … and this far below what follows, as nobody in the background is, … */
const CONSONANT_BELOW_VOWEL_DB = 8;
/** … is evidence like so much of a voice. */
const CONSONANT_EVIDENCE_MS = 20;

/** In noise, silence is what is this much quieter than the loudest of the turn. */
const SILENCE_BELOW_PEAK_DB = 14;

/**
 * Is a voiced frame the caller, near the telephone? While the agent speaks it must be about as loud as this caller
 * usually is, and louder than what proved to be our own echo. Also counts evidence for an onset.
 */
export class VoiceGate {
  readonly #level = new CallerLevel();
  #evidenceMs = 0;
  #consonantMs = 0;
  #consonantDb = Number.NEGATIVE_INFINITY;
  #burstStartMs = 0;
  #burstStartAt = 0;
  #burstPeakDb = Number.NEGATIVE_INFINITY;
  #turnPeakDb = Number.NEGATIVE_INFINITY;
  #floorDb = Number.NEGATIVE_INFINITY;
  #echoDb = Number.NEGATIVE_INFINITY;

  /** Evidence for an onset, up and down with voiced and other frames. */
  get evidenceMs(): number {
    return this.#evidenceMs;
  }

  /** Where the evidence began, in milliseconds of the caller's audio. */
  get burstStartMs(): number {
    return this.#burstStartMs;
  }

  /** When it began (Clock.now). */
  get burstStartAt(): number {
    return this.#burstStartAt;
  }

  /** @param guarded our own sound may be in this frame */
  isNear(frame: VoiceFrame, guarded: boolean): boolean {
    this.#floorDb = frame.floorDb ?? this.#floorDb;
    return frame.voiced && (!guarded || (frame.near !== false && frame.levelDb >= this.#gateDb()));
  }

  /** Has the voice of this caller less than 15 dB of room to the noise? */
  get isNoisy(): boolean {
    return Math.max(this.#turnPeakDb, this.#level.callerDb ?? Number.NEGATIVE_INFINITY) - this.#floorDb < NOISY_SNR_DB;
  }

  /** In noise a frame of a turn must be about as loud as its voice. `noisy`: the turn seems to be so, whatever was measured. */
  standsOut({ levelDb }: VoiceFrame, noisy: boolean): boolean {
    this.#turnPeakDb = Math.max(this.#turnPeakDb, levelDb);
    return !(noisy || this.isNoisy) || levelDb >= this.#turnPeakDb - SILENCE_BELOW_PEAK_DB;
  }

  /** Is nothing in this frame but the noise of the line, beside the burst that is heard? */
  isQuiet({ concealed, levelDb, floorDb = UNKNOWN_DB }: HeardFrame): boolean {
    // Of a made-up frame nobody knows how quiet it was.
    return !concealed && levelDb <= Math.min(floorDb + QUIET_ABOVE_FLOOR_DB, this.#burstPeakDb - QUIET_BELOW_PEAK_DB);
  }

  /** Counts a frame for or against an onset. @param overAgent over the agent's speech the consonant before a voice counts, too */
  count(near: boolean, frame: HeardFrame, now: number, overAgent: boolean): void {
    if (!near) {
      this.#evidenceMs = Math.max(0, this.#evidenceMs - FRAME_MS);
      this.#noteConsonant(frame, overAgent);
      return;
    }
    if (this.#evidenceMs === 0) {
      this.#burstStartMs = frame.heardMs - FRAME_MS;
      this.#burstStartAt = now - FRAME_MS;
      this.#burstPeakDb = Number.NEGATIVE_INFINITY;
      if (this.#followsConsonant(frame.levelDb)) this.#evidenceMs = CONSONANT_EVIDENCE_MS;
    }
    this.#consonantMs = 0;
    this.#evidenceMs = Math.min(MOST_EVIDENCE_MS, this.#evidenceMs + FRAME_MS);
    this.#burstPeakDb = Math.max(this.#burstPeakDb, frame.levelDb);
  }

  #noteConsonant(frame: HeardFrame, overAgent: boolean): void {
    if (!(overAgent && isConsonant(frame))) {
      this.#consonantMs = 0;
      return;
    }
    this.#consonantDb = this.#consonantMs === 0 ? frame.levelDb : Math.max(this.#consonantDb, frame.levelDb);
    this.#consonantMs += FRAME_MS;
  }

  #followsConsonant(levelDb: number): boolean {
    if (this.#consonantMs < LEAST_CONSONANT_MS || this.#consonantMs > MOST_CONSONANT_MS) return false;
    return levelDb >= this.#consonantDb + CONSONANT_BELOW_VOWEL_DB;
  }

  clearEvidence(): void {
    this.#evidenceMs = 0;
    this.#consonantMs = 0;
  }

  /** A voiced frame of a burst or turn that is believed to be the caller. */
  addVoice(levelDb: number): void {
    this.#level.add(levelDb);
    this.#burstPeakDb = Math.max(this.#burstPeakDb, levelDb);
  }

  endTurn(wasTurn: boolean): void {
    this.#turnPeakDb = Number.NEGATIVE_INFINITY;
    this.#level.endTurn(wasTurn);
  }

  /**
   * The last burst went away with our own sound. If it was quieter than a person would be, it was our echo, and the rest
   * of this speech is guarded against its like.
   */
  learnEcho(): boolean {
    const { callerDb } = this.#level;
    const highest = callerDb === undefined ? LOUDEST_ECHO_DB : callerDb - BELOW_CALLER_DB;
    if (this.#burstPeakDb > highest) return false;
    this.#echoDb = Math.max(this.#echoDb, Math.min(highest, this.#burstPeakDb + ECHO_MARGIN_DB));
    return true;
  }

  forgetEcho(): void {
    this.#echoDb = Number.NEGATIVE_INFINITY;
  }

  #gateDb(): number {
    return Math.max(this.#level.gateDb, this.#echoDb);
  }
}

function isConsonant({ concealed, near, levelDb, floorDb = UNKNOWN_DB }: HeardFrame): boolean {
  return !concealed && near !== false && floorDb > UNKNOWN_DB && levelDb >= floorDb + CONSONANT_ABOVE_FLOOR_DB;
}

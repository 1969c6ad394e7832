import { CallerLevel } from './caller-level.ts';
import type { VoiceFrame } from './voice-detector.ts';

const FRAME_MS = 20;

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

/** In noise, silence is what is this much quieter than the loudest of the turn. */
const SILENCE_BELOW_PEAK_DB = 14;

/**
 * Is a voiced frame the caller, near the telephone? While the agent speaks it must be about as loud as this caller
 * usually is, and louder than what proved to be our own echo. Also counts evidence for an onset.
 */
export class VoiceGate {
  readonly #level = new CallerLevel();
  #evidenceMs = 0;
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

  /** Counts a frame for or against an onset. `heardMs` counts the caller's audio up to its end. */
  count(near: boolean, levelDb: number, heardMs: number, now: number): void {
    if (!near) {
      this.#evidenceMs = Math.max(0, this.#evidenceMs - FRAME_MS);
      return;
    }
    if (this.#evidenceMs === 0) {
      this.#burstStartMs = heardMs - FRAME_MS;
      this.#burstStartAt = now - FRAME_MS;
      this.#burstPeakDb = Number.NEGATIVE_INFINITY;
    }
    this.#evidenceMs = Math.min(MOST_EVIDENCE_MS, this.#evidenceMs + FRAME_MS);
    this.#burstPeakDb = Math.max(this.#burstPeakDb, levelDb);
  }

  clearEvidence(): void {
    this.#evidenceMs = 0;
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

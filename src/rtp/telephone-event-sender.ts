import { DTMF_DIGITS } from '../audio/dtmf-tones.ts';
import { writeTelephoneEvent } from './telephone-event.ts';

/** One beat of 20 ms. */
export type KeyStep =
  | { readonly type: 'packet'; readonly payload: Buffer; readonly timestamp: number; readonly marker: boolean }
  /** Between two keys. */
  | { readonly type: 'pause' };

const BEATS_PER_S = 50;
/** 160 ms a key: four times what exchanges must recognise (ITU-T Q.24: 40 ms). */
const KEY_BEATS = 8;
/** The end is said three times, since it may be lost (RFC 4733 §2.5.1.4). */
const END_BEATS = 3;
/** 60 ms: more than the 40 ms that tell two keys from one. */
const PAUSE_BEATS = 3;
/** -10 dBm0, about what a phone's own keys have. */
const VOLUME = 10;
/** Longer than any card number with its menu. */
const MAX_WAITING = 64;

/** Makes telephone events of keys, a step a beat (RFC 4733 §2.5). Numbers of the audio are untouched. */
export class TelephoneEventSender {
  readonly #beatTicks: number;
  readonly #waiting: number[] = [];
  #event: number | undefined;
  #beat = 0;
  #startedAt = 0;
  /** Where the clock is at the least, for a stream whose audio stands still. */
  #clock: number | undefined;

  /** @param clockRateHz of telephone-event, as agreed */
  constructor(clockRateHz = 8000) {
    this.#beatTicks = clockRateHz / BEATS_PER_S;
  }

  /** Keys to press, one after the other: 0-9, A-D, star and hash; others are left out. @returns how many were taken */
  push(digits: string): number {
    const before = this.#waiting.length;
    for (const digit of digits.toUpperCase()) {
      const event = DTMF_DIGITS.indexOf(digit);
      if (event !== -1 && this.#waiting.length < MAX_WAITING) this.#waiting.push(event);
    }
    return this.#waiting.length - before;
  }

  /**
   * What this beat sends; undefined when all keys are done.
   * @param timestamp of the audio at this moment
   */
  step(timestamp: number): KeyStep | undefined {
    if (this.#event === undefined) this.#begin(timestamp);
    if (this.#event === undefined) return undefined;
    const beat = this.#beat;
    this.#beat += 1;
    this.#clock = ((this.#clock ?? timestamp) + this.#beatTicks) >>> 0;
    if (beat >= KEY_BEATS + END_BEATS - 1) {
      if (this.#beat === KEY_BEATS + END_BEATS - 1 + PAUSE_BEATS) this.#event = undefined;
      return { type: 'pause' };
    }
    const end = beat >= KEY_BEATS - 1;
    const duration = Math.min(beat + 1, KEY_BEATS) * this.#beatTicks;
    const payload = writeTelephoneEvent({ event: this.#event, end, volume: VOLUME, duration });
    return { type: 'packet', payload, timestamp: this.#startedAt, marker: beat === 0 };
  }

  #begin(timestamp: number): void {
    this.#event = this.#waiting.shift();
    if (this.#event === undefined) {
      this.#clock = undefined;
      return;
    }
    this.#beat = 0;
    // Two keys of one timestamp would be one key.
    const behind = this.#clock !== undefined && ((timestamp - this.#clock) | 0) < 0;
    this.#startedAt = behind && this.#clock !== undefined ? this.#clock : timestamp;
    this.#clock = this.#startedAt;
  }
}

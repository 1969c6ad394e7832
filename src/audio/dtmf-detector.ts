import { dtmfDigitAt, HIGH_HZ, LOW_HZ } from './dtmf-tones.ts';
import { amplitudeOf } from './level.ts';

export interface DtmfDetectorOptions {
  readonly sampleRateHz?: 8000 | 16_000;
}

/** Length of a block; a window is two of them, so that a key of 40 ms fills two windows wherever it begins. */
const BLOCK_MS = 10;
/** Windows in a row that must agree before a key is believed: 30 ms of it. */
const HITS = 2;
/** Windows without the key after which it is over. A pause of 40 ms has five, a hole of 10 ms three. */
const MISSES = 4;
/** A hole in the audio (lost packets) up to this may lie within one press; nobody knows what was in it. */
const MAX_HOLE_MS = 100;
/** What is told of a key is bounded as for keys in RTP. */
const MAX_DIGIT_MS = 60_000;

/** Each tone at least: 10 dB below what exchanges must understand (ITU-T Q.24), 20 above the noise of a quiet line. */
const MIN_TONE_DBOV = -42;
/** The tones may differ by this much either way; Q.24 asks for 4 to 10 dB. */
const MAX_TWIST_DB = 9;
/** Q.24: what is off by 1.5 % is a key, what is off by 3.5 % is none. */
const MAX_OFFSET = 0.022;
/** How much of the power must be the two tones: noise 9 dB below them is borne, speech has its power elsewhere too. */
const MIN_SHARE = 0.85;
/** A key's level stands still, a voice's does not. The tones leak into each other by up to 2 dB. */
const MAX_STEP_DB = 4;

const MIN_TONE_POWER = amplitudeOf(MIN_TONE_DBOV) ** 2;
const MAX_TWIST = 10 ** (MAX_TWIST_DB / 10);
const MAX_STEP = 10 ** (MAX_STEP_DB / 10);

/**
 * Hears keys that a phone sends as sound (ITU-T Q.23, Q.24): Goertzel filters over windows of 20 ms, one every 10 ms. A key
 * must be two tones of steady level and the right frequency, told from the turn of their phases, and next to nothing else.
 * It is told once, 40 ms after its end.
 */
export class DtmfDetector {
  readonly #onDigit: (digit: string, durationMs: number) => void;
  readonly #blockSamples: number;
  readonly #minEnergy: number;
  readonly #low: ToneGroup;
  readonly #high: ToneGroup;
  /** The part of a block that is waiting for the rest. */
  readonly #rest: Int16Array;
  #restSamples = 0;
  /** Energy of the last block; 0 when it was quiet or the audio does not continue it. */
  #energyBefore = 0;
  #candidate: string | undefined;
  #hits = 0;
  #pressed: string | undefined;
  /** Blocks of the key so far, and since it was heard last. */
  #blocks = 0;
  #misses = 0;

  constructor(onDigit: (digit: string, durationMs: number) => void, { sampleRateHz = 8000 }: DtmfDetectorOptions = {}) {
    this.#onDigit = onDigit;
    this.#blockSamples = (sampleRateHz * BLOCK_MS) / 1000;
    this.#minEnergy = 2 * MIN_TONE_POWER * this.#blockSamples;
    this.#low = new ToneGroup(LOW_HZ, sampleRateHz, this.#blockSamples);
    this.#high = new ToneGroup(HIGH_HZ, sampleRateHz, this.#blockSamples);
    this.#rest = new Int16Array(this.#blockSamples);
  }

  /** Any number of samples that continue those before. */
  push(pcm: Int16Array): void {
    let at = 0;
    if (this.#restSamples > 0) {
      at = Math.min(this.#blockSamples - this.#restSamples, pcm.length);
      for (let i = 0; i < at; i += 1) this.#rest[this.#restSamples + i] = pcm[i] as number;
      this.#restSamples += at;
      if (this.#restSamples < this.#blockSamples) return;
      this.#restSamples = 0;
      this.#block(this.#rest, 0);
    }
    for (; at + this.#blockSamples <= pcm.length; at += this.#blockSamples) this.#block(pcm, at);
    for (; at < pcm.length; at += 1) {
      this.#rest[this.#restSamples] = pcm[at] as number;
      this.#restSamples += 1;
    }
  }

  /** Audio is missing here: a short hole ends no key. */
  skip(durationMs: number): void {
    this.#restSamples = 0;
    this.#energyBefore = 0;
    this.#candidate = undefined;
    if (durationMs > MAX_HOLE_MS) this.#finish();
    else if (this.#pressed !== undefined) this.#blocks += Math.round(durationMs / BLOCK_MS);
  }

  #block(pcm: Int16Array, from: number): void {
    const end = from + this.#blockSamples;
    let energy = 0;
    for (let i = from; i < end; i += 1) energy += (pcm[i] as number) * (pcm[i] as number);
    if (energy < this.#minEnergy) {
      this.#energyBefore = 0;
      this.#window(undefined);
      return;
    }
    this.#low.listen(pcm, from, end);
    this.#high.listen(pcm, from, end);
    this.#window(this.#energyBefore === 0 ? undefined : this.#digitIn(this.#energyBefore + energy));
    this.#energyBefore = energy;
  }

  /** The key that fills the last two blocks, whose energy is given. */
  #digitIn(energy: number): string | undefined {
    const row = this.#low.loudest();
    const column = this.#high.loudest();
    const lowTone = this.#low.tone(row);
    const highTone = this.#high.tone(column);
    if (!lowTone.isSteady() || !highTone.isSteady()) return undefined;
    const lowEnergy = lowTone.windowEnergy();
    const highEnergy = highTone.windowEnergy();
    const least = 2 * MIN_TONE_POWER * this.#blockSamples;
    if (lowEnergy < least || highEnergy < least) return undefined;
    if (lowEnergy + highEnergy < MIN_SHARE * energy) return undefined;
    if (highEnergy > MAX_TWIST * lowEnergy || lowEnergy > MAX_TWIST * highEnergy) return undefined;
    return dtmfDigitAt(row, column);
  }

  #window(digit: string | undefined): void {
    if (this.#pressed !== undefined) this.#blocks += 1;
    if (digit === undefined) {
      this.#candidate = undefined;
      this.#miss();
      return;
    }
    this.#hits = digit === this.#candidate ? this.#hits + 1 : 1;
    this.#candidate = digit;
    if (digit === this.#pressed) {
      this.#misses = 0;
      if (this.#blocks * BLOCK_MS >= MAX_DIGIT_MS) this.#finish();
      return;
    }
    this.#miss();
    if (this.#hits < HITS) return;
    this.#finish();
    this.#pressed = digit;
    this.#blocks = HITS + 1;
    this.#misses = 0;
  }

  #miss(): void {
    if (this.#pressed === undefined) return;
    this.#misses += 1;
    if (this.#misses >= MISSES) this.#finish();
  }

  #finish(): void {
    const digit = this.#pressed;
    if (digit === undefined) return;
    this.#pressed = undefined;
    const durationMs = Math.min(MAX_DIGIT_MS, (this.#blocks - this.#misses) * BLOCK_MS);
    this.#onDigit(digit, durationMs);
  }
}

/** Four Goertzel filters over the last two blocks, phases included. */
class ToneGroup {
  readonly #tones: readonly ToneTrace[];
  readonly #coefficients: readonly [number, number, number, number];

  constructor(group: readonly [number, number, number, number], rateHz: number, blockSamples: number) {
    this.#tones = group.map((hz) => new ToneTrace(hz, rateHz, blockSamples));
    const coefficient = (hz: number) => 2 * Math.cos((2 * Math.PI * hz) / rateHz);
    const [a, b, c, d] = group;
    this.#coefficients = [coefficient(a), coefficient(b), coefficient(c), coefficient(d)];
  }

  /** Four at once: each filter waits for its own last result, so that one after the other would take three times as long. */
  listen(pcm: Int16Array, from: number, end: number): void {
    const [ca, cb, cc, cd] = this.#coefficients;
    let [a1, a2, b1, b2, c1, c2, d1, d2] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = from; i < end; i += 1) {
      const sample = pcm[i] as number;
      const a = sample + ca * a1 - a2;
      const b = sample + cb * b1 - b2;
      const c = sample + cc * c1 - c2;
      const d = sample + cd * d1 - d2;
      a2 = a1;
      a1 = a;
      b2 = b1;
      b1 = b;
      c2 = c1;
      c1 = c;
      d2 = d1;
      d1 = d;
    }
    const [ta, tb, tc, td] = this.#tones as [ToneTrace, ToneTrace, ToneTrace, ToneTrace];
    ta.take(a1, a2);
    tb.take(b1, b2);
    tc.take(c1, c2);
    td.take(d1, d2);
  }

  loudest(): number {
    let best = 0;
    for (let i = 1; i < this.#tones.length; i += 1) if (this.tone(i).power > this.tone(best).power) best = i;
    return best;
  }

  tone(index: number): ToneTrace {
    return this.#tones[index] as ToneTrace;
  }
}

/** What one filter has found in the last two blocks. */
class ToneTrace {
  readonly #cos: number;
  readonly #sin: number;
  /** How far the tone's phase turns in a block. */
  readonly #turnCos: number;
  readonly #turnSin: number;
  readonly #blockSamples: number;
  /** Radians a block by which the tone may be off. */
  readonly #maxOffset: number;
  #real = 0;
  #imaginary = 0;
  #realBefore = 0;
  #imaginaryBefore = 0;

  constructor(hz: number, rateHz: number, blockSamples: number) {
    const omega = (2 * Math.PI * hz) / rateHz;
    this.#cos = Math.cos(omega);
    this.#sin = Math.sin(omega);
    this.#turnCos = Math.cos(omega * blockSamples);
    this.#turnSin = Math.sin(omega * blockSamples);
    this.#blockSamples = blockSamples;
    this.#maxOffset = MAX_OFFSET * omega * blockSamples;
  }

  /** The filter's last two values of another block. */
  take(last: number, beforeLast: number): void {
    this.#realBefore = this.#real;
    this.#imaginaryBefore = this.#imaginary;
    this.#real = last - this.#cos * beforeLast;
    this.#imaginary = this.#sin * beforeLast;
  }

  /** Of both blocks, whatever their phases. */
  get power(): number {
    return this.#powerNow + this.#powerBefore;
  }

  get #powerNow(): number {
    return this.#real * this.#real + this.#imaginary * this.#imaginary;
  }

  get #powerBefore(): number {
    return this.#realBefore * this.#realBefore + this.#imaginaryBefore * this.#imaginaryBefore;
  }

  isSteady(): boolean {
    return this.#powerNow <= MAX_STEP * this.#powerBefore && this.#powerBefore <= MAX_STEP * this.#powerNow;
  }

  /** Energy of the tone in the two blocks, or 0 when it is another tone nearby. */
  windowEnergy(): number {
    // Where the first block's phase would stand now if the tone were exact.
    const real = this.#realBefore * this.#turnCos - this.#imaginaryBefore * this.#turnSin;
    const imaginary = this.#realBefore * this.#turnSin + this.#imaginaryBefore * this.#turnCos;
    const offset = Math.atan2(this.#imaginary * real - this.#real * imaginary, this.#real * real + this.#imaginary * imaginary);
    if (Math.abs(offset) > this.#maxOffset) return 0;
    // What a window so long lets through of a tone that is off by so much.
    const passed = Math.abs(offset) < 1e-6 ? 1 : Math.sin(offset) / offset;
    const sum = (real + this.#real) ** 2 + (imaginary + this.#imaginary) ** 2;
    return sum / (this.#blockSamples * passed * passed);
  }
}

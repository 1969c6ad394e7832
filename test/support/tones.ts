/** Sound as the tests make it and look for it: mono, signed 16 bit; 8 kHz unless a rate is given. */
export const PHONE_RATE_HZ = 8000;

/** Amplitude of test tones: -11 dB below full scale, so that no codec clips. */
export const TONE_AMPLITUDE = 9000;

export interface ToneOptions {
  readonly rateHz?: number;
  readonly amplitude?: number;
}

/** A sine of whole samples. `ms` of it, starting at phase zero. */
export function tone(freqHz: number, ms: number, { rateHz = PHONE_RATE_HZ, amplitude = TONE_AMPLITUDE }: ToneOptions = {}): Int16Array {
  const step = (2 * Math.PI * freqHz) / rateHz;
  return Int16Array.from({ length: Math.round((ms * rateHz) / 1000) }, (_, n) => Math.round(amplitude * Math.sin(step * n)));
}

export function silence(ms: number, rateHz = PHONE_RATE_HZ): Int16Array {
  return new Int16Array(Math.round((ms * rateHz) / 1000));
}

/** One after the other. */
export function concat(...parts: readonly Int16Array[]): Int16Array {
  const joined = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** A part of a recording, in milliseconds from its start; the whole when left out. */
export interface Span {
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly rateHz?: number;
}

function cut(samples: Int16Array, { fromMs = 0, toMs, rateHz = PHONE_RATE_HZ }: Span): Int16Array {
  const to = toMs === undefined ? samples.length : Math.round((toMs * rateHz) / 1000);
  return samples.subarray(Math.max(0, Math.round((fromMs * rateHz) / 1000)), Math.max(0, to));
}

/** Root mean square, in units of a sample (0 … 32768). */
export function rms(samples: Int16Array, span: Span = {}): number {
  const part = cut(samples, span);
  let energy = 0;
  for (const sample of part) energy += sample * sample;
  return part.length === 0 ? 0 : Math.sqrt(energy / part.length);
}

/** Amplitude of the sine at `freqHz` in these samples (Goertzel). */
function amplitudeAt(samples: Int16Array, from: number, length: number, freqHz: number, rateHz: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * freqHz) / rateHz);
  let s1 = 0;
  let s2 = 0;
  for (let n = from; n < from + length; n++) {
    const s0 = (samples[n] as number) + coefficient * s1 - s2;
    s2 = s1;
    s1 = s0;
  }
  const power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
  return (2 * Math.sqrt(Math.max(0, power))) / length;
}

/** How much of the power between `fromMs` and `toMs` is at `freqHz`: 1 for that sine alone, near 0 for anything else. */
export function toneShare(samples: Int16Array, freqHz: number, span: Span = {}): number {
  const { rateHz = PHONE_RATE_HZ } = span;
  const part = cut(samples, span);
  // Windows of 40 ms: a lost packet or a slipped sample then costs one window and not the phase of the whole.
  const window = Math.round(rateHz * 0.04);
  let at = 0;
  let total = 0;
  for (let from = 0; from + window <= part.length; from += window) {
    const amplitude = amplitudeAt(part, from, window, freqHz, rateHz);
    at += (amplitude * amplitude) / 2;
    total += rms(part.subarray(from, from + window)) ** 2;
  }
  return total === 0 ? 0 : Math.min(1, at / total);
}

export interface FoundTone {
  /** Share of the power, 0 … 1. */
  readonly share: number;
  /** Loudness of the span, 0 … 32768. */
  readonly rms: number;
  /** Is it this tone, and audible? */
  readonly present: boolean;
}

/** A pure tone through G.711 or Opus keeps > 0.95 of its power; 0.6 leaves room for one lost packet in three windows. */
const PRESENT_SHARE = 0.6;

/** -50 dBov: below that nobody hears it. */
export const SILENCE_RMS = 100;

/** Is this tone what is heard in the span? */
export function findTone(samples: Int16Array, freqHz: number, span: Span = {}): FoundTone {
  const share = toneShare(samples, freqHz, span);
  const loudness = rms(samples, span);
  return { share, rms: loudness, present: share >= PRESENT_SHARE && loudness > SILENCE_RMS };
}

/** Is there nothing to hear in the span? Looks at every 20 ms of it, so that a short click counts. */
export function isSilent(samples: Int16Array, span: Span = {}, threshold = SILENCE_RMS): boolean {
  const { rateHz = PHONE_RATE_HZ } = span;
  const part = cut(samples, span);
  const frame = Math.round(rateHz / 50);
  for (let from = 0; from < part.length; from += frame) if (rms(part.subarray(from, from + frame)) > threshold) return false;
  return true;
}

/** Milliseconds at which the first sound louder than the threshold begins (to 1 ms), or undefined. */
export function soundOnset(samples: Int16Array, span: Span = {}, threshold = SILENCE_RMS * 3): number | undefined {
  const { fromMs = 0, toMs, rateHz = PHONE_RATE_HZ } = span;
  const end = toMs === undefined ? samples.length : Math.min(samples.length, Math.round((toMs * rateHz) / 1000));
  const step = Math.round(rateHz / 1000);
  for (let at = Math.round((fromMs * rateHz) / 1000); at + step * 5 <= end; at += step) {
    if (rms(samples.subarray(at, at + step * 5)) < threshold) continue;
    for (let n = at; n < at + step * 5; n++) if (Math.abs(samples[n] as number) > threshold) return (n * 1000) / rateHz;
  }
  return undefined;
}

/** Where a tone runs in a recording, in milliseconds. */
export interface ToneRun {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The tone must hold for this long to count as one: longer than any click, shorter than any tone a test plays. */
const SHORTEST_RUN_MS = 30;

/** All places where the tone runs without a break, edges to ±5 ms. */
export function toneRuns(samples: Int16Array, freqHz: number, span: Span = {}): ToneRun[] {
  const { fromMs = 0, rateHz = PHONE_RATE_HZ } = span;
  const part = cut(samples, span);
  // At least four periods and 10 ms in a window, so that the neighbouring tones of a test stay apart.
  const window = Math.round(rateHz * Math.max(0.01, 4 / freqHz));
  const hop = Math.round(rateHz / 1000);
  const levels: number[] = [];
  const holds: boolean[] = [];
  for (let from = 0; from + window <= part.length; from += hop) {
    const level = amplitudeAt(part, from, window, freqHz, rateHz);
    const loudness = rms(part.subarray(from, from + window));
    levels.push(level);
    holds.push(loudness > SILENCE_RMS && (level * level) / 2 >= PRESENT_SHARE * loudness * loudness);
  }
  const windowMs = (window * 1000) / rateHz;
  const runs: ToneRun[] = [];
  for (let start = holds.indexOf(true); start !== -1; start = holds.indexOf(true, start)) {
    let end = start;
    while (end < holds.length && holds[end]) end++;
    // In a window that slides over an edge the level falls in a line: half of the level is where half of the window is tone.
    const plateau = levels.slice(start, end).sort((a, b) => a - b)[Math.floor((end - start) / 2)] as number;
    let first = start;
    while (first < end && (levels[first] as number) < plateau / 2) first++;
    while (first > 0 && (levels[first - 1] as number) >= plateau / 2) first--;
    let last = end - 1;
    while (last > first && (levels[last] as number) < plateau / 2) last--;
    while (last + 1 < levels.length && (levels[last + 1] as number) >= plateau / 2) last++;
    const atEdge = { start: first === 0, end: last === levels.length - 1 };
    const run = {
      fromMs: fromMs + first + (atEdge.start ? 0 : windowMs / 2),
      toMs: fromMs + last + (atEdge.end ? windowMs : windowMs / 2),
    };
    if (run.toMs - run.fromMs >= SHORTEST_RUN_MS) runs.push(run);
    start = Math.max(end, last + 1);
  }
  return runs;
}

/** When the tone is first heard, in milliseconds from the start of the recording (±5 ms), or undefined. */
export function toneOnset(samples: Int16Array, freqHz: number, span: Span = {}): number | undefined {
  return toneRuns(samples, freqHz, span)[0]?.fromMs;
}

/** The two sines of each key (ITU-T Q.23). */
const DTMF_HZ: Readonly<Record<string, readonly [number, number]>> = {
  1: [697, 1209],
  2: [697, 1336],
  3: [697, 1477],
  4: [770, 1209],
  5: [770, 1336],
  6: [770, 1477],
  7: [852, 1209],
  8: [852, 1336],
  9: [852, 1477],
  '*': [941, 1209],
  0: [941, 1336],
  '#': [941, 1477],
};

/** A key as sound, for phones that send digits in the audio. @throws Error for what is not a key */
export function dtmfTone(digit: string, ms: number, { rateHz = PHONE_RATE_HZ, amplitude = TONE_AMPLITUDE }: ToneOptions = {}): Int16Array {
  const pair = DTMF_HZ[digit];
  if (!pair) throw new Error(`no such key: ${digit}`);
  const low = tone(pair[0], ms, { rateHz, amplitude: amplitude / 2 });
  const high = tone(pair[1], ms, { rateHz, amplitude: amplitude / 2 });
  return low.map((sample, n) => sample + (high[n] as number));
}

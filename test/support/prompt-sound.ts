import { readFileSync } from 'node:fs';
import { resample } from '../../src/audio/resampler.ts';
import type { PromptName } from '../../src/realtime/embedded/prompts.ts';
import { findMarker } from './chirp.ts';
import { decodeG711 } from './g711.ts';
import { PHONE_RATE_HZ, rms } from './tones.ts';

const TEXTS = JSON.parse(readFileSync(new URL('../../prompts/texts.json', import.meta.url), 'utf8')) as {
  readonly rateHz: number;
  readonly narrowRateHz: number;
  readonly narrow: readonly string[];
};

/** What the embedded agent says for this prompt, at the rate of the phone or of the recording. */
export function promptSound(name: PromptName, rateHz = PHONE_RATE_HZ): Int16Array {
  const coded = readFileSync(new URL(`../../prompts/${name}.ul`, import.meta.url));
  const { rateHz: wide, narrowRateHz, narrow } = TEXTS;
  return resample(decodeG711('PCMU', coded), narrow.includes(name) ? narrowRateHz : wide, rateHz);
}

export interface FoundSound {
  /** Share of its loud pieces that were found where they belong, 0 … 1. */
  readonly share: number;
  /** Where its beginning lies in the recording, in milliseconds; undefined when nothing was found. */
  readonly atMs: number | undefined;
  /** Where the last piece that was found ends. */
  readonly endMs: number;
}

export interface FindSoundOptions {
  readonly fromMs?: number;
  readonly rateHz?: number;
  /** Shorter pieces for a far end that stretches time, as browsers do. */
  readonly pieceMs?: number;
}

/** Long enough to be no accident, short enough that a far end which stretches time costs one piece and not the rest. */
const PIECE_MS = 200;

/** Pieces may lie this far from where the one before puts them: jitter buffers stretch. */
const SLIP_MS = 120;

/** Quieter pieces look like any noise. */
const LOUD_RMS = 300;

/** Below this likeness it is something else; G.711 and Opus at 8 kHz keep speech above 0.9. */
const MIN_LIKENESS = 0.75;

/** The first look is at a quarter of the rate, where speech still has its shape: a sixteenth of the work. */
const COARSE = 4;
const COARSE_LIKENESS = 0.5;

function coarse(samples: Int16Array): Int16Array {
  return Int16Array.from({ length: Math.floor(samples.length / COARSE) }, (_, n) => {
    let sum = 0;
    for (let k = 0; k < COARSE; k++) sum += samples[n * COARSE + k] as number;
    return Math.round(sum / COARSE);
  });
}

/** Looks for a sound in a recording, piece by piece, by correlation. */
export function findSound(recording: Int16Array, sound: Int16Array, options: FindSoundOptions = {}): FoundSound {
  const { fromMs = 0, rateHz = PHONE_RATE_HZ, pieceMs = PIECE_MS } = options;
  const length = Math.round((pieceMs * rateHz) / 1000);
  const rough = coarse(recording);
  let pieces = 0;
  let found = 0;
  let beginsAtMs: number | undefined;
  let firstMs: number | undefined;
  let endMs = 0;
  for (let at = 0; at + length <= sound.length; at += length) {
    const piece = sound.subarray(at, at + length);
    if (rms(piece) < LOUD_RMS) continue;
    pieces += 1;
    const atMs = (at * 1000) / rateHz;
    const around = beginsAtMs === undefined ? { fromMs } : { fromMs: beginsAtMs + atMs - SLIP_MS, toMs: beginsAtMs + atMs + SLIP_MS };
    const place = findMarker(rough, coarse(piece), { ...around, rateHz: rateHz / COARSE, minLikeness: COARSE_LIKENESS });
    if (!place) continue;
    const near = { fromMs: Math.max(fromMs, place.atMs - 2), toMs: place.atMs + 2 };
    const marker = findMarker(recording, piece, { ...near, rateHz, minLikeness: MIN_LIKENESS });
    if (!marker) continue;
    found += 1;
    beginsAtMs = marker.atMs - atMs;
    firstMs ??= beginsAtMs;
    endMs = marker.atMs + pieceMs;
  }
  return { share: pieces === 0 ? 0 : found / pieces, atMs: firstMs, endMs };
}

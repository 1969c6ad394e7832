import { MODEL_RATE_HZ } from '../model.ts';

const HOP_SAMPLES = MODEL_RATE_HZ / 100;

/** Quieter than -48 dBov nobody speaks: what comes before the first louder 10 ms is waiting, not speech. */
const QUIET_RMS = 130;

/** Kept before the first loud place: soft consonants. */
const LEAD_HOPS = 6;

/**
 * What the parrot says: the turn without the silence before it, and without a click at either end. Works in place,
 * returns a part of what it got.
 */
export function parrotOf(turn: Int16Array): Int16Array {
  const said = turn.subarray(Math.max(0, firstLoudHop(turn) - LEAD_HOPS) * HOP_SAMPLES);
  const fade = Math.min(HOP_SAMPLES, said.length >> 1);
  for (let n = 0; n < fade; n++) {
    said[n] = Math.round(((said[n] ?? 0) * n) / fade);
    const last = said.length - 1 - n;
    said[last] = Math.round(((said[last] ?? 0) * n) / fade);
  }
  return said;
}

function firstLoudHop(turn: Int16Array): number {
  for (let hop = 0; (hop + 1) * HOP_SAMPLES <= turn.length; hop++) {
    let energy = 0;
    for (let n = hop * HOP_SAMPLES; n < (hop + 1) * HOP_SAMPLES; n++) energy += (turn[n] ?? 0) ** 2;
    if (energy > QUIET_RMS * QUIET_RMS * HOP_SAMPLES) return hop;
  }
  return 0;
}

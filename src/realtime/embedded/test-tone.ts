import { Tone } from '../../audio/tone.ts';
import { MODEL_RATE_HZ } from '../model.ts';

/** The test tone of telephone lines: no divisor of the sampling rate, so that it runs through all codes and not through eight. */
const TONE_HZ = 1004;

/** As loud as a strong voice (-16 to -26 dBov): far above noise, and no codec clips it. */
const TONE_DBOV = -16;

/** 251 whole periods in 250 ms: pieces join without a step. */
const PIECE_MS = 250;

/** 250 ms of the test tone that can be said again and again, made once. */
let piece: Int16Array | undefined;

export function testTonePiece(): Int16Array {
  if (piece) return piece;
  piece = new Int16Array((MODEL_RATE_HZ * PIECE_MS) / 1000);
  new Tone({ rateHz: MODEL_RATE_HZ, frequencyHz: TONE_HZ, levelDbov: TONE_DBOV }).fill(piece);
  return piece;
}

/** How many pieces make the tone of key 3: ten seconds. */
export const TONE_PIECES = 40;

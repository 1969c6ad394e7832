/** 2.5 ms at 24 kHz: by so much Opus without delay (`interior`) gives back late what was put in. */
const HEAD_SAMPLES = 60;

/** 20 dB: what follows a cut is 35 dB down; with a fifth of a millisecond of voice behind it, it would be less than 20. */
const STEEPEST = 100;

/**
 * Is what sounds in this frame only what the codec has left over of the frame before? A voice that ended with its packet is then
 * one frame older than this one, for whoever measures from there. 480 samples at 24 kHz.
 */
export function isSpill(pcm: Int16Array): boolean {
  return powerOf(pcm, 0, HEAD_SAMPLES) > STEEPEST * powerOf(pcm, HEAD_SAMPLES, pcm.length);
}

function powerOf(pcm: Int16Array, from: number, to: number): number {
  let sum = 0;
  for (let n = from; n < to; n++) sum += (pcm[n] as number) ** 2;
  return sum / (to - from);
}

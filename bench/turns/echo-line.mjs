import { built } from '../built.mjs';
import { clip } from './end-of-turn.mjs';

const { PCMU } = await built('audio/g711.js');
const { Decimator } = await built('audio/decimate.js');

const FRAME = 160;
const KEPT = 8000;

/** A telephone line: what is played comes back changed, a caller speaks, noise is added; G.711 both ways. 24 kHz towards us, 20 ms at a time. */
export class EchoLine {
  #echo;
  #random;
  #decimator = new Decimator();
  #played = new Float64Array(KEPT);
  #at = 0;
  #code = new Uint8Array(FRAME);
  #narrow = new Int16Array(FRAME);
  #wide = new Int16Array(3 * FRAME);
  #last = 0;
  #taps;
  #delay;

  /** @param echo {kind: 'none' | 'hybrid' | 'acoustic', erlDb, delayMs, distorted, jumpMs} */
  constructor(echo, random) {
    this.#echo = echo;
    this.#random = random;
    this.#delay = (echo.delayMs ?? 0) * 8;
    this.#taps = tapsOf(echo, random);
  }

  /** The delay changes in the middle of a call. */
  jump() {
    if (this.#echo.jumpMs) this.#delay = (this.#echo.delayMs + this.#echo.jumpMs) * 8;
  }

  /** @param sent 20 ms that left, at 24 kHz @param near what the caller says, full scale 32768 @returns what arrives, at 24 kHz */
  pass(sent, near, noise) {
    this.#decimator.process(sent, this.#narrow);
    PCMU.encode(this.#narrow, this.#code);
    PCMU.decode(this.#code, this.#narrow);
    for (let n = 0; n < FRAME; n++) this.#played[(this.#at + n) % KEPT] = this.#distort(this.#narrow[n]);
    for (let n = 0; n < FRAME; n++) this.#narrow[n] = clip(this.#echoAt(this.#at + n) + near[n] + noise * this.#random.normal());
    this.#at += FRAME;
    PCMU.encode(this.#narrow, this.#code);
    PCMU.decode(this.#code, this.#narrow);
    return this.#widen();
  }

  #echoAt(n) {
    let sum = 0;
    for (const [offset, weight] of this.#taps) {
      const at = n - this.#delay - offset;
      if (at >= 0) sum += weight * this.#played[at % KEPT];
    }
    return sum;
  }

  /** A small loudspeaker at its limit. */
  #distort(x) {
    return this.#echo.distorted ? 3000 * Math.tanh(x / 3000) + 0.15 * Math.abs(x) : x;
  }

  #widen() {
    for (let n = 0; n < FRAME; n++) {
      const x = this.#narrow[n];
      this.#wide[3 * n] = clip(this.#last + (x - this.#last) / 3);
      this.#wide[3 * n + 1] = clip(this.#last + (2 * (x - this.#last)) / 3);
      this.#wide[3 * n + 2] = x;
      this.#last = x;
    }
    return this.#wide;
  }
}

/** A hybrid answers with a short ring, a room with a tail of 60 ms. Both lose `erlDb` in energy. */
export function tapsOf({ kind, erlDb }, random) {
  if (kind === 'none') return [];
  const [count, spread, fall] = kind === 'hybrid' ? [6, 4, 12] : [24, 480, 160];
  const taps = Array.from({ length: count }, (_, n) => {
    const offset = n === 0 ? 0 : Math.round(random.next() * spread);
    return [offset, (n === 0 ? 1 : random.normal() * 0.5) * Math.exp(-offset / fall)];
  });
  const energy = taps.reduce((sum, [, weight]) => sum + weight * weight, 0);
  const gain = 10 ** (erlDb / 20) / Math.sqrt(energy);
  return taps.map(([offset, weight]) => [offset, weight * gain]);
}

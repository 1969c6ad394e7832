/**
 * G.722 at 64 kbit/s (ITU-T G.722, mode 1): 16 kHz mono, one byte for two samples; equal to the reference bit for bit. Both
 * directions keep state from call to call and write into the caller's buffer; nothing is allocated once they are made.
 */

/** Quadrature mirror filter (table 11), one of its two polyphase halves; the other is the same backwards. */
const QMF = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11] as const;
const QMF_TAPS = 12;
/** How many pairs of samples fit behind the filter's history before it is moved back to the start: one packet of 20 ms. */
const LINE_PAIRS = 160;

/** Decision levels of the 60-level quantizer of the lower band (table 14), for a scale of 1/4096. */
const Q6 = Int32Array.of(
  ...[0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650],
  ...[714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919],
);
/** Decision level of the 4-level quantizer of the upper band (table 15). */
const Q2 = 564;

/** Code words of the lower band for negative and positive differences, by quantizer interval (table 16). */
const LOW_NEGATIVE = Uint8Array.from({ length: 31 }, (_, interval) => (interval < 3 ? [0, 63, 62][interval] : 34 - interval) as number);
const LOW_POSITIVE = Uint8Array.from({ length: 31 }, (_, interval) => (interval === 0 ? 0 : 62 - interval));

/** What the six, four and two bits of a code word stand for, for a scale of 1/32768 (tables 17, 18, 19). */
const MAGNITUDE6 = [
  ...[24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576],
  ...[6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728],
];
const LEVEL6 = Int32Array.of(
  ...[-136, -136, -136, -136],
  ...MAGNITUDE6.map((magnitude) => -magnitude),
  ...MAGNITUDE6,
  ...[432, 136, -432, -136],
);
const LEVEL4 = Int32Array.of(...[0, -20456, -12896, -8968, -6288, -4240, -2584, -1200], ...[20456, 12896, 8968, 6288, 4240, 2584, 1200, 0]);
const LEVEL2 = Int32Array.of(-7408, -1616, 7408, 1616);

/** How the logarithmic scale factor moves with each code word (tables 20, 21): by four bits, by two bits. */
const LOW_STEP = Int32Array.of(-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60);
const HIGH_STEP = Int32Array.of(798, -214, 798, -214);
const LOW_MAX_LOG = 18432;
const HIGH_MAX_LOG = 22528;

/** 2048 · 2^(i/32): from the logarithmic scale factor to the linear one (table 22). */
const POWERS = Int32Array.of(
  ...[2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834],
  ...[2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008],
);

function saturate(value: number): number {
  return value > 32767 ? 32767 : value < -32768 ? -32768 : value;
}

/** The adaptive predictor and scale factor of one band (§3.6): what encoder and decoder must keep alike. */
class Band {
  /** Prediction of the next sample. */
  predicted = 0;
  /** Linear scale factor of the quantizer. */
  scale: number;
  #logScale = 0;
  readonly #maxLog: number;
  readonly #shift: number;
  #zeroPart = 0;
  #pole1 = 0;
  #pole2 = 0;
  #reconstructed1 = 0;
  /** The two last partial reconstructions; only their signs matter. */
  #partial1 = 0;
  #partial2 = 0;
  /** The six last differences and the zeros' coefficients, newest first. */
  readonly #differences = new Int32Array(6);
  readonly #zeros = new Int32Array(6);

  constructor({ scale, maxLog, shift }: { readonly scale: number; readonly maxLog: number; readonly shift: number }) {
    this.scale = scale;
    this.#maxLog = maxLog;
    this.#shift = shift;
  }

  /** Blocks 3 (LOGSCL, SCALEL) and 4 (RECONS to PREDIC). */
  adapt(difference: number, logStep: number): void {
    this.#adaptScale(logStep);
    const reconstructed = saturate(this.predicted + difference);
    const partial = saturate(this.#zeroPart + difference);
    this.#adaptPoles(partial);
    const zeroPart = this.#adaptZeros(difference);
    const polePart = ((this.#pole1 * saturate(2 * reconstructed)) >> 15) + ((this.#pole2 * saturate(2 * this.#reconstructed1)) >> 15);
    this.#reconstructed1 = reconstructed;
    this.#zeroPart = zeroPart;
    this.predicted = saturate(saturate(polePart) + zeroPart);
  }

  #adaptScale(logStep: number): void {
    let log = ((this.#logScale * 127) >> 7) + logStep;
    log = log < 0 ? 0 : log > this.#maxLog ? this.#maxLog : log;
    this.#logScale = log;
    const power = POWERS[(log >> 6) & 31] as number;
    const shift = this.#shift - (log >> 11);
    this.scale = (shift < 0 ? power << -shift : power >> shift) << 2;
  }

  #adaptPoles(partial: number): void {
    const signChange1 = (partial ^ this.#partial1) < 0;
    const signChange2 = (partial ^ this.#partial2) < 0;
    const fourfold = saturate(this.#pole1 << 2);
    const pull = signChange1 ? fourfold : fourfold === -32768 ? 32767 : -fourfold;
    let pole2 = (signChange2 ? -128 : 128) + (pull >> 7) + ((this.#pole2 * 32512) >> 15);
    pole2 = pole2 > 12288 ? 12288 : pole2 < -12288 ? -12288 : pole2;
    const bound = 15360 - pole2;
    const pole1 = (signChange1 ? -192 : 192) + ((this.#pole1 * 32640) >> 15);
    this.#pole1 = pole1 > bound ? bound : pole1 < -bound ? -bound : pole1;
    this.#pole2 = pole2;
    this.#partial2 = this.#partial1;
    this.#partial1 = partial;
  }

  /** @returns what the zeros predict of the next sample */
  #adaptZeros(difference: number): number {
    const differences = this.#differences;
    const zeros = this.#zeros;
    const step = difference === 0 ? 0 : 128;
    let sum = 0;
    for (let i = 5; i >= 0; i -= 1) {
      const before = differences[i] as number;
      const zero = saturate(
        (before ^ difference) < 0 ? -step + (((zeros[i] as number) * 32640) >> 15) : step + (((zeros[i] as number) * 32640) >> 15),
      );
      zeros[i] = zero;
      // The delay line moves on in the same pass: this coefficient's next difference is the one before it.
      const next = i === 0 ? difference : (differences[i - 1] as number);
      differences[i] = next;
      sum += (zero * saturate(2 * next)) >> 15;
    }
    return saturate(sum);
  }
}

function lowBand(): Band {
  return new Band({ scale: 32, maxLog: LOW_MAX_LOG, shift: 8 });
}

function highBand(): Band {
  return new Band({ scale: 8, maxLog: HIGH_MAX_LOG, shift: 10 });
}

function limit(value: number): number {
  return value > 16383 ? 16383 : value < -16384 ? -16384 : value;
}

/** Both halves of the mirror filter over a line of sample pairs, without moving the line for each pair. */
class MirrorFilter {
  readonly #even = new Int32Array(QMF_TAPS + LINE_PAIRS);
  readonly #odd = new Int32Array(QMF_TAPS + LINE_PAIRS);
  #end = QMF_TAPS - 1;
  /** Results of the last push. */
  forwards = 0;
  backwards = 0;

  push(even: number, odd: number): void {
    const evens = this.#even;
    const odds = this.#odd;
    if (this.#end === evens.length) {
      evens.copyWithin(0, this.#end - QMF_TAPS + 1);
      odds.copyWithin(0, this.#end - QMF_TAPS + 1);
      this.#end = QMF_TAPS - 1;
    }
    evens[this.#end] = even;
    odds[this.#end] = odd;
    this.#end += 1;
    const first = this.#end - QMF_TAPS;
    let forwards = 0;
    let backwards = 0;
    for (let i = 0; i < QMF_TAPS; i += 1) {
      forwards += (evens[first + i] as number) * (QMF[i] as number);
      backwards += (odds[first + i] as number) * (QMF[QMF_TAPS - 1 - i] as number);
    }
    this.forwards = forwards;
    this.backwards = backwards;
  }
}

/** 16 kHz PCM to G.722, one per stream. */
export class G722Encoder {
  readonly #filter = new MirrorFilter();
  readonly #low = lowBand();
  readonly #high = highBand();

  /**
   * @param pcm an even number of samples; the last one of an odd number is left out
   * @returns how many bytes of `out` were written, half as many as samples
   */
  encode(pcm: Int16Array, out: Uint8Array): number {
    const filter = this.#filter;
    const count = Math.min(pcm.length >> 1, out.length);
    for (let i = 0; i < count; i += 1) {
      filter.push(pcm[2 * i] as number, pcm[2 * i + 1] as number);
      const low = this.#encodeLow((filter.backwards + filter.forwards) >> 14);
      out[i] = (this.#encodeHigh((filter.backwards - filter.forwards) >> 14) << 6) | low;
    }
    return count;
  }

  #encodeLow(sample: number): number {
    const band = this.#low;
    const { scale } = band;
    const error = saturate(sample - band.predicted);
    const magnitude = error < 0 ? -error - 1 : error;
    // The first interval whose upper bound lies above; five comparisons instead of up to thirty.
    let interval = 1;
    let above = 30;
    while (interval < above) {
      const middle = (interval + above) >> 1;
      if (magnitude < ((Q6[middle] as number) * scale) >> 12) above = middle;
      else interval = middle + 1;
    }
    const code = (error < 0 ? LOW_NEGATIVE[interval] : LOW_POSITIVE[interval]) as number;
    const coarse = code >> 2;
    band.adapt((scale * (LEVEL4[coarse] as number)) >> 15, LOW_STEP[coarse] as number);
    return code;
  }

  #encodeHigh(sample: number): number {
    const band = this.#high;
    const { scale } = band;
    const error = saturate(sample - band.predicted);
    const magnitude = error < 0 ? -error - 1 : error;
    const outer = magnitude >= (Q2 * scale) >> 12;
    const code = error < 0 ? (outer ? 0 : 1) : outer ? 2 : 3;
    band.adapt((scale * (LEVEL2[code] as number)) >> 15, HIGH_STEP[code] as number);
    return code;
  }
}

/** G.722 to 16 kHz PCM, one per stream. Any bytes are valid. */
export class G722Decoder {
  readonly #filter = new MirrorFilter();
  readonly #low = lowBand();
  readonly #high = highBand();

  /** @returns how many samples of `out` were written, twice as many as bytes */
  decode(payload: Uint8Array, out: Int16Array): number {
    const filter = this.#filter;
    const count = Math.min(payload.length, out.length >> 1);
    for (let i = 0; i < count; i += 1) {
      const code = payload[i] as number;
      const low = this.#decodeLow(code & 0x3f);
      const high = this.#decodeHigh(code >> 6);
      filter.push(low + high, low - high);
      out[2 * i] = saturate(filter.backwards >> 11);
      out[2 * i + 1] = saturate(filter.forwards >> 11);
    }
    return 2 * count;
  }

  #decodeLow(code: number): number {
    const band = this.#low;
    const { scale } = band;
    const sample = limit(band.predicted + ((scale * (LEVEL6[code] as number)) >> 15));
    const coarse = code >> 2;
    band.adapt((scale * (LEVEL4[coarse] as number)) >> 15, LOW_STEP[coarse] as number);
    return sample;
  }

  #decodeHigh(code: number): number {
    const band = this.#high;
    const difference = (band.scale * (LEVEL2[code] as number)) >> 15;
    const sample = limit(band.predicted + difference);
    band.adapt(difference, HIGH_STEP[code] as number);
    return sample;
  }
}

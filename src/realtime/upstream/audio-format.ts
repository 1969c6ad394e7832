import { type G711, g711 } from '../../audio/g711.ts';
import { Resampler } from '../../audio/resampler.ts';
import { MODEL_RATE_HZ } from '../model.ts';
import type { UpstreamAudioFormat } from './profile.ts';

function lawOf({ encoding }: UpstreamAudioFormat): G711 | undefined {
  if (encoding === 'pcm') return undefined;
  return g711(encoding === 'pcmu' ? 'PCMU' : 'PCMA');
}

/** Audio of the session as base64 in a server's format. One for each stretch of audio: it keeps the resampler's state. */
export class AudioEncoder {
  readonly #law: G711 | undefined;
  readonly #resampler: Resampler | undefined;

  constructor(format: UpstreamAudioFormat) {
    this.#law = lawOf(format);
    this.#resampler = format.rateHz === MODEL_RATE_HZ ? undefined : new Resampler(MODEL_RATE_HZ, format.rateHz);
  }

  /** @param pcm at 24 kHz; not kept */
  encode(pcm: Int16Array): string {
    return this.#toBase64(this.#resampler ? this.#resampler.process(pcm) : pcm);
  }

  /** What the resampler still holds: the last half millisecond. */
  flush(): string {
    return this.#resampler ? this.#toBase64(this.#resampler.flush()) : '';
  }

  #toBase64(pcm: Int16Array): string {
    if (!this.#law) return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64');
    const bytes = Buffer.allocUnsafe(pcm.length);
    this.#law.encode(pcm, bytes);
    return bytes.toString('base64');
  }
}

/** A server's base64 as audio of the session. One an item: it keeps half samples and the resampler's state. */
export class AudioDecoder {
  readonly #law: G711 | undefined;
  readonly #resampler: Resampler | undefined;
  /** A server may cut its audio in the middle of a sample. */
  #halfSample: number | undefined;

  constructor(format: UpstreamAudioFormat) {
    this.#law = lawOf(format);
    this.#resampler = format.rateHz === MODEL_RATE_HZ ? undefined : new Resampler(format.rateHz, MODEL_RATE_HZ);
  }

  /** Samples at 24 kHz in an array of its own. What is not base64 is passed over. */
  decode(base64: string): Int16Array {
    const pcm = this.#fromBytes(Buffer.from(base64, 'base64'));
    return this.#resampler && pcm.length > 0 ? this.#resampler.process(pcm) : pcm;
  }

  /** What the resampler still holds. */
  flush(): Int16Array {
    return this.#resampler ? this.#resampler.flush() : new Int16Array(0);
  }

  #fromBytes(bytes: Buffer): Int16Array {
    if (this.#law) {
      const pcm = new Int16Array(bytes.length);
      this.#law.decode(bytes, pcm);
      return pcm;
    }
    const whole = this.#halfSample === undefined && bytes.length % 2 === 0;
    if (whole && bytes.byteOffset % 2 === 0) return new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    return this.#joined(bytes);
  }

  #joined(bytes: Buffer): Int16Array {
    const before = this.#halfSample === undefined ? 0 : 1;
    const joined = Buffer.alloc(before + bytes.length);
    if (this.#halfSample !== undefined) joined[0] = this.#halfSample;
    bytes.copy(joined, before);
    this.#halfSample = joined.length % 2 === 1 ? joined[joined.length - 1] : undefined;
    const pcm = new Int16Array(joined.length >> 1);
    for (let n = 0; n < pcm.length; n++) pcm[n] = joined.readInt16LE(2 * n);
    return pcm;
  }
}

import { type G711, g711 } from '../../audio/g711.ts';
import { Resampler } from '../../audio/resampler.ts';
import { MODEL_FRAME_SAMPLES, MODEL_RATE_HZ } from '../model.ts';
import type { AudioFormat } from './session-schema.ts';

const G711_RATE_HZ = 8000;

/** 20 ms in either format. */
const PCM_CHUNK_BYTES = 2 * MODEL_FRAME_SAMPLES;
const G711_CHUNK_BYTES = G711_RATE_HZ / 50;

function lawOf(format: AudioFormat): G711 | undefined {
  if (format.type === 'audio/pcm') return undefined;
  return g711(format.type === 'audio/pcmu' ? 'PCMU' : 'PCMA');
}

/** The bytes of a base64 text; undefined when something else stands in it. */
export function fromBase64(text: string): Buffer | undefined {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(text, 'base64');
  // The decoder passes over what it does not know: then fewer bytes come out.
  return bytes.length === Math.floor(((text.length - padding) * 3) / 4) ? bytes : undefined;
}

/** Audio for a client: the model's PCM in its format, as base64. One an item: it keeps the resampler's state. */
export class AudioWriter {
  readonly #law: G711 | undefined;
  readonly #resampler: Resampler | undefined;

  constructor(format: AudioFormat) {
    this.#law = lawOf(format);
    this.#resampler = this.#law && new Resampler(MODEL_RATE_HZ, G711_RATE_HZ);
  }

  write(pcm: Int16Array): string {
    if (!this.#law || !this.#resampler) return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64');
    return this.#code(this.#law, this.#resampler.process(pcm));
  }

  /** The end, which the resampler still holds; empty for PCM. */
  flush(): string {
    return this.#law && this.#resampler ? this.#code(this.#law, this.#resampler.flush()) : '';
  }

  #code(law: G711, pcm: Int16Array): string {
    const out = Buffer.alloc(pcm.length);
    law.encode(pcm, out);
    return out.toString('base64');
  }
}

/** Audio of a client on its way to the session: bytes in, in any amounts, frames of 20 ms out. Decodes when a frame is asked for. */
export class AudioReader {
  #law: G711 | undefined;
  #resampler: Resampler | undefined;
  readonly #chunks: Buffer[] = [];
  #at = 0;
  #queuedBytes = 0;
  readonly #pcm = new Int16Array(2 * MODEL_FRAME_SAMPLES);
  #filled = 0;
  readonly #law20ms = new Int16Array(G711_CHUNK_BYTES);

  constructor(format: AudioFormat) {
    this.setFormat(format);
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Of what is pushed from now on; nothing may wait. */
  setFormat(format: AudioFormat): void {
    const law = lawOf(format);
    if (law === this.#law) return;
    this.#law = law;
    this.#resampler = law && new Resampler(G711_RATE_HZ, MODEL_RATE_HZ);
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#queuedBytes += bytes.length;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#at = 0;
    this.#queuedBytes = 0;
    this.#filled = 0;
  }

  /** The next frame, if there is a whole one. */
  next(out: Int16Array): boolean {
    while (this.#filled < MODEL_FRAME_SAMPLES) if (!this.#decode()) return false;
    this.#emit(out);
    return true;
  }

  /** What is left of less than a frame, with silence behind it; false when nothing is. */
  last(out: Int16Array): boolean {
    if (this.#filled === 0) return false;
    this.#pcm.fill(0, this.#filled, MODEL_FRAME_SAMPLES);
    this.#filled = MODEL_FRAME_SAMPLES;
    this.#emit(out);
    return true;
  }

  #emit(out: Int16Array): void {
    out.set(this.#pcm.subarray(0, MODEL_FRAME_SAMPLES));
    this.#pcm.copyWithin(0, MODEL_FRAME_SAMPLES, this.#filled);
    this.#filled -= MODEL_FRAME_SAMPLES;
  }

  /** Decodes 20 ms at most. */
  #decode(): boolean {
    const law = this.#law;
    const bytes = this.#take(law ? G711_CHUNK_BYTES : PCM_CHUNK_BYTES);
    if (!bytes) return false;
    if (law && this.#resampler) {
      const count = law.decode(bytes, this.#law20ms);
      const pcm = this.#resampler.process(this.#law20ms.subarray(0, count));
      this.#pcm.set(pcm, this.#filled);
      this.#filled += pcm.length;
      return true;
    }
    for (let at = 0; at + 1 < bytes.length; at += 2) this.#pcm[this.#filled++] = bytes.readInt16LE(at);
    return true;
  }

  /** So many bytes, or what there is; of PCM whole samples only. */
  #take(most: number): Buffer | undefined {
    const available = Math.min(most, this.#queuedBytes);
    const count = this.#law ? available : available & ~1;
    if (count === 0) return undefined;
    this.#queuedBytes -= count;
    const first = this.#chunks[0];
    if (first && first.length - this.#at >= count) {
      const bytes = first.subarray(this.#at, this.#at + count);
      this.#advance(first, count);
      return bytes;
    }
    const bytes = Buffer.alloc(count);
    for (let filled = 0; filled < count; ) {
      const chunk = this.#chunks[0];
      if (!chunk) break;
      const take = Math.min(count - filled, chunk.length - this.#at);
      chunk.copy(bytes, filled, this.#at, this.#at + take);
      filled += take;
      this.#advance(chunk, take);
    }
    return bytes;
  }

  #advance(chunk: Buffer, bytes: number): void {
    this.#at += bytes;
    if (this.#at < chunk.length) return;
    this.#chunks.shift();
    this.#at = 0;
  }
}

import { Resampler } from '../../audio/resampler.ts';
import { toSample } from '../../audio/sample.ts';
import { MODEL_RATE_HZ } from '../model.ts';
import type { StageReader, StageReading } from './stage-reader.ts';
import { unreadable } from './stage-reader.ts';
import { readWavHeader, type WavFormat } from './wav.ts';

/** A sentence has 300 characters at most; the slowest voice needs a minute. */
const MOST_SAMPLES = 120 * MODEL_RATE_HZ;

/** A header with notes of its maker is not longer. */
const MOST_HEADER_BYTES = 16_384;

/** The beginnings of what services send that do not know the format they were asked for. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ['ID3', 'MP3'],
  ['OggS', 'Ogg'],
  ['fLaC', 'FLAC'],
  ['\x1aE\xdf\xa3', 'WebM'],
  ['<!DO', 'a web page'],
  ['<htm', 'a web page'],
  ['<HTM', 'a web page'],
];

/** Reads speech as it comes, raw or in a WAV file whatever was asked for: samples at 24 kHz, in arrays of their own. */
export class SpeechReader implements StageReader<Int16Array> {
  #head: Buffer | undefined = Buffer.alloc(0);
  #format: WavFormat;
  #resampler: Resampler | undefined;
  /** Bytes of a sample that is not whole yet. */
  #rest: Buffer = Buffer.alloc(0);
  /** Of the data of a WAV file; what follows it is not sound. */
  #leftBytes = Number.POSITIVE_INFINITY;
  #samples = 0;

  /** @param rateHz of raw samples: 16 bit, mono */
  constructor(rateHz: number) {
    this.#format = { rateHz, channels: 1, encoding: 'pcm16', dataBytes: Number.POSITIVE_INFINITY };
    this.#begin(this.#format);
  }

  push(bytes: Uint8Array): StageReading<Int16Array> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    return this.#head ? this.#readHead(Buffer.concat([this.#head, buffer])) : this.#readSound(buffer);
  }

  end(): StageReading<Int16Array> {
    const events: Int16Array[] = [];
    if (this.#head) {
      if (this.#head.length < 4 || this.#head.toString('latin1', 0, 4) === 'RIFF') return unreadable('bad_data', 'no sound in it');
      const { fault, events: read } = this.#readSound(this.#head);
      if (fault) return { events: [], fault };
      events.push(...read);
    }
    if (this.#resampler && this.#samples > 0) events.push(this.#resampler.flush());
    return this.#samples === 0 ? unreadable('bad_data', 'no sound in it') : { events, ended: true };
  }

  #readHead(head: Buffer): StageReading<Int16Array> {
    this.#head = head;
    if (head.length < 4) return { events: [] };
    const magic = head.toString('latin1', 0, 4);
    const foreign = FOREIGN.find(([beginning]) => magic.startsWith(beginning));
    if (foreign) return unreadable('wrong_content', `${foreign[1]} instead of raw samples or WAV`);
    if (magic !== 'RIFF') {
      this.#head = undefined;
      return this.#readSound(head);
    }
    const wav = readWavHeader(head);
    if (wav === 'more') return head.length > MOST_HEADER_BYTES ? unreadable('bad_data', 'a WAV file without sound') : { events: [] };
    if (typeof wav === 'string') return unreadable('wrong_content', wav);
    this.#begin(wav.format);
    this.#head = undefined;
    return this.#readSound(head.subarray(wav.headerBytes));
  }

  #begin(format: WavFormat): void {
    this.#format = format;
    this.#leftBytes = format.dataBytes;
    this.#resampler = format.rateHz === MODEL_RATE_HZ ? undefined : new Resampler(format.rateHz, MODEL_RATE_HZ);
  }

  #readSound(bytes: Buffer): StageReading<Int16Array> {
    const mine = bytes.subarray(0, Math.min(bytes.length, this.#leftBytes));
    this.#leftBytes -= mine.length;
    const all = this.#rest.length > 0 ? Buffer.concat([this.#rest, mine]) : mine;
    const { channels, encoding } = this.#format;
    const frameBytes = channels * (encoding === 'pcm16' ? 2 : 4);
    const frames = Math.floor(all.length / frameBytes);
    this.#rest = Buffer.from(all.subarray(frames * frameBytes));
    if (frames === 0) return { events: [] };
    const pcm = this.#decode(all, frames);
    this.#samples += pcm.length;
    if (this.#samples > MOST_SAMPLES) return unreadable('too_large', 'more than two minutes for one sentence');
    return { events: pcm.length > 0 ? [pcm] : [] };
  }

  #decode(bytes: Buffer, frames: number): Int16Array {
    const { channels, encoding } = this.#format;
    const pcm = new Int16Array(frames);
    for (let frame = 0; frame < frames; frame++) {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++) {
        const at = frame * channels + channel;
        sum += encoding === 'pcm16' ? bytes.readInt16LE(2 * at) : 32_768 * (bytes.readFloatLE(4 * at) || 0);
      }
      pcm[frame] = channels === 1 && encoding === 'pcm16' ? sum : toSample(sum / channels);
    }
    return this.#resampler ? this.#resampler.process(pcm) : pcm;
  }
}

/** What the samples of a WAV file are. */
export interface WavFormat {
  readonly rateHz: number;
  readonly channels: number;
  readonly encoding: 'pcm16' | 'float32';
  /** Infinite where the file was written before its length was known. */
  readonly dataBytes: number;
}

const HEADER_BYTES = 44;

/** A WAV file of these samples, mono. */
export function writeWav(pcm: Int16Array, rateHz: number): Buffer {
  const dataBytes = pcm.length * 2;
  const file = Buffer.alloc(HEADER_BYTES + dataBytes);
  file.write('RIFF', 0, 'latin1');
  file.writeUInt32LE(HEADER_BYTES - 8 + dataBytes, 4);
  file.write('WAVEfmt ', 8, 'latin1');
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(rateHz, 24);
  file.writeUInt32LE(rateHz * 2, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write('data', 36, 'latin1');
  file.writeUInt32LE(dataBytes, 40);
  // Little-endian, as every machine that Node runs on.
  file.set(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength), HEADER_BYTES);
  return file;
}

/** Lengths from here on stand for "not known yet". */
const UNKNOWN_BYTES = 0x7fff_0000;

/**
 * Reads the beginning of a WAV file, up to its sound.
 * @returns `more`: it goes on; another text: what it is that we do not read
 */
export function readWavHeader(head: Buffer): 'more' | string | { readonly format: WavFormat; readonly headerBytes: number } {
  if (head.length < 12) return 'more';
  if (head.toString('latin1', 8, 12) !== 'WAVE') return 'a RIFF file that is no WAV';
  let format: Omit<WavFormat, 'dataBytes'> | undefined;
  for (let at = 12; at + 8 <= head.length; ) {
    const name = head.toString('latin1', at, at + 4);
    const length = head.readUInt32LE(at + 4);
    if (name === 'data') {
      if (!format) return 'a WAV file without a format';
      const dataBytes = length === 0 || length >= UNKNOWN_BYTES ? Number.POSITIVE_INFINITY : length;
      return { format: { ...format, dataBytes }, headerBytes: at + 8 };
    }
    if (name === 'fmt ') {
      if (at + 24 > head.length || (length >= 26 && at + 34 > head.length)) return 'more';
      const read = readFormat(head, at + 8, length);
      if (typeof read === 'string') return read;
      format = read;
    }
    at += 8 + length + (length % 2);
  }
  return 'more';
}

const EXTENSIBLE = 0xfffe;

/** Rates that voices have; all of them divide by 25, and odd ones would make filters of megabytes. */
function isSpeechRate(rateHz: number): boolean {
  return rateHz >= 4000 && rateHz <= 192_000 && rateHz % 25 === 0;
}

function readFormat(head: Buffer, at: number, length: number): string | Omit<WavFormat, 'dataBytes'> {
  const tag = head.readUInt16LE(at);
  const kind = tag === EXTENSIBLE && length >= 26 ? head.readUInt16LE(at + 24) : tag;
  const channels = head.readUInt16LE(at + 2);
  const rateHz = head.readUInt32LE(at + 4);
  const bits = head.readUInt16LE(at + 14);
  const encoding = kind === 1 && bits === 16 ? 'pcm16' : kind === 3 && bits === 32 ? 'float32' : undefined;
  if (!encoding) return `a WAV file of kind ${kind} with ${bits} bits a sample`;
  if (channels < 1 || channels > 8 || !isSpeechRate(rateHz)) return `a WAV file of ${channels} channels at ${rateHz} Hz`;
  return { rateHz, channels, encoding };
}

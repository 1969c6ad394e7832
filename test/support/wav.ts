import { readFileSync, writeFileSync } from 'node:fs';
import { decodeG711 } from './g711.ts';

export interface Wav {
  readonly rateHz: number;
  readonly channels: number;
  /** The first channel. */
  readonly samples: Int16Array;
}

/** Writes mono 16 bit PCM. */
export function writeWav(path: string, samples: Int16Array, rateHz = 8000): void {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rateHz, 24);
  header.writeUInt32LE(rateHz * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(samples.byteLength, 40);
  writeFileSync(path, Buffer.concat([header, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]));
}

const PCM = 1;
const A_LAW = 6;
const MU_LAW = 7;

/**
 * Reads PCM 16 bit or G.711. A file that is still being written names a length of 0 or too much: what is there counts.
 * @throws Error when it is no such file
 */
export function readWav(path: string): Wav {
  return parseWav(readFileSync(path));
}

export function parseWav(file: Buffer): Wav {
  if (file.length < 12 || file.toString('latin1', 0, 4) !== 'RIFF' || file.toString('latin1', 8, 12) !== 'WAVE')
    throw new Error('no WAV file');
  let format: { kind: number; channels: number; rateHz: number; bits: number } | undefined;
  for (let at = 12; at + 8 <= file.length; ) {
    const name = file.toString('latin1', at, at + 4);
    const size = file.readUInt32LE(at + 4);
    const body = file.subarray(at + 8, name === 'data' && size === 0 ? undefined : at + 8 + size);
    if (name === 'fmt ') {
      format = { kind: body.readUInt16LE(0), channels: body.readUInt16LE(2), rateHz: body.readUInt32LE(4), bits: body.readUInt16LE(14) };
    }
    if (name === 'data' && format) {
      return { rateHz: format.rateHz, channels: format.channels, samples: firstChannel(decode(body, format), format.channels) };
    }
    at += 8 + size + (size % 2);
  }
  throw new Error('WAV file without audio');
}

function decode(body: Buffer, { kind, bits }: { kind: number; bits: number }): Int16Array {
  if (kind === MU_LAW) return decodeG711('PCMU', body);
  if (kind === A_LAW) return decodeG711('PCMA', body);
  if (kind !== PCM || bits !== 16) throw new Error(`WAV format ${kind} with ${bits} bits is not read here`);
  return Int16Array.from({ length: Math.floor(body.length / 2) }, (_, n) => body.readInt16LE(n * 2));
}

function firstChannel(samples: Int16Array, channels: number): Int16Array {
  return channels === 1
    ? samples
    : Int16Array.from({ length: Math.floor(samples.length / channels) }, (_, n) => samples[n * channels] as number);
}

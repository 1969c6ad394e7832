import { readFile } from 'node:fs/promises';
import { PCMU } from '../audio/g711.ts';
import { resample } from '../audio/resampler.ts';
import { GatewayError } from '../base/errors.ts';
import { MODEL_RATE_HZ } from './model.ts';
import { readWavHeader, type WavFormat } from './pipeline/wav.ts';

const ULAW_RATE_HZ = 8000;
/** Shorter loops buzz; longer ones nobody hears to their end, and each second is 48 kB of memory. */
const LEAST_S = 1;
const MOST_S = 300;

/**
 * Reads music on hold: WAV (PCM of 16 bits or float of 32, any rate of speech, channels become one) or µ-law code at 8 kHz.
 * @returns it at 24 kHz
 * @throws GatewayError ERR_CONFIG naming the file and what is wrong with it
 */
export async function loadMusic(path: string): Promise<Int16Array> {
  const file = await readFile(path).catch((cause: unknown) => {
    throw fault(path, 'cannot be read', cause);
  });
  const { pcm, rateHz } = /\.wav$/i.test(path) ? fromWav(path, file) : fromUlaw(file);
  const seconds = pcm.length / rateHz;
  if (seconds < LEAST_S || seconds > MOST_S) throw fault(path, `lasts ${seconds.toFixed(1)} s; it must be ${LEAST_S} to ${MOST_S} s`);
  return resample(pcm, rateHz, MODEL_RATE_HZ);
}

interface Sound {
  readonly pcm: Int16Array;
  readonly rateHz: number;
}

function fromUlaw(code: Buffer): Sound {
  const pcm = new Int16Array(code.length);
  PCMU.decode(code, pcm);
  return { pcm, rateHz: ULAW_RATE_HZ };
}

function fromWav(path: string, file: Buffer): Sound {
  const read = readWavHeader(file);
  if (read === 'more') throw fault(path, 'is no whole WAV file');
  if (typeof read === 'string') throw fault(path, `is ${read}`);
  const { format, headerBytes } = read;
  const data = file.subarray(headerBytes, headerBytes + Math.min(format.dataBytes, file.length - headerBytes));
  return { pcm: monoOf(data, format), rateHz: format.rateHz };
}

function monoOf(data: Buffer, { channels, encoding }: WavFormat): Int16Array {
  const bytes = encoding === 'pcm16' ? 2 : 4;
  const pcm = new Int16Array(Math.floor(data.length / (bytes * channels)));
  for (let n = 0; n < pcm.length; n++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      const at = (n * channels + channel) * bytes;
      sum += encoding === 'pcm16' ? data.readInt16LE(at) : 32_767 * data.readFloatLE(at);
    }
    pcm[n] = Math.max(-32_768, Math.min(32_767, Math.round(sum / channels)));
  }
  return pcm;
}

function fault(path: string, what: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_CONFIG', `tools.music: ${path} ${what}`, { cause });
}

import { readFile } from 'node:fs/promises';
import { PCMU } from '../../audio/g711.ts';
import { resample } from '../../audio/resampler.ts';
import { GatewayError } from '../../base/errors.ts';
import { MODEL_RATE_HZ } from '../model.ts';
import type { CallSounds } from './filler.ts';

/** As a telephone has it: 8 kHz. Phones hear no more, and nobody listens to a filler. */
const RATE_HZ = 8000;
const PROMPT_RATE_HZ = 12_000;

/** Next to src/ and dist/ alike. */
const SOUNDS = new URL('../../../sounds/', import.meta.url);
const PROMPTS = new URL('../../../prompts/', import.meta.url);

/**
 * Reads what callers hear while nobody speaks: µ-law code, made by scripts/render-sounds.mjs, and the prompt "One moment."
 * @throws GatewayError ERR_CONFIG when a file of the installation is missing
 */
export async function loadCallSounds(): Promise<CallSounds> {
  const [music, tone, typing, phrase] = await Promise.all([
    load(new URL('hold.ul', SOUNDS), RATE_HZ),
    load(new URL('tone.ul', SOUNDS), RATE_HZ),
    load(new URL('typing.ul', SOUNDS), RATE_HZ),
    load(new URL('transfer.ul', PROMPTS), PROMPT_RATE_HZ),
  ]);
  return { music, tone, typing, phrase };
}

async function load(file: URL, rateHz: number): Promise<Int16Array> {
  const coded = await readFile(file).catch((cause: unknown) => {
    throw new GatewayError('ERR_CONFIG', `a sound of the installation cannot be read: ${file.pathname}`, { cause });
  });
  const pcm = new Int16Array(coded.length);
  PCMU.decode(coded, pcm);
  return resample(pcm, rateHz, MODEL_RATE_HZ);
}

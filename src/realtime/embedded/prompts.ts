import { readFile } from 'node:fs/promises';
import { PCMU } from '../../audio/g711.ts';
import { resample } from '../../audio/resampler.ts';
import { GatewayError } from '../../base/errors.ts';
import { MODEL_RATE_HZ } from '../model.ts';

/** Everything the embedded agent can say. The texts are in prompts/texts.json, rendered by scripts/render-prompts.mjs. */
const WIDE_NAMES = ['hello', 'menu', 'parrot', 'echo', 'goodbye'] as const;
/** At half the rate: heard seldom, and mostly by phones, which have no more. */
const NARROW_NAMES = ['more', 'seconds', 'turns', 'milliseconds', 'percent', 'transfer', 'unavailable', 'callback', 'sorry'] as const;
const DIGIT_NAMES = ['digit-0', 'digit-1', 'digit-2', 'digit-3', 'digit-4', 'digit-5', 'digit-6', 'digit-7', 'digit-8', 'digit-9'] as const;
export const PROMPT_NAMES = [...WIDE_NAMES, ...NARROW_NAMES, ...DIGIT_NAMES] as const;
export type PromptName = (typeof PROMPT_NAMES)[number];

/** PCM of each prompt at 24 kHz, shared by all calls: never written to. */
export type Prompts = Readonly<Record<PromptName, Int16Array>>;

const WIDE: readonly string[] = WIDE_NAMES;
const NARROW_RATE_HZ = 12_000;

/** A whole number, digit by digit. */
export function spokenNumber(prompts: Prompts, value: number): Int16Array[] {
  const digits = String(Math.max(0, Math.round(value)));
  return [...digits].map((digit) => prompts[DIGIT_NAMES[Number(digit)] ?? 'digit-0']);
}

const texts = new WeakMap<Int16Array, string>();

/** What this prompt says; undefined when it is none. */
export function textOf(pcm: Int16Array): string | undefined {
  return texts.get(pcm);
}

/** Next to src/ and dist/ alike. */
const DIRECTORY = new URL('../../../prompts/', import.meta.url);

/**
 * Reads the prompts: µ-law code like on a telephone line, but at 24 kHz, so that a browser hears what matters in full.
 * @throws GatewayError ERR_CONFIG when a file of the installation is missing
 */
export async function loadPrompts(directory: URL = DIRECTORY): Promise<Prompts> {
  const { prompts: written } = JSON.parse((await loadFile(new URL('texts.json', directory))).toString()) as {
    prompts: Record<string, string>;
  };
  const entries = await Promise.all(
    PROMPT_NAMES.map(async (name) => {
      const coded = await loadPrompt(new URL(`${name}.ul`, directory));
      const pcm = WIDE.includes(name) ? coded : resample(coded, NARROW_RATE_HZ, MODEL_RATE_HZ);
      texts.set(pcm, written[name] ?? '');
      return [name, pcm] as const;
    }),
  );
  return Object.fromEntries(entries) as Record<PromptName, Int16Array>;
}

async function loadFile(file: URL): Promise<Buffer> {
  return readFile(file).catch((cause: unknown) => {
    throw new GatewayError('ERR_CONFIG', `a prompt of the embedded agent cannot be read: ${file.pathname}`, { cause });
  });
}

async function loadPrompt(file: URL): Promise<Int16Array> {
  const coded = await loadFile(file);
  const pcm = new Int16Array(coded.length);
  PCMU.decode(coded, pcm);
  return pcm;
}

import { readFile } from 'node:fs/promises';
import { PCMU } from '../../audio/g711.ts';
import { GatewayError } from '../../base/errors.ts';

/** Everything the embedded agent can say. The texts are in prompts/texts.json, rendered by scripts/render-prompts.mjs. */
export const PROMPT_NAMES = ['hello', 'menu', 'parrot', 'echo', 'goodbye'] as const;
export type PromptName = (typeof PROMPT_NAMES)[number];

/** PCM of each prompt at 24 kHz, shared by all calls: never written to. */
export type Prompts = Readonly<Record<PromptName, Int16Array>>;

/** Next to src/ and dist/ alike. */
const DIRECTORY = new URL('../../../prompts/', import.meta.url);

/**
 * Reads the prompts: µ-law code like on a telephone line, but at 24 kHz, so that a browser hears them in full.
 * @throws GatewayError ERR_CONFIG when a file of the installation is missing
 */
export async function loadPrompts(directory: URL = DIRECTORY): Promise<Prompts> {
  const entries = await Promise.all(PROMPT_NAMES.map(async (name) => [name, await loadPrompt(new URL(`${name}.ul`, directory))] as const));
  return Object.fromEntries(entries) as Record<PromptName, Int16Array>;
}

async function loadPrompt(file: URL): Promise<Int16Array> {
  const coded = await readFile(file).catch((cause: unknown) => {
    throw new GatewayError('ERR_CONFIG', `a prompt of the embedded agent cannot be read: ${file.pathname}`, { cause });
  });
  const pcm = new Int16Array(coded.length);
  PCMU.decode(coded, pcm);
  return pcm;
}

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadPrompts, PROMPT_NAMES } from '../../../src/realtime/embedded/prompts.ts';
import { rms, soundOnset } from '../../support/tones.ts';

const DIRECTORY = new URL('../../../prompts/', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, DIRECTORY));
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

interface Rendered {
  text: string;
  audio: string;
  durationMs: number;
}

const { voice, wordsPerMinute, rateHz, narrowRateHz, narrow, prompts } = JSON.parse(read('texts.json').toString()) as {
  voice: string;
  wordsPerMinute: number;
  rateHz: number;
  narrowRateHz: number;
  narrow: string[];
  prompts: Record<(typeof PROMPT_NAMES)[number], string>;
};
const rendered = JSON.parse(read('rendered.json').toString()) as Record<string, Rendered>;

describe('the prompts', () => {
  it.each([...PROMPT_NAMES])('%s is rendered from the text that is there, and unchanged', (name) => {
    const text = prompts[name];
    const rate = narrow.includes(name) ? narrowRateHz : rateHz;
    expect(rendered[name]?.text, 'run node scripts/render-prompts.mjs').toBe(sha256(JSON.stringify([voice, wordsPerMinute, rate, text])));
    expect(rendered[name]?.audio).toBe(sha256(read(`${name}.ul`)));
  });

  it('are all used, and nothing else is shipped', () => {
    const files = readdirSync(DIRECTORY).filter((file) => file.endsWith('.ul'));
    expect(files.sort()).toEqual(PROMPT_NAMES.map((name) => `${name}.ul`).sort());
    expect(Object.keys(prompts).sort()).toEqual([...PROMPT_NAMES].sort());
  });

  it('are small', () => {
    const sizeBytes = PROMPT_NAMES.reduce((sum, name) => sum + read(`${name}.ul`).length, 0);
    expect(sizeBytes).toBeLessThanOrEqual(600_000);
  });

  it('can be heard from the first packet on, and are as loud as a voice', async () => {
    const loaded = await loadPrompts();
    for (const name of PROMPT_NAMES) {
      expect(soundOnset(loaded[name], { rateHz: 24_000 }), name).toBeLessThan(20);
      expect(20 * Math.log10(rms(loaded[name]) / 32_768), name).toBeGreaterThan(-26);
      expect(20 * Math.log10(rms(loaded[name]) / 32_768), name).toBeLessThan(-16);
    }
  });

  it('say plainly that the agent does not understand speech', () => {
    expect(prompts.hello).toMatch(/not understand speech/);
  });

  it('name the file that is missing', async () => {
    await expect(loadPrompts(new URL('nowhere/', DIRECTORY))).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('nowhere/'),
    });
  });
});

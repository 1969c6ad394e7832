import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadCallSounds } from '../../../src/realtime/tools/call-sounds.ts';
import { rms } from '../../support/tones.ts';

const SOUNDS = new URL('../../../sounds/', import.meta.url);

interface Script {
  hold(): Uint8Array;
  tone(): Uint8Array;
  typing(): Uint8Array;
}

describe('the sounds', () => {
  test.each(['hold', 'tone', 'typing'] as const)('%s.ul is what scripts/render-sounds.mjs makes', async (name) => {
    const script = (await import('../../../scripts/render-sounds.mjs' as string)) as Script;
    const [shipped, made] = [readFileSync(new URL(`${name}.ul`, SOUNDS)), script[name]()];
    expect(shipped.length).toBe(made.length);
    // Another version of Node may round a sine in another way.
    expect(shipped.filter((byte, at) => byte !== made[at]).length).toBeLessThan(shipped.length / 100);
  });

  test('are all there is, and small', () => {
    const files = readdirSync(SOUNDS);
    expect(files.sort()).toEqual(['hold.ul', 'tone.ul', 'typing.ul']);
    expect(files.reduce((sum, file) => sum + readFileSync(new URL(file, SOUNDS)).length, 0)).toBeLessThanOrEqual(200_000);
  });

  test('are soft, and loop without a click', async () => {
    const { music, tone, typing, phrase } = await loadCallSounds();
    for (const pcm of [music, tone, typing]) {
      expect(pcm.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)).toBeLessThan(9000);
      expect(Math.abs((pcm[0] ?? 0) - (pcm.at(-1) ?? 0))).toBeLessThan(1200);
    }
    expect(rms(music)).toBeGreaterThan(500);
    expect(music.length).toBe(16 * 24_000);
    expect(phrase.length).toBeGreaterThan(24_000 / 3);
  });
});

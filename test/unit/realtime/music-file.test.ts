import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadMusic } from '../../../src/realtime/music-file.ts';
import { writeWav } from '../../../src/realtime/pipeline/wav.ts';
import { encodeG711 } from '../../support/g711.ts';
import { removeFolder, tempFolder } from '../../support/temp-folder.ts';
import { findTone, tone } from '../../support/tones.ts';

const folder = tempFolder('music');
afterAll(() => removeFolder(folder));

function file(name: string, content: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('music on hold', () => {
  test.each([8000, 16_000, 44_100, 48_000])('is read from WAV at %i Hz', async (rateHz) => {
    const music = await loadMusic(file(`${rateHz}.wav`, writeWav(tone(440, 2000, { rateHz }), rateHz)));
    expect(music).toHaveLength(48_000);
    expect(findTone(music, 440, { rateHz: 24_000 }).share).toBeGreaterThan(0.95);
  });

  test('is read from µ-law', async () => {
    const music = await loadMusic(file('loop.ul', encodeG711('PCMU', tone(440, 1500))));
    expect(music).toHaveLength(36_000);
    expect(findTone(music, 440, { rateHz: 24_000 }).share).toBeGreaterThan(0.95);
  });

  test('that cannot be played is refused by name', async () => {
    await expect(loadMusic(join(folder, 'none.wav'))).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('none.wav'),
    });
    await expect(loadMusic(file('text.wav', Buffer.from('this is no sound at all')))).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    await expect(loadMusic(file('cut.wav', Buffer.from('RIFF')))).rejects.toMatchObject({
      message: expect.stringContaining('no whole WAV'),
    });
    await expect(loadMusic(file('short.ul', Buffer.alloc(100)))).rejects.toMatchObject({ message: expect.stringContaining('lasts 0.0 s') });
  });
});

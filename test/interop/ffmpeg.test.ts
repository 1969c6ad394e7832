import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { G722Decoder, G722Encoder } from '../../src/audio/g722.ts';
import { describePeer, requiredPeer } from '../support/peers.ts';
import { seededRandom } from '../support/random.ts';
import { speech } from '../support/speech.ts';

const RATE_HZ = 16_000;
const PCM = ['-f', 's16le', '-ar', `${RATE_HZ}`, '-ac', '1'];
const CODED = ['-f', 'g722', '-c:a', 'g722'];

function convert(input: Uint8Array, from: readonly string[], to: readonly string[]): Buffer {
  return execFileSync(requiredPeer('ffmpeg'), ['-v', 'error', ...from, '-i', 'pipe:0', ...to, 'pipe:1'], {
    input,
    maxBuffer: 64 * 1024 * 1024,
  });
}

function bytesOf(pcm: Int16Array): Buffer {
  return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
}

describePeer('ffmpeg', 'G.722 of FFmpeg', () => {
  const random = seededRandom(16);
  const inputs: readonly (readonly [string, Int16Array])[] = [
    ['speech', speech(10_000, { rateHz: RATE_HZ })],
    ['loud speech', speech(5000, { rateHz: RATE_HZ, peak: 32_767, seed: 9 })],
    ['noise of full scale', Int16Array.from({ length: 5 * RATE_HZ }, () => Math.floor(65_536 * random()) - 32_768)],
  ];

  it.each(inputs)('has the same bits for %s, and hears the same in them', (_, pcm) => {
    const coded = new Uint8Array(pcm.length / 2);
    new G722Encoder().encode(pcm, coded);
    expect(convert(bytesOf(pcm), PCM, CODED).equals(coded)).toBe(true);
    const decoded = new Int16Array(pcm.length);
    new G722Decoder().decode(coded, decoded);
    expect(convert(coded, ['-f', 'g722'], PCM).equals(bytesOf(decoded))).toBe(true);
  });

  it('hears the same in bytes that no encoder made', () => {
    const bytes = Uint8Array.from({ length: 80_000 }, () => Math.floor(256 * random()));
    const decoded = new Int16Array(2 * bytes.length);
    new G722Decoder().decode(bytes, decoded);
    expect(convert(bytes, ['-f', 'g722'], PCM).equals(bytesOf(decoded))).toBe(true);
  });
});

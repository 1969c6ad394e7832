import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NetworkPool } from '../../../src/audio/network-pool.ts';
import { Rnnoise, type VoiceProbability } from '../../../src/audio/rnnoise.ts';
import { seededRandom } from '../../support/random.ts';
import { speech } from '../../support/speech.ts';

const random = seededRandom(5);
const hiss = Int16Array.from({ length: 480 * 100 }, () => Math.round((random() - 0.5) * 1000));

function heard(ear: VoiceProbability, pcm: Int16Array): number[] {
  return Array.from({ length: Math.floor(pcm.length / 480) }, (_, n) => ear.process(pcm.subarray(n * 480, (n + 1) * 480)) ?? -1);
}

const share = (list: readonly number[]): number => list.filter((p) => p > 0.6).length / list.length;

/** As many as a pool gives. */
function takeAll(pool: NetworkPool): VoiceProbability[] {
  const taken: VoiceProbability[] = [];
  for (let one = pool.open(); one; one = pool.open()) taken.push(one);
  return taken;
}

describe('the network for callers in noise', () => {
  it('takes a voice for one, and hiss for none', async () => {
    const network = await Rnnoise.load();
    const ear = network.open() as VoiceProbability;
    expect(share(heard(ear, hiss).slice(25))).toBe(0);
    const voice = speech(2000, { rateHz: 24_000 }).map((sample, n) => sample / 4 + (hiss[n % hiss.length] ?? 0));
    expect(share(heard(ear, voice))).toBeGreaterThan(0.8);
    ear.free();
  });

  it('hears nothing in frames of another length, and nothing once it is freed', async () => {
    const ear = (await Rnnoise.load()).open() as VoiceProbability;
    expect(ear.process(new Int16Array(160))).toBe(0);
    ear.free();
    ear.free();
    expect(ear.process(new Int16Array(480))).toBe(0);
  });

  it('uses no more memory after thousands of callers, and says no instead of growing without end', async () => {
    const network = await Rnnoise.load();
    for (let n = 0; n < 2000; n++) network.open()?.free();
    const many: VoiceProbability[] = [];
    for (let n = 0; n < 5000; n++) {
      const one = network.open();
      if (!one) break;
      many.push(one);
    }
    expect(many.length).toBeLessThan(5000);
    for (const one of many) one.free();
    expect(network.open()).toBeDefined();
  });

  it('refuses a file that is another one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rnnoise-'));
    const file = join(folder, 'other.wasm');
    writeFileSync(file, Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
    await expect(Rnnoise.load(file)).rejects.toThrow('not the module of RNNoise');
    rmSync(folder, { recursive: true });
  });
});

describe('the pool of networks', () => {
  it('loads with the first that is wanted, and gives eight at a time', async () => {
    const pool = new NetworkPool();
    expect(pool.open()).toBeUndefined();
    await expect.poll(() => pool.open() !== undefined).toBe(true);
    const rest = takeAll(pool);
    expect([rest.length, pool.inUse]).toEqual([7, 8]);
    rest[0]?.free();
    rest[0]?.free();
    expect(pool.inUse).toBe(7);
    expect(pool.open()).toBeDefined();
  });

  it('gives none while audio leaves late', async () => {
    let late = true;
    const pool = new NetworkPool({ isLate: () => late });
    await pool.load();
    expect(pool.open()).toBeUndefined();
    late = false;
    expect(pool.open()).toBeDefined();
  });

  it('does without where it is missing, and says so once', async () => {
    const faults: unknown[] = [];
    const pool = new NetworkPool({ load: () => Rnnoise.load('/nowhere/rnnoise.wasm'), onFailed: (thrown) => faults.push(thrown) });
    expect(pool.open()).toBeUndefined();
    await expect.poll(() => faults.length).toBe(1);
    expect(pool.open()).toBeUndefined();
    await pool.load();
    expect(faults).toHaveLength(1);
  });

  it('does without from the moment on in which it traps', async () => {
    const faults: unknown[] = [];
    const broken = {
      open: () => ({
        process: () => {
          throw new Error('unreachable');
        },
        free: () => {},
      }),
    } as unknown as Rnnoise;
    const pool = new NetworkPool({ load: async () => broken, onFailed: (thrown) => faults.push(thrown) });
    await pool.load();
    const [one, other] = [pool.open(), pool.open()];
    expect([one?.process(hiss.subarray(0, 480)), other?.process(hiss.subarray(0, 480)), pool.open()]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(faults).toHaveLength(1);
    one?.free();
    other?.free();
    expect(pool.inUse).toBe(0);
  });
});

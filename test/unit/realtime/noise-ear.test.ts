import { describe, expect, it } from 'vitest';
import { NoiseEar } from '../../../src/realtime/noise-ear.ts';

const PCM = new Int16Array(480);

/** A caller of -24 dBov over noise, and what the network says of it. */
class Bench {
  probability = 0;
  opened = 0;
  freed = 0;
  refuses = false;
  broken = false;
  readonly ear = new NoiseEar(() => {
    this.opened += 1;
    if (this.refuses) return undefined;
    const free = (): void => {
      this.freed += 1;
    };
    return { process: () => (this.broken ? undefined : this.probability), free };
  });

  /** How many frames were voiced. */
  run(ms: number, plain: { voiced: boolean; levelDb: number; floorDb: number }, probability: number): number {
    this.probability = probability;
    let voiced = 0;
    for (let at = 0; at < ms; at += 20) if (this.ear.hear(PCM, plain)) voiced += 1;
    return voiced;
  }

  talk(ms: number, floorDb: number, probability = 0.95): number {
    return this.run(ms, { voiced: true, levelDb: -24, floorDb }, probability);
  }

  /** Noise that the first detector takes for a voice. */
  noise(ms: number, floorDb: number, probability = 0.05): number {
    return this.run(ms, { voiced: true, levelDb: floorDb + 8, floorDb }, probability);
  }
}

describe('which detector hears a caller', () => {
  it('is the first one on a quiet line, which costs nothing', () => {
    const bench = new Bench();
    for (let n = 0; n < 10; n++) {
      bench.talk(3000, -60);
      bench.run(3000, { voiced: false, levelDb: -60, floorDb: -60 }, 0);
    }
    expect([bench.opened, bench.ear.isNetwork]).toEqual([0, false]);
  });

  it('is the network in noise, once it has called the noise silence', () => {
    const bench = new Bench();
    bench.talk(1000, -42);
    expect([bench.opened, bench.ear.isNetwork]).toEqual([1, false]);
    expect(bench.talk(1000, -42, 0.1)).toBe(50 - 11);
    expect(bench.ear.isNetwork).toBe(true);
    expect([bench.talk(1000, -42), bench.noise(1000, -42)]).toEqual([50, 0]);
  });

  it('is the first one among other voices, which the network all hears; it is tried again half a minute later', () => {
    const bench = new Bench();
    bench.talk(1000, -42);
    expect(bench.noise(7000, -42, 0.9)).toBe(350);
    expect([bench.opened, bench.freed, bench.ear.isNetwork]).toEqual([1, 1, false]);
    bench.noise(20_000, -42, 0.9);
    expect(bench.opened).toBe(1);
    bench.noise(12_000, -42, 0.9);
    expect(bench.opened).toBe(2);
  });

  it('does not change with every lorry: it takes a second of noise, and five of quiet', () => {
    const bench = new Bench();
    bench.talk(2000, -60);
    for (let n = 0; n < 5; n++) {
      bench.noise(400, -38);
      bench.talk(4000, -60);
    }
    expect(bench.opened).toBe(0);
    bench.noise(8000, -42);
    expect(bench.ear.isNetwork).toBe(true);
    bench.talk(4000, -60);
    expect(bench.ear.isNetwork).toBe(true);
    bench.talk(8000, -60);
    expect([bench.ear.isNetwork, bench.freed]).toEqual([false, 1]);
  });

  it('asks once a second where it is refused, and goes on without', () => {
    const bench = new Bench();
    bench.refuses = true;
    expect(bench.noise(11_000, -42)).toBe(550);
    expect(bench.opened).toBeLessThanOrEqual(6);
    bench.refuses = false;
    bench.noise(3000, -42);
    expect(bench.ear.isNetwork).toBe(true);
  });

  it('is the first one again when the network fails in the middle of a call', () => {
    const bench = new Bench();
    bench.noise(3000, -42);
    expect(bench.ear.isNetwork).toBe(true);
    bench.broken = true;
    expect(bench.noise(1000, -42)).toBe(50);
    expect([bench.ear.isNetwork, bench.freed]).toEqual([false, 1]);
    bench.ear.free();
    expect(bench.freed).toBe(1);
  });
});

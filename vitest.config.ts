import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

const node = { environment: 'node' as const, pool: 'forks' as const, globalSetup: ['test/support/build.ts'] };
// Real sockets and real time: these tests mostly wait, so three files share two cores; floods run alone.
const realTime = {
  ...node,
  maxWorkers: 3,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  setupFiles: ['test/support/setup.ts'],
};

/** Attacks that need the whole machine: they send as fast as they can, or take figures of a gateway that is under such a flood. */
const FLOODS = ['garbage', 'handshake', 'relay', 'relay-tcp', 'rtp', 'sip-edge', 'sip-garbage', 'sip-tcp'].map(
  (name) => `test/attack/${name}.test.ts`,
);

export default defineConfig({
  test: {
    reporters: ['default'],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          ...node,
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts'],
          maxWorkers: 2,
          // Loading what is tested takes longer than testing it: files share a process, so none replaces a module (no vi.mock), and spies are undone.
          isolate: false,
          restoreMocks: true,
          unstubEnvs: true,
          testTimeout: 30_000,
        },
      },
      { test: { ...realTime, name: 'live', include: ['test/live/**/*.test.ts'], sequence: { groupOrder: 1 } } },
      { test: { ...realTime, name: 'scenario', include: ['test/scenario/**/*.test.ts'], sequence: { groupOrder: 1 } } },
      { test: { ...realTime, name: 'interop', include: ['test/interop/**/*.test.ts'], testTimeout: 120_000, sequence: { groupOrder: 1 } } },
      { test: { ...realTime, name: 'attack', include: ['test/attack/**/*.test.ts'], exclude: FLOODS, sequence: { groupOrder: 1 } } },
      { test: { ...realTime, name: 'flood', include: FLOODS, fileParallelism: false, sequence: { groupOrder: 2 } } },
    ],
  },
});

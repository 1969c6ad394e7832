import { defineConfig } from 'vitest/config';

const node = { environment: 'node' as const, pool: 'forks' as const };
// Real sockets and real time: these tests mostly wait, so two files share the machine; floods run alone.
const live = { ...node, maxWorkers: 2, testTimeout: 60_000, hookTimeout: 60_000, setupFiles: ['test/support/setup.ts'] };

export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      { test: { ...node, name: 'unit', include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts'], testTimeout: 30_000 } },
      { test: { ...live, name: 'scenario', include: ['test/scenario/**/*.test.ts'], sequence: { groupOrder: 1 } } },
      { test: { ...live, name: 'interop', include: ['test/interop/**/*.test.ts'], testTimeout: 120_000, sequence: { groupOrder: 1 } } },
      { test: { ...live, name: 'attack', include: ['test/attack/**/*.test.ts'], fileParallelism: false, sequence: { groupOrder: 2 } } },
    ],
  },
});

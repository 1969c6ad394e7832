import { defineConfig } from 'vitest/config';

const node = { environment: 'node' as const, pool: 'forks' as const };
// Real sockets and real time: one file at a time, so that a busy neighbour never looks like a slow gateway.
const alone = { ...node, fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000, setupFiles: ['test/support/setup.ts'] };

export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      { test: { ...node, name: 'unit', include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts'], testTimeout: 30_000 } },
      { test: { ...alone, name: 'scenario', include: ['test/scenario/**/*.test.ts'], sequence: { groupOrder: 1 } } },
      { test: { ...alone, name: 'attack', include: ['test/attack/**/*.test.ts'], sequence: { groupOrder: 2 } } },
      { test: { ...alone, name: 'interop', include: ['test/interop/**/*.test.ts'], testTimeout: 120_000, sequence: { groupOrder: 3 } } },
    ],
  },
});

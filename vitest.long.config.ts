import { defineConfig } from 'vitest/config';

/** What takes minutes to hours: soaks, long fuzzing, many kills. Each file writes a dated report into docs/long-runs/. */
export default defineConfig({
  test: {
    name: 'long',
    include: ['test/long/**/*.test.ts'],
    environment: 'node',
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 3_600_000,
    hookTimeout: 120_000,
    setupFiles: ['test/support/setup.ts'],
  },
});

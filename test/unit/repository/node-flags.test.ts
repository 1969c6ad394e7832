import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const SMALL_YOUNG_GENERATION = '--max-semi-space-size=4';
const ONE_ARENA = 'MALLOC_ARENA_MAX=1';

function text(path: string): string {
  return readFileSync(path, 'utf8');
}

test('the gateway is started with the same flags of Node and the same setting of glibc by npm, in the image, in tests and in benchmarks', () => {
  const { scripts } = JSON.parse(text('package.json')) as { scripts: { start: string } };
  expect(scripts.start).toContain(` exec env ${ONE_ARENA} node `);
  const flags = / node (--.*) dist\/main\.js$/.exec(scripts.start)?.[1]?.split(' ') ?? [];
  expect(flags).toContain(SMALL_YOUNG_GENERATION);
  expect(text('Dockerfile')).toContain(`ENTRYPOINT ${JSON.stringify(['node', ...flags, 'dist/main.js']).replaceAll(',', ', ')}`);
  expect(text('Dockerfile')).toMatch(new RegExp(`^ENV .*${ONE_ARENA}`, 'm'));
  // The services of the compose file run the image as it is.
  const { services } = parse(text('docker-compose.yml'), { merge: true }) as { services: Record<string, Record<string, unknown>> };
  const ours = Object.values(services).filter(({ image }) => image === 'ringdown');
  expect(ours.length).toBeGreaterThan(0);
  for (const service of ours) expect([service['entrypoint'], service['command']]).toEqual([undefined, undefined]);
  expect(text('test/support/gateway-process.ts')).toContain(flags.map((flag) => `'${flag}'`).join(', '));
  // Taken from package.json by bench/built.mjs.
  expect(text('bench/gateway.mjs')).toMatch(/\.\.\.ENVIRONMENT[\s\S]*\.\.\.NODE_FLAGS/);
});

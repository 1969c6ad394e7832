import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const SMALL_YOUNG_GENERATION = '--max-semi-space-size=4';

function text(path: string): string {
  return readFileSync(path, 'utf8');
}

test('the gateway is started with the same flags of Node by npm, in the image, in tests and in benchmarks', () => {
  const { scripts } = JSON.parse(text('package.json')) as { scripts: { start: string } };
  const flags = / node (.*) dist\/main\.js$/.exec(scripts.start)?.[1]?.split(' ') ?? [];
  expect(flags).toContain(SMALL_YOUNG_GENERATION);
  expect(text('Dockerfile')).toContain(`ENTRYPOINT ${JSON.stringify(['node', ...flags, 'dist/main.js']).replaceAll(',', ', ')}`);
  // The services of the compose file run the image as it is.
  expect(text('docker-compose.yml')).not.toMatch(/^\s*(entrypoint|command):/m);
  expect(text('test/support/gateway-process.ts')).toContain(flags.map((flag) => `'${flag}'`).join(', '));
  // Taken from package.json by bench/built.mjs.
  expect(text('bench/gateway.mjs')).toContain('...NODE_FLAGS');
});

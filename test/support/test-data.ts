import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe } from 'vitest';

const { RINGDOWN_TEST_DATA: root } = process.env;

/** The folder of outside test data (torture messages, wire samples, tools), or undefined: it is not part of the product. */
export const testDataRoot: string | undefined = root && existsSync(root) ? resolve(root) : undefined;

/** Absolute path of a file of the outside test data. @throws Error when there is none: describeWithTestData guards */
export function testDataPath(...parts: string[]): string {
  if (!testDataRoot) throw new Error('RINGDOWN_TEST_DATA is not set to an existing folder');
  return join(testDataRoot, ...parts);
}

/** Loads a tool of the outside test data, e.g. `importTool<QualityTool>('quality.mjs')`. The caller says what it exports. */
export async function importTool<T>(name: string): Promise<T> {
  const url = pathToFileURL(testDataPath('tools', name)).href;
  return (await import(/* @vite-ignore */ url)) as T;
}

/** A describe block that reads outside test data; without it the block is skipped and says why. */
export function describeWithTestData(title: string, body: () => void): void {
  if (testDataRoot) describe(title, body);
  else describe.skip(`${title} [skipped: RINGDOWN_TEST_DATA is not set]`, body);
}

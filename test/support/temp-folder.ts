import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atProcessEnd } from './process-end.ts';

const made = new Set<string>();

atProcessEnd(() => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** A new folder that is gone when the test process ends, or earlier with removeFolder. */
export function tempFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `ringdown-${name}-`));
  made.add(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  if (made.delete(folder)) rmSync(folder, { recursive: true, force: true });
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Set<string>();

process.on('exit', () => {
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

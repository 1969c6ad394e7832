import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Before tests that start the gateway as users do: builds it where it is older than its sources. */
export function setup(): void {
  const prepare = fileURLToPath(new URL('../../scripts/prepare.mjs', import.meta.url));
  execFileSync(process.execPath, [prepare, '--build-only'], { stdio: 'inherit' });
}

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, test } from 'vitest';

/** Outside programs that the tests talk to, and the names they go by on PATH. */
const NAMES = {
  sipp: ['sipp'],
  linphonec: ['linphonec'],
  baresip: ['baresip'],
  chromium: ['chromium', 'chromium-browser', 'google-chrome'],
  openssl: ['openssl'],
  strace: ['strace'],
  'espeak-ng': ['espeak-ng'],
  ffmpeg: ['ffmpeg'],
  kamailio: ['kamailio'],
  svwar: ['svwar'],
  svcrack: ['svcrack'],
  sipsak: ['sipsak'],
} as const;

export type PeerName = keyof typeof NAMES;

const { PATH = '', REQUIRE_PEERS } = process.env;
const found = new Map<PeerName, string | undefined>();

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where the program is, or undefined. */
function peer(name: PeerName): string | undefined {
  if (!found.has(name)) {
    // Daemons are in a folder that is not on everybody's path.
    const folders = [...PATH.split(delimiter), '/usr/sbin'];
    const paths = NAMES[name].flatMap((program) => folders.map((folder) => join(folder, program)));
    found.set(name, paths.find(isExecutable));
  }
  return found.get(name);
}

/** Where the program is. @throws Error when it is not on this machine: describePeer keeps such tests from running */
export function requiredPeer(name: PeerName): string {
  const path = peer(name);
  if (!path) throw new Error(`${name} is not on this machine (npm run peers installs it)`);
  return path;
}

const named = new Set<PeerName>();

/**
 * A describe block that needs outside programs. Without them it is skipped and names them in one line; with
 * REQUIRE_PEERS=1 their absence is a failure.
 */
export function describePeer(needs: PeerName | readonly PeerName[], title: string, body: () => void): void {
  const missing = (typeof needs === 'string' ? [needs] : needs).filter((name) => !peer(name));
  if (missing.length === 0) {
    describe(title, body);
    return;
  }
  const line = `${missing.join(' and ')} not on this machine (npm run peers installs it)`;
  if (REQUIRE_PEERS === '1') {
    describe(title, () => {
      test(`needs ${missing.join(' and ')}`, () => {
        throw new Error(line);
      });
    });
    return;
  }
  for (const name of missing) {
    if (!named.has(name)) console.log(`skipped: ${name} is not on this machine (npm run peers installs it)`);
    named.add(name);
  }
  describe.skip(`${title} [skipped: ${line}]`, body);
}

import type { Credential } from './credential.ts';
import type { Faulty } from './identity-fault.ts';

/** Signers that call one gateway: a country has a few thousand, and each file of theirs some kB. */
const MOST_KEPT = 1000;

/** What an answer without a word about it is kept for, and the most (`trust` in what was once fetched ends with the day). */
const USUAL_S = 3600;
const MOST_S = 24 * 3600;
/** What cannot be had, or not be used: long enough that nobody makes us ask for it at each call, short enough for a repair. */
const FAULT_S = 30;

interface Entry {
  readonly found: Credential | Faulty;
  readonly until: number;
}

/** Certificates by their address. Times are monotonic milliseconds. */
export class CredentialCache {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  find(url: string, now: number): Credential | Faulty | undefined {
    const entry = this.#entries.get(url);
    if (!entry) return undefined;
    this.#entries.delete(url);
    if (entry.until <= now) return undefined;
    this.#entries.set(url, entry); // the least used one goes first
    return entry.found;
  }

  /** @param cacheControl of the answer */
  keep(url: string, found: Credential | Faulty, cacheControl: string | undefined, now: number): void {
    const seconds = 'fault' in found ? FAULT_S : keptSeconds(cacheControl);
    this.#entries.delete(url);
    if (seconds === 0) return;
    this.#entries.set(url, { found, until: now + seconds * 1000 });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MOST_KEPT) return;
      this.#entries.delete(oldest);
    }
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** RFC 9111 §5.2.2, as far as it is about us. */
function keptSeconds(cacheControl: string | undefined): number {
  const directives = (cacheControl ?? '').toLowerCase().split(',', 32);
  const words = new Map(directives.map((each) => each.trim().split('=', 2) as [string, string | undefined]));
  if (words.has('no-store') || words.has('no-cache')) return 0;
  const age = /^"?(\d{1,9})"?$/.exec(words.get('max-age') ?? '')?.[1];
  return age === undefined ? USUAL_S : Math.min(MOST_S, Number(age));
}

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeFolder, tempFolder } from './temp-folder.ts';

/** A look-up of a name, or an address beyond loopback that was sent or connected to. */
export interface OutsideContact {
  readonly kind: 'dns' | 'udp' | 'tcp';
  readonly target: string;
  readonly stack: string;
}

const HOOKS = fileURLToPath(new URL('egress-hooks.cjs', import.meta.url));

/**
 * Watches child processes (Node programs) for any contact with the outside: start them with `env`, and ask `contacts`
 * afterwards. Several processes may share one watch.
 */
export class EgressWatch {
  readonly #folder = tempFolder('egress');
  readonly #file = join(this.#folder, 'contacts.jsonl');

  /** Environment for the child. */
  get env(): Readonly<Record<string, string>> {
    const { NODE_OPTIONS: inherited = '' } = process.env;
    return { NODE_OPTIONS: `${inherited} --require ${JSON.stringify(HOOKS)}`.trim(), EGRESS_WATCH_FILE: this.#file };
  }

  /** All contacts so far; none is what a test wants. */
  contacts(): readonly OutsideContact[] {
    if (!existsSync(this.#file)) return [];
    return readFileSync(this.#file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as OutsideContact);
  }

  close(): void {
    removeFolder(this.#folder);
  }
}

/** The same for this process, from now until `stop`. */
export function watchEgressHere(): { readonly contacts: readonly OutsideContact[]; stop(): void } {
  const { install } = createRequire(import.meta.url)(HOOKS) as { install(report: (contact: OutsideContact) => void): () => void };
  const contacts: OutsideContact[] = [];
  return { contacts, stop: install((contact) => contacts.push(contact)) };
}

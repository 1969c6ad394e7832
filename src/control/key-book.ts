import { createHash, timingSafeEqual } from 'node:crypto';

/** Keys of the API by the projects they belong to. Only their digests are kept. */
export interface ProjectKeys {
  readonly name: string;
  /** SHA-256 of each key, in hexadecimal. */
  readonly keyDigests: readonly string[];
}

/** What is served without any configuration. */
const DEFAULT_PROJECT = 'default';

export class KeyBook {
  readonly #keys: readonly { readonly project: string; readonly digest: Buffer }[];
  /** Whose a request without a key is, and a call that no route gives to anybody. */
  readonly defaultProject: string;

  constructor(projects: readonly ProjectKeys[]) {
    this.#keys = projects.flatMap(({ name, keyDigests }) => keyDigests.map((hex) => ({ project: name, digest: Buffer.from(hex, 'hex') })));
    const names = projects.map(({ name }) => name);
    this.defaultProject = names.includes(DEFAULT_PROJECT) ? DEFAULT_PROJECT : (names[0] ?? DEFAULT_PROJECT);
  }

  /** Is there no key, so that only this machine is trusted? */
  get isEmpty(): boolean {
    return this.#keys.length === 0;
  }

  /** The project of a key. Takes as long for a wrong one as for a right one: digests are compared, and all of them. */
  projectOf(key: string): string | undefined {
    const digest = createHash('sha256').update(key).digest();
    let found: string | undefined;
    for (const each of this.#keys) if (timingSafeEqual(digest, each.digest)) found ??= each.project;
    return found;
  }
}

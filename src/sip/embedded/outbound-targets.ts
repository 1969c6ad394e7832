import type { Trunk } from '../trunk.ts';
import { type Destination, isAllowed, readDestination } from '../trunk-destination.ts';
import type { HeaderFields } from './header-fields.ts';
import { parseNameAddress } from './name-address.ts';

/** Redirections of one call, all together: honest ones take one or two. */
const MAX_TARGETS = 5;

/** Where one call has been sent and may still be sent (RFC 3261 §8.1.3.4). Nothing is tried twice, so two servers cannot play ball with it. */
export class OutboundTargets {
  readonly #trunk: Trunk;
  readonly #seen: Set<string>;
  readonly #waiting: Destination[] = [];

  constructor(trunk: Trunk, first: Destination) {
    this.#trunk = trunk;
    this.#seen = new Set([first.uri]);
  }

  /** Takes the Contacts of a 3xx, if this trunk may redirect: those that are among its destinations. */
  redirected(headers: HeaderFields): void {
    if (this.#trunk.redirects === 'refuse') return;
    for (const contact of headers.elements('contact') ?? []) {
      const uri = parseNameAddress(contact)?.uri;
      const target = uri === undefined ? undefined : readDestination(uri, this.#trunk);
      if (!target || 'fault' in target || !isAllowed(target, this.#trunk.destinations)) continue;
      if (this.#seen.has(target.uri) || this.#seen.size > MAX_TARGETS) continue;
      this.#seen.add(target.uri);
      this.#waiting.push(target);
    }
  }

  next(): Destination | undefined {
    return this.#waiting.shift();
  }
}

import { Resolver } from 'node:dns/promises';
import { type Endpoint, formatEndpoint } from '../base/addresses.ts';
import type { Answer, Question } from './name-location.ts';

/** Two tries of this are less than a round of NameWatch. */
const TRY_MS = 1500;
const TRIES = 2;

/** DNS has no such thing, and that is an answer. */
const ABSENT: readonly string[] = ['ENOTFOUND', 'ENODATA'];

/**
 * Asks DNS by c-ares, on sockets of the event loop: `dns.lookup` would wait in one of the four threads that files are read with, and twenty dead names
 * would stop call records and journals.
 */
export class DnsResolver {
  readonly #resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });

  /** @param servers those of the machine when absent */
  constructor(servers?: readonly Endpoint[]) {
    if (servers) this.#resolver.setServers(servers.map(formatEndpoint));
  }

  /** Never rejects. */
  async ask({ type, name }: Question): Promise<Answer> {
    try {
      return await this.#ask(type, name);
    } catch (error) {
      const { code = 'EUNKNOWN' } = error as NodeJS.ErrnoException;
      return ABSENT.includes(code) ? { type: 'none' } : { type: 'failed', why: `DNS: ${code}` };
    }
  }

  /** Ends what is under way. */
  stop(): void {
    this.#resolver.cancel();
  }

  async #ask(type: Question['type'], name: string): Promise<Answer> {
    switch (type) {
      case 'NAPTR':
        return { type, records: await this.#resolver.resolveNaptr(name) };
      case 'SRV': {
        const records = await this.#resolver.resolveSrv(name);
        return { type, records: records.map(({ priority, weight, port, name: target }) => ({ priority, weight, port, target })) };
      }
      case 'A':
        return addresses(type, await this.#resolver.resolve4(name, { ttl: true }));
      case 'AAAA':
        return addresses(type, await this.#resolver.resolve6(name, { ttl: true }));
    }
  }
}

function addresses(type: 'A' | 'AAAA', records: readonly { readonly address: string; readonly ttl: number }[]): Answer {
  return { type, records: records.map(({ address }) => address), ttlS: Math.min(...records.map(({ ttl }) => ttl)) };
}

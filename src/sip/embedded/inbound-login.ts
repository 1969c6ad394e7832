import { sourceOf } from '../../base/addresses.ts';
import type { Clock } from '../../base/clock.ts';
import { DigestServer } from '../digest/digest-server.ts';
import type { TrunkBook } from '../trunk-book.ts';
import type { Refused } from './admission.ts';
import { GuessBrake } from './guess-brake.ts';
import type { IncomingRequest } from './incoming-request.ts';

/** What a challenge or a refusal is to say. */
export interface LoginRefusal extends Refused {
  /** Somebody showed a wrong password: worth a record. A first challenge is none. */
  readonly guessed: boolean;
}

/** INVITEs of trunks that are to show who they are (RFC 3261 §22.2, RFC 8760 §2.6). */
export class InboundLogin {
  readonly #clock: Clock;
  readonly #book: TrunkBook;
  readonly #servers: ReadonlyMap<string, DigestServer>;
  readonly #brake = new GuessBrake();

  constructor(clock: Clock, book: TrunkBook) {
    this.#clock = clock;
    this.#book = book;
    this.#servers = new Map(
      book.trunks.flatMap(({ name, auth }) => {
        if (!auth) return [];
        const { realm, username, password, algorithms } = auth;
        const passwordOf = (user: string): string | undefined => (user === username ? password : undefined);
        return [[name, new DigestServer({ realm, passwordOf, ...(algorithms ? { algorithms } : {}) })] as const];
      }),
    );
  }

  /** Why this INVITE may not come in; undefined when it may: it is no trunk's, its trunk asks for nothing, or it has shown the password. */
  refuse({ message, method, source }: IncomingRequest): LoginRefusal | undefined {
    const trunk = this.#servers.size === 0 ? undefined : this.#book.ofSource(source.address);
    const server = trunk && this.#servers.get(trunk.name);
    if (!server) return undefined;
    const values = message.headers.all('authorization');
    const key = sourceOf(source.address);
    const now = this.#clock.now();
    const wallclock = this.#clock.wallclock();
    if (values.length > 0) {
      const waitS = this.#brake.waitS(key, now);
      if (waitS > 0) return { status: 503, reason: 'Too Many Guesses', headers: [['Retry-After', String(waitS)]], guessed: false };
    }
    const verdict = server.verify(wallclock, source.address, values, { method, uri: message.uri });
    if (verdict.type === 'ok') return undefined;
    if (verdict.guessed) this.#brake.guessed(key, now);
    const headers = server.challenges(wallclock, source.address, verdict.stale).map((value) => ['WWW-Authenticate', value] as const);
    return { status: 401, reason: 'Unauthorized', headers, guessed: verdict.guessed };
  }
}

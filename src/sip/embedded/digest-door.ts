import { sourceOf } from '../../base/addresses.ts';
import type { Clock } from '../../base/clock.ts';
import { DigestServer, type DigestServerOptions } from '../digest/digest-server.ts';
import type { Refused } from './admission.ts';
import type { GuessBrake } from './guess-brake.ts';
import type { IncomingRequest } from './incoming-request.ts';

/** What a challenge or a refusal is to say. */
export interface LoginRefusal extends Refused {
  /** Somebody showed a wrong password: worth a record. A first challenge is none. */
  readonly guessed: boolean;
  /** One was shown, and not looked at: too many were wrong before it. */
  readonly braked?: boolean;
}

/** Asks for passwords of one realm (RFC 3261 §22.2, RFC 8760 §2.6), and slows down who guesses them. Known and unknown names are answered alike. */
export class DigestDoor {
  readonly #clock: Clock;
  readonly #server: DigestServer;
  readonly #brake: GuessBrake;

  /** @param brake shared between doors, so that a guesser does not get a fresh start at each */
  constructor(clock: Clock, brake: GuessBrake, options: DigestServerOptions) {
    this.#clock = clock;
    this.#brake = brake;
    this.#server = new DigestServer(options);
  }

  /** Does the request show credentials for this realm? */
  isShown({ message }: IncomingRequest): boolean {
    return message.headers.all('authorization').some((value) => this.#server.isForUs(value));
  }

  /** Who has shown its password, or what is to be answered. */
  check({ message, method, source }: IncomingRequest): { readonly username: string } | LoginRefusal {
    const values = message.headers.all('authorization');
    const key = sourceOf(source.address);
    const now = this.#clock.now();
    const wallclock = this.#clock.wallclock();
    if (values.length > 0) {
      const waitS = this.#brake.waitS(key, now);
      if (waitS > 0)
        return { status: 503, reason: 'Too Many Guesses', headers: [['Retry-After', String(waitS)]], guessed: false, braked: true };
    }
    const verdict = this.#server.verify(wallclock, source.address, values, { method, uri: message.uri });
    if (verdict.type === 'ok') return { username: verdict.username };
    if (verdict.guessed) this.#brake.guessed(key, now);
    const headers = this.#server.challenges(wallclock, source.address, verdict.stale).map((value) => ['WWW-Authenticate', value] as const);
    return { status: 401, reason: 'Unauthorized', headers, guessed: verdict.guessed };
  }
}

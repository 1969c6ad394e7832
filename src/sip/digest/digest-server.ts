import { randomBytes, timingSafeEqual } from 'node:crypto';
import { encodeText } from '../embedded/text.ts';
import type { DigestRequest } from './digest-client.ts';
import { type DigestAlgorithm, digestAlgorithm, digestResponse } from './digest-hash.ts';
import { parseDigest } from './digest-parameters.ts';
import { Nonces } from './nonces.ts';

export interface DigestServerOptions {
  readonly realm: string;
  /** The password of a user, undefined for nobody. */
  readonly passwordOf?: (username: string) => string | undefined;
  /** In its place: H(username:realm:password) in hexadecimal (RFC 7616 §3.4.2). */
  readonly ha1Of?: (username: string, algorithm: 'SHA-256' | 'MD5') => string | undefined;
  /** What is offered and taken, in the order in which clients shall look; SHA-256 and MD5 when absent. */
  readonly algorithms?: readonly DigestAlgorithm[];
  /** HMAC key of the nonces; random when absent. */
  readonly secret?: Buffer;
  readonly nonceLifetimeMs?: number;
  readonly maxTracked?: number;
}

export type DigestVerdict =
  | { readonly type: 'ok'; readonly username: string }
  /** Challenge (again); `stale` when only the nonce was at fault, `guessed` when everything but the user or the password was right. */
  | { readonly type: 'challenge'; readonly stale: boolean; readonly guessed: boolean };

/** Long enough for a call to be set up and a registration to be refreshed, short enough that what is overheard is soon worth nothing. */
const NONCE_LIFETIME_MS = 300_000;

/** Users that authenticate within a nonce's life, each some 100 bytes. */
const MAX_TRACKED = 10_000;

/** RFC 8760 §2.3. */
const ASKED: readonly DigestAlgorithm[] = ['SHA-256', 'MD5'];

/** Protection `auth` always: without a count anybody could send the same credentials again. */
export class DigestServer {
  readonly #options: DigestServerOptions;
  readonly #nonces: Nonces;
  /** As it stands on the wire. */
  readonly #realm: string;
  readonly #asked: readonly DigestAlgorithm[];
  /** Hashed for users there are not, so that the time tells nothing. */
  readonly #nobody = randomBytes(32).toString('hex');

  constructor(options: DigestServerOptions) {
    this.#options = options;
    this.#asked = options.algorithms ?? ASKED;
    this.#realm = encodeText(options.realm).replaceAll(/["\\]/g, '');
    this.#nonces = new Nonces({
      secret: options.secret ?? randomBytes(32),
      lifetimeMs: options.nonceLifetimeMs ?? NONCE_LIFETIME_MS,
      maxTracked: options.maxTracked ?? MAX_TRACKED,
    });
  }

  /**
   * Values of WWW-Authenticate or Proxy-Authenticate, one header line each.
   * @param wallclock Unix milliseconds
   * @param peer source address of the request: a nonce is worth nothing from elsewhere
   */
  challenges(wallclock: number, peer: string, stale: boolean): string[] {
    const nonce = this.#nonces.issue(wallclock, peer);
    return this.#asked.map(
      (algorithm) => `Digest realm="${this.#realm}", nonce="${nonce}", algorithm=${algorithm}, qop="auth"${stale ? ', stale=true' : ''}`,
    );
  }

  /** Is this value of (Proxy-)Authorization for our realm? */
  isForUs(value: string): boolean {
    return parseDigest(value)?.get('realm') === this.#realm;
  }

  /** @param values of (Proxy-)Authorization; those of other realms are not for us (RFC 3261 §22.3) */
  verify(wallclock: number, peer: string, values: readonly string[], request: DigestRequest): DigestVerdict {
    let stale = false;
    let guessed = false;
    for (const value of values) {
      const verdict = this.#verifyOne(wallclock, peer, value, request);
      if (verdict.type === 'ok') return verdict;
      stale ||= verdict.stale;
      guessed ||= verdict.guessed;
    }
    return { type: 'challenge', stale, guessed };
  }

  #verifyOne(wallclock: number, peer: string, value: string, { method, uri }: DigestRequest): DigestVerdict {
    const given = parseDigest(value);
    const realm = this.#realm;
    const algorithm = digestAlgorithm(given?.get('algorithm'));
    const username = given?.get('username');
    const nonce = given?.get('nonce');
    const cnonce = given?.get('cnonce');
    const nc = given?.get('nc') ?? '';
    const response = given?.get('response')?.toLowerCase() ?? '';
    if (given?.get('realm') !== realm || username === undefined || !nonce || !cnonce) return REFUSED;
    if (!algorithm || !this.#asked.includes(algorithm) || given.get('qop')?.toLowerCase() !== 'auth') return REFUSED;
    if (!/^[0-9a-f]{8}$/i.test(nc) || given.get('uri') !== uri) return REFUSED;
    const count = Number.parseInt(nc, 16);
    const age = this.#nonces.check(wallclock, peer, nonce, count);
    if (age === 'foreign') return REFUSED;
    const name = Buffer.from(username.replaceAll(/\\(.)/g, '$1'), 'latin1').toString('utf8');
    const { passwordOf, ha1Of } = this.#options;
    const password = passwordOf?.(name);
    const ha1 = ha1Of?.(name, algorithm.startsWith('SHA-256') ? 'SHA-256' : 'MD5');
    const expected = digestResponse({
      algorithm,
      username,
      realm,
      password: encodeText(password ?? this.#nobody),
      ha1: ha1 ?? (ha1Of ? this.#nobody : undefined),
      method,
      uri,
      nonce,
      auth: { cnonce, nc },
    });
    if (!sameText(expected, response) || (password === undefined && ha1 === undefined)) return GUESSED;
    if (age === 'stale') return STALE;
    this.#nonces.use(peer, nonce, count);
    return { type: 'ok', username: name };
  }
}

const REFUSED: DigestVerdict = { type: 'challenge', stale: false, guessed: false };
const GUESSED: DigestVerdict = { type: 'challenge', stale: false, guessed: true };
const STALE: DigestVerdict = { type: 'challenge', stale: true, guessed: false };

function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

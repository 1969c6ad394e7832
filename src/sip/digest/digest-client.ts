import { randomText } from '../../base/ids.ts';
import { encodeText } from '../embedded/text.ts';
import { DIGEST_ALGORITHMS, type DigestAlgorithm, digestAlgorithm, digestResponse, nonceCount } from './digest-hash.ts';
import { parseDigest } from './digest-parameters.ts';

export interface DigestCredentials {
  readonly username: string;
  readonly password: string;
  /** Answer challenges of this realm only. */
  readonly realm?: string;
}

/** A challenge that can be answered. */
export interface DigestChallenge {
  readonly algorithm: DigestAlgorithm;
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  /** Is protection `auth` offered? */
  readonly auth: boolean;
  /** The nonce was too old, the password is right. */
  readonly stale: boolean;
}

export interface DigestRequest {
  readonly method: string;
  /** Request-URI as it stands in the request. */
  readonly uri: string;
}

/** Reads one WWW- or Proxy-Authenticate value. Undefined when it asks for something that is not spoken here. */
export function parseChallenge(value: string): DigestChallenge | undefined {
  const parameters = parseDigest(value);
  const realm = parameters?.get('realm');
  const nonce = parameters?.get('nonce');
  const algorithm = digestAlgorithm(parameters?.get('algorithm'));
  if (realm === undefined || !nonce || !algorithm) return undefined;
  const qop = parameters?.get('qop');
  const auth = qop?.split(',').some((each) => each.trim().toLowerCase() === 'auth') ?? false;
  if (qop !== undefined && !auth) return undefined; // auth-int alone: nobody in SIP means it
  if (algorithm.endsWith('-sess') && !auth) return undefined; // a session key needs a cnonce
  return { algorithm, realm, nonce, opaque: parameters?.get('opaque'), auth, stale: parameters?.get('stale')?.toLowerCase() === 'true' };
}

/** A proxy on the way and the agent at its end may each want to know us; more are no path but a loop. */
const MAX_REALMS = 2;

interface Known {
  challenge: DigestChallenge;
  uses: number;
  /** Has a new nonce been taken because the old one was stale? */
  renewed: boolean;
}

/**
 * Answers the challenges of one trunk for one call (RFC 3261 §22.2, RFC 8760 §2.4). Its owner sees to it that what comes out is sent to that trunk's
 * peer and to nobody else, whatever realm was named. Each realm is answered once, and once more when its nonce has become
 * stale: a second challenge means that the password is wrong, and asking again would only help who guesses.
 */
export class DigestClient {
  readonly #credentials: DigestCredentials;
  readonly #makeCnonce: () => string;
  readonly #known = new Map<string, Known>();

  constructor(credentials: DigestCredentials, makeCnonce = () => randomText(16)) {
    this.#credentials = credentials;
    this.#makeCnonce = makeCnonce;
  }

  /**
   * Takes the challenges of one 401 or 407, of which the strongest that is known counts.
   * @returns whether it makes sense to send the request again
   */
  challenged(values: readonly string[]): boolean {
    const wanted = this.#credentials.realm;
    const [best] = values
      .map(parseChallenge)
      .filter((each): each is DigestChallenge => each !== undefined && (wanted === undefined || each.realm === encodeText(wanted)))
      .sort((a, b) => DIGEST_ALGORITHMS.indexOf(a.algorithm) - DIGEST_ALGORITHMS.indexOf(b.algorithm));
    if (!best) return false;
    const known = this.#known.get(best.realm);
    if (!known) {
      if (this.#known.size >= MAX_REALMS) return false;
      this.#known.set(best.realm, { challenge: best, uses: 0, renewed: false });
      return true;
    }
    if (known.challenge.nonce === best.nonce) return false;
    // A nonce that served a request well may have aged meanwhile, whether its owner says so or not.
    if (known.renewed || !(best.stale || known.uses > 1)) return false;
    this.#known.set(best.realm, { challenge: best, uses: 0, renewed: true });
    return true;
  }

  /** A request was accepted: the next time a nonce is stale it may be renewed again. */
  accepted(): void {
    for (const known of this.#known.values()) known.renewed = false;
  }

  /** Values of (Proxy-)Authorization for a request, one for each realm that has asked; each counts as a use of its nonce. */
  authorize(request: DigestRequest): string[] {
    return [...this.#known.values()].map((known) => {
      known.uses += 1;
      return this.#write(known, request);
    });
  }

  #write({ challenge, uses }: Known, { method, uri }: DigestRequest): string {
    const { algorithm, realm, nonce, opaque } = challenge;
    // Hashed as it is written: the other end sees nothing else.
    const username = encodeText(this.#credentials.username).replaceAll(/["\\]/g, '\\$&');
    const auth = challenge.auth ? { cnonce: this.#makeCnonce(), nc: nonceCount(uses) } : undefined;
    const password = encodeText(this.#credentials.password);
    const response = digestResponse({ algorithm, username, realm, password, method, uri, nonce, ...(auth ? { auth } : {}) });
    const parts = [
      `username="${username}"`,
      `realm="${realm}"`,
      `nonce="${nonce}"`,
      `uri="${uri}"`,
      `response="${response}"`,
      `algorithm=${algorithm}`,
      ...(auth ? [`cnonce="${auth.cnonce}"`, 'qop=auth', `nc=${auth.nc}`] : []),
      ...(opaque === undefined ? [] : [`opaque="${opaque}"`]),
    ];
    return `Digest ${parts.join(', ')}`;
  }
}

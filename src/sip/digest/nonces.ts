import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export type NonceVerdict =
  | 'fresh'
  /** Ours, but too old, or its count has been used: a new one makes it right. */
  | 'stale'
  /** Not made by us, or for another peer. */
  | 'foreign';

export interface NonceOptions {
  /** HMAC key; the same in every process that shall take the others' nonces. */
  readonly secret: Buffer;
  readonly lifetimeMs: number;
  /** Nonces whose counts are kept. */
  readonly maxTracked: number;
}

const TIME_BYTES = 6;
const RANDOM_BYTES = 6;
const MAC_BYTES = 16;

/**
 * Nonces that need no memory until they are used (RFC 7616 §3.3, §5.5): time, random bits and a MAC over both and the peer they are for.
 * Of those that were used the highest count is kept, so nothing is accepted twice. When there are too many the oldest are forgotten, and with
 * them everything that was issued no later: forgetting never makes room for a replay.
 */
export class Nonces {
  readonly #options: NonceOptions;
  readonly #counts = new Map<string, { readonly issuedAt: number; count: number }>();
  /** Nothing issued up to then is taken any more. */
  #floor = 0;

  constructor(options: NonceOptions) {
    this.#options = options;
  }

  get tracked(): number {
    return this.#counts.size;
  }

  /**
   * @param wallclock Unix milliseconds
   * @param peer whom it is for: an address
   */
  issue(wallclock: number, peer: string): string {
    const head = Buffer.alloc(TIME_BYTES + RANDOM_BYTES);
    head.writeUIntBE(Math.floor(wallclock), 0, TIME_BYTES);
    randomBytes(RANDOM_BYTES).copy(head, TIME_BYTES);
    return Buffer.concat([head, this.#mac(head, peer)]).toString('base64url');
  }

  /** Judges a use of a nonce without counting it: who asks has not shown the password yet. */
  check(wallclock: number, peer: string, nonce: string, count: number): NonceVerdict {
    const issuedAt = this.#issuedAt(peer, nonce);
    if (issuedAt === undefined) return 'foreign';
    if (issuedAt <= this.#floor || wallclock - issuedAt > this.#options.lifetimeMs) return 'stale';
    return count > (this.#counts.get(nonce)?.count ?? 0) ? 'fresh' : 'stale';
  }

  /** Counts a use by somebody who knows the password. The nonce must have been checked. */
  use(peer: string, nonce: string, count: number): void {
    const issuedAt = this.#issuedAt(peer, nonce);
    if (issuedAt === undefined) return;
    const known = this.#counts.get(nonce);
    if (known) {
      known.count = count;
      return;
    }
    this.#counts.set(nonce, { issuedAt, count });
    if (this.#counts.size > this.#options.maxTracked) this.#forgetOldest();
  }

  #forgetOldest(): void {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { issuedAt } of this.#counts.values()) oldest = Math.min(oldest, issuedAt);
    this.#floor = Math.max(this.#floor, oldest);
    for (const [nonce, { issuedAt }] of this.#counts) if (issuedAt <= this.#floor) this.#counts.delete(nonce);
  }

  #issuedAt(peer: string, nonce: string): number | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    if (bytes.length !== TIME_BYTES + RANDOM_BYTES + MAC_BYTES || bytes.toString('base64url') !== nonce) return undefined;
    const head = bytes.subarray(0, TIME_BYTES + RANDOM_BYTES);
    if (!timingSafeEqual(bytes.subarray(head.length), this.#mac(head, peer))) return undefined;
    return head.readUIntBE(0, TIME_BYTES);
  }

  #mac(head: Buffer, peer: string): Buffer {
    return createHmac('sha256', this.#options.secret).update(head).update(peer).digest().subarray(0, MAC_BYTES);
  }
}

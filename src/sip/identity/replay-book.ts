import { createHash } from 'node:crypto';
import type { Passport } from './passport.ts';

/** A minute of 1000 calls a second; some 10 MB. */
const MOST_KEPT = 65_536;

/** Order of the curve P-256, and half of it. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const HALF = ORDER >> 1n;

/** Tokens that have been taken, as long as they are fresh: each lets one call in (RFC 8224 §12.1). */
export class ReplayBook {
  /** Until when, in Unix milliseconds; in the order in which they came. */
  readonly #taken = new Map<string, number>();

  get size(): number {
    return this.#taken.size;
  }

  /** False when it has been taken before. @param now and @param until Unix milliseconds */
  take(passport: Pick<Passport, 'signed' | 'signature'>, now: number, until: number): boolean {
    const key = keyOf(passport);
    const known = this.#taken.get(key);
    if (known !== undefined && known >= now) return false;
    this.#forget(now);
    this.#taken.delete(key);
    this.#taken.set(key, until);
    return true;
  }

  #forget(now: number): void {
    for (const [key, until] of this.#taken) {
      // Only those at the front: they came in about the order in which they end.
      if (until >= now && this.#taken.size < MOST_KEPT) return;
      this.#taken.delete(key);
    }
  }
}

/** Of r and s, and of r and -s, which anybody can make of it and which is as right, the same. */
function keyOf({ signed, signature }: Pick<Passport, 'signed' | 'signature'>): string {
  const s = BigInt(`0x${signature.toString('hex', 32)}`);
  const low = s > HALF ? ORDER - s : s;
  return createHash('sha256').update(signed).update(signature.subarray(0, 32)).update(low.toString(16)).digest('base64');
}

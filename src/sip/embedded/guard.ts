import { sourceOf } from '../../base/addresses.ts';

interface Bucket {
  tokens: number;
  filledAt: number;
}

/** As many sources as are watched at once: about 1.5 MB. The one not heard of for longest makes room for a new one. */
const MAX_SOURCES = 10_000;

/** A bucket holds this many seconds' worth: a trunk may catch up after a network hiccup. */
const BURST_S = 2;

/** Limits datagrams a second from each source address, before anything is parsed. */
export class SourceGuard {
  readonly #perSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param options.requestsPerSecond 0 lets everything in */
  constructor(options: { readonly requestsPerSecond: number }) {
    this.#perSecond = options.requestsPerSecond;
  }

  get sources(): number {
    return this.#buckets.size;
  }

  /** Takes a token of this source; false when it has none left. */
  admit(address: string, now: number): boolean {
    if (this.#perSecond === 0) return true;
    const key = sourceOf(address);
    const full = this.#perSecond * BURST_S;
    let bucket = this.#buckets.get(key);
    if (bucket) {
      bucket.tokens = Math.min(full, bucket.tokens + ((now - bucket.filledAt) / 1000) * this.#perSecond);
      bucket.filledAt = now;
      this.#buckets.delete(key); // goes to the end: the map is ordered by last use
    } else {
      this.#makeRoom();
      bucket = { tokens: full, filledAt: now };
    }
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  #makeRoom(): void {
    if (this.#buckets.size < MAX_SOURCES) return;
    const oldest = this.#buckets.keys().next();
    if (!oldest.done) this.#buckets.delete(oldest.value);
  }
}

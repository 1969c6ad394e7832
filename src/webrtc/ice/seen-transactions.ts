/** Checks come every 0.5–2.5 s on a few paths: this many span the last half minute, the life of a consent. */
const REMEMBERED = 32;

/**
 * Remembers which path each of the last checks came by. MESSAGE-INTEGRITY does not protect from replay: without this memory, somebody who
 * can read one check could send it again from elsewhere and pull the media there.
 */
export class SeenTransactions {
  readonly #ids: string[] = [];
  readonly #paths: string[] = [];
  #next = 0;

  /** False when this transaction was seen before on another path; a retransmission on the same path is fine. */
  accept(transactionId: Buffer, pathKey: string): boolean {
    const id = transactionId.toString('latin1');
    const at = this.#ids.indexOf(id);
    if (at >= 0) return this.#paths[at] === pathKey;
    this.#ids[this.#next] = id;
    this.#paths[this.#next] = pathKey;
    this.#next = (this.#next + 1) % REMEMBERED;
    return true;
  }
}

/**
 * Whose datagrams come by a path. Mostly one session's. A client that holds a session of its own can claim another client's address by a forged
 * check; which of the two really is there cannot be told from addresses, so both are named: each gets every datagram and keeps what proves
 * authentic. So nobody's voice can be taken away by a claim.
 */
export class PathOwners<Owner> {
  readonly #owners = new Map<string, readonly Owner[]>();

  /** All who claim this path; a session claims at most as many as its ICE agent keeps. */
  of(key: string): readonly Owner[] | undefined {
    return this.#owners.get(key);
  }

  add(key: string, owner: Owner): void {
    const owners = this.#owners.get(key);
    if (!owners) this.#owners.set(key, [owner]);
    else if (!owners.includes(owner)) this.#owners.set(key, [...owners, owner]);
  }

  remove(key: string, owner: Owner): void {
    const left = this.#owners.get(key)?.filter((each) => each !== owner);
    if (left && left.length > 0) this.#owners.set(key, left);
    else this.#owners.delete(key);
  }
}

/** Which sessions are one wire with which (splice.ts). A ring of them would have nobody at its ends, and never end. */
export class Wires {
  readonly #others = new Map<string, Set<string>>();

  add(a: string, b: string): void {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const others = this.#others.get(one) ?? new Set();
      this.#others.set(one, others.add(other));
    }
  }

  /** Are the two joined already, by whatever way? */
  reaches(from: string, to: string): boolean {
    const seen = new Set([from]);
    // A Set takes what is added while it is gone through.
    for (const each of seen) for (const next of this.#others.get(each) ?? []) seen.add(next);
    return seen.has(to);
  }

  /** The session is over, and its wires with it. */
  forget(sessionId: string): void {
    for (const other of this.#others.get(sessionId) ?? []) this.#others.get(other)?.delete(sessionId);
    this.#others.delete(sessionId);
  }
}

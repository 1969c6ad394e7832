/** The candidate that is most like a mistyped word, if any is near enough to be what was meant. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  // A third of the word may be wrong, at least two letters: --sip-prot finds --sip-port, --foo finds nothing.
  let best = Math.max(2, Math.floor(word.length / 3)) + 1;
  let found: string | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(word.slice(0, MAX_WORD), candidate);
    if (distance < best) [best, found] = [distance, candidate];
  }
  return found;
}

/** Names are short; what is longer is not a typing error and must not cost quadratic time. */
const MAX_WORD = 64;

/** A part left out is a smaller mistake than a letter that is another one: RINGDOWN_PORT means RINGDOWN_SIP_PORT. */
const ADDED = 0.5;

/** How many letters to remove or exchange, and half of those to add. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index * ADDED);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const exchanged = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(exchanged, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + ADDED));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

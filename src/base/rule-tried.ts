/** One rule that was looked at to decide about a call: what an answer to "why?" is made of. */
export interface RuleTried {
  /** `trunks.carrier.addresses`, `routes[2]`, `callers`. */
  readonly rule: string;
  /** Where it stands: `ringdown.yaml:12`; absent for a default. */
  readonly at?: string;
  readonly matched: boolean;
  /** What it came to; for one that did not match, the first thing that did not. For people with access to the gateway: never sent to strangers. */
  readonly why: string;
}

/** Rules that a record keeps: whoever has more routes than this reads the last ones, which decided. */
const MOST_KEPT = 200;

/** A bounded list of rules, the deciding ones kept. */
export function keptRules(tried: readonly RuleTried[]): readonly RuleTried[] {
  return tried.length <= MOST_KEPT ? tried : tried.slice(-MOST_KEPT);
}

/**
 * The first rule that did not match, leaving out the trunks and routes that were passed on the way to one that did: the place to look at.
 * Undefined when all that had to match did.
 */
export function firstMismatch(tried: readonly RuleTried[]): RuleTried | undefined {
  return tried.find(({ matched }, at) => !matched && !tried.slice(at + 1).some((later) => later.matched));
}

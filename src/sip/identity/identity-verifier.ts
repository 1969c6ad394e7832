import type { Clock } from '../../base/clock.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { RuleTried } from '../../base/rule-tried.ts';
import type { Certificate } from './certificate.ts';
import { type Credential, credentialFault, readCredential } from './credential.ts';
import { CredentialCache } from './credential-cache.ts';
import type { Fetched } from './fetch-certificate.ts';
import { type Faulty, faulty, type IdentityFault, type IdentityStep } from './identity-fault.ts';
import { parseIdentityHeader } from './identity-header.ts';
import { claimFault, type Passport, readPassport, type SignedCall } from './passport.ts';
import { ReplayBook } from './replay-book.ts';
import type { Attestation } from './stir.ts';

export interface VerifierDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Gets what is at an address that has been let through; within a bounded time. */
  readonly fetch: (url: URL) => Promise<Fetched>;
}

export interface VerifierOptions {
  readonly anchors: readonly Certificate[];
  /** How old, or how far ahead, iat and Date may be. */
  readonly maxAgeS: number;
  /** Ports beside 443 and 8443 that certificates may be fetched from. */
  readonly ports: ReadonlySet<number>;
}

/** What an INVITE is verified by. */
export interface VerifiedCall extends SignedCall {
  /** Values of its Identity headers. */
  readonly identities: readonly string[];
  /** Who has to share: the trunk, or the address of a stranger. */
  readonly source: string;
}

/** What came of it. */
export type IdentityFinding = { readonly tried: readonly RuleTried[] } & (
  | { readonly type: 'passed'; readonly attest?: Attestation; readonly origid?: string }
  | { readonly type: 'failed'; readonly fault: IdentityFault }
);

/** A caller's token and one of each provider that sent the call on; two of them are looked at. */
const MOST_HEADERS = 8;
const MOST_LOOKED_AT = 2;

/** Fetches at the same time: each is a socket for 2 s at the most. One source has at most a half of them. */
const MOST_FETCHES = 32;
const MOST_OF_ONE = 16;

/** Looked at all together, in this order. */
const STEPS: readonly IdentityStep[] = ['identity', 'passport', 'date', 'numbers', 'certificate', 'signature', 'replay'];

const MOST_URL = 512;

/** Verifies callers by the signatures of their providers (RFC 8224 §6.2, RFC 8588). Without a cached certificate it waits for one fetch. */
export class IdentityVerifier {
  readonly #deps: VerifierDeps;
  #options: VerifierOptions;
  readonly #cache = new CredentialCache();
  readonly #replays = new ReplayBook();
  readonly #fetches = new Map<string, Promise<Credential | Faulty>>();
  readonly #shares = new Map<string, number>();
  readonly #results: Counter<'result'>;
  #generation = 0;

  constructor(deps: VerifierDeps, options: VerifierOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#results = deps.metrics.counter('stir_verifications_total', 'Identities of calls that were looked at, by what came of it.', [
      'result',
    ]);
    deps.metrics.observe('stir_fetches', 'Certificates that are being fetched.', () => this.#fetches.size);
  }

  /** From now on. What was found by other anchors is forgotten. */
  configure(options: VerifierOptions): void {
    this.#options = options;
    this.#generation += 1;
    this.#cache.clear();
  }

  /** At once when nothing has to be fetched. Never fails: whatever is wrong stands in what it gives. */
  verify(call: VerifiedCall): IdentityFinding | Promise<IdentityFinding> {
    const found = this.#begin(call);
    if (!(found instanceof Promise)) return this.#counted(found);
    return found.then((finding) => this.#counted(finding));
  }

  #counted(finding: IdentityFinding): IdentityFinding {
    this.#results.inc({ result: finding.type === 'passed' ? 'passed' : finding.fault.step === 'identity' ? 'none' : finding.fault.step });
    return finding;
  }

  #begin(call: VerifiedCall): IdentityFinding | Promise<IdentityFinding> {
    const { identities } = call;
    if (identities.length === 0) return failed(faulty('identity', 428, 'it has no Identity header').fault);
    if (identities.length > MOST_HEADERS) return failed(faulty('identity', 438, `more than ${MOST_HEADERS} Identity headers`).fault);
    const tokens = this.#tokensOf(call);
    // Those of other kinds (div, rph) say nothing of who calls.
    if (tokens.length === 0) return failed(faulty('identity', 428, 'none of its Identity headers says who calls').fault);
    const judged = tokens.map((token) => ('fault' in token ? token : this.#judge(token, call)));
    if (!judged.some((each) => each instanceof Promise)) return firstOf(judged as (Passport | Faulty)[]);
    return Promise.all(judged).then(firstOf);
  }

  #tokensOf(call: VerifiedCall): (Passport | Faulty)[] {
    const headers = call.identities.map(parseIdentityHeader);
    const own = headers.filter((each) => 'fault' in each || each.ppt === undefined || each.ppt === 'shaken').slice(0, MOST_LOOKED_AT);
    return own.map((each) => ('fault' in each ? each : readPassport(each, call)));
  }

  #judge(token: Passport, call: VerifiedCall): Passport | Faulty | Promise<Passport | Faulty> {
    const { clock } = this.#deps;
    const wrong = claimFault(token, call, clock.wallclock(), this.#options.maxAgeS);
    if (wrong) return wrong;
    const credential = this.#credentialOf(token.x5u, call.source);
    return credential instanceof Promise ? credential.then((got) => this.#check(token, got)) : this.#check(token, credential);
  }

  #check(token: Passport, credential: Credential | Faulty): Passport | Faulty {
    if ('fault' in credential) return credential;
    const now = this.#deps.clock.wallclock();
    const wrong = credentialFault(credential, token, now);
    if (wrong) return wrong;
    const until = (token.iat + this.#options.maxAgeS) * 1000;
    return this.#replays.take(token, now, until) ? token : faulty('replay', 438, 'this signature has let a call in before');
  }

  #credentialOf(x5u: string, source: string): Credential | Faulty | Promise<Credential | Faulty> {
    const url = x5u.length <= MOST_URL && URL.canParse(x5u) ? new URL(x5u) : undefined;
    const bad = (why: string): Faulty => faulty('certificate', 436, why);
    if (!url) return bad('x5u is no URL');
    if (url.protocol !== 'https:') return bad('x5u is not https');
    if (url.username !== '' || url.password !== '') return bad('x5u has a user in it');
    const port = Number(url.port || 443);
    if (port !== 443 && port !== 8443 && !this.#options.ports.has(port)) return bad(`x5u has port ${port}, and 443 and 8443 are taken`);
    url.hash = '';
    const cached = this.#cache.find(url.href, this.#deps.clock.now()) ?? this.#fetches.get(url.href);
    if (cached !== undefined) return cached;
    const share = this.#shares.get(source) ?? 0;
    if (this.#fetches.size >= MOST_FETCHES || share >= MOST_OF_ONE)
      return faulty('certificate', 503, 'too many certificates are being fetched');
    this.#shares.set(source, share + 1);
    const fetched = this.#fetch(url).finally(() => {
      this.#fetches.delete(url.href);
      const left = (this.#shares.get(source) ?? 1) - 1;
      if (left > 0) this.#shares.set(source, left);
      else this.#shares.delete(source);
    });
    this.#fetches.set(url.href, fetched);
    return fetched;
  }

  async #fetch(url: URL): Promise<Credential | Faulty> {
    const { clock, fetch } = this.#deps;
    const generation = this.#generation;
    const got = await fetch(url);
    const found =
      'failure' in got
        ? faulty('certificate', 436, `${url.origin}: ${got.failure}`)
        : read(got.text, this.#options.anchors, clock.wallclock());
    if (generation === this.#generation) this.#cache.keep(url.href, found, 'failure' in got ? undefined : got.cacheControl, clock.now());
    return found;
  }
}

/** What OpenSSL throws at, whatever that may be, is no certificate. */
function read(text: string, anchors: readonly Certificate[], now: number): Credential | Faulty {
  try {
    return readCredential(text, anchors, now);
  } catch {
    return faulty('certificate', 437, 'its certificate cannot be read');
  }
}

/** One that is right is enough; else the first thing that is wrong. */
function firstOf(judged: readonly (Passport | Faulty)[]): IdentityFinding {
  const right = judged.find((each) => !('fault' in each));
  if (right && !('fault' in right)) {
    const { attest, origid } = right;
    const tried = STEPS.map((step) => ({ rule: `stir.${step}`, matched: true, why: PASSED[step] }));
    return { type: 'passed', tried, ...(attest && { attest }), ...(origid !== undefined && { origid }) };
  }
  const [wrong] = judged.flatMap((each) => ('fault' in each ? [each.fault] : []));
  return failed(wrong ?? faulty('identity', 438, 'nothing can be read').fault);
}

function failed(fault: IdentityFault): IdentityFinding {
  const before = STEPS.slice(0, STEPS.indexOf(fault.step)).map((step) => ({ rule: `stir.${step}`, matched: true, why: PASSED[step] }));
  return { type: 'failed', fault, tried: [...before, { rule: `stir.${fault.step}`, matched: false, why: fault.why }] };
}

const PASSED: Readonly<Record<IdentityStep, string>> = {
  identity: 'an Identity header that says who calls',
  passport: 'a PASSporT that can be read',
  date: 'iat and Date are fresh',
  numbers: 'caller and called are those of the call',
  certificate: 'its certificate comes from a trusted authority and covers the caller',
  signature: 'its signature is right',
  replay: 'it has not been used before',
};

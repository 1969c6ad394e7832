import { type KeyObject, verify } from 'node:crypto';
import { type Certificate, readCertificates } from './certificate.ts';
import { type Faulty, faulty } from './identity-fault.ts';
import type { Passport } from './passport.ts';
import { canonicalNumber, numberOfUri } from './telephone-number.ts';
import { coversNumber, type TnAuthority } from './tn-authority.ts';

/** A certificate that leads to an anchor. */
export interface Credential {
  readonly key: KeyObject;
  /** When all certificates of the way are valid, Unix milliseconds. */
  readonly validFrom: number;
  readonly validTo: number;
  readonly authority: TnAuthority;
  /** For people. */
  readonly subject: string;
}

/** Issuers between a certificate and its anchor. */
const MOST_BETWEEN = 4;
/** A signature costs 0.1 to 0.2 ms: the most that one file may cost us. */
const MOST_CHECKS = 32;
const MOST_SUBJECT = 100;

/**
 * Finds the way from the first certificate of a file to an anchor (RFC 5280 §6): issuers, signatures, dates, what each may do. Names of hosts and lists of
 * revoked certificates are not looked at.
 */
export function readCredential(text: string, anchors: readonly Certificate[], now: number): Credential | Faulty {
  const [leaf, ...others] = readCertificates(text) ?? [];
  if (!leaf) return faulty('certificate', 436, 'what is there is no chain of certificates');
  const key = leaf.x509.publicKey;
  const subject = leaf.x509.subject.replaceAll('\n', ', ').slice(0, MOST_SUBJECT);
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    return refused(`${subject}: its key is not for ES256`);
  if (!leaf.signs) return refused(`${subject}: its key may not sign`);
  if (!leaf.authority) return refused(`${subject}: it has no TN Authorization List (RFC 8226)`);
  const budget = { checks: MOST_CHECKS };
  const wayAt = (at: number | undefined): Certificate[] | undefined => findWay(leaf, { others, anchors, at, budget }, 0);
  const way = wayAt(now) ?? wayAt(undefined);
  if (!way) return refused(`${subject}: no trusted authority has issued it`);
  return {
    key,
    subject,
    validFrom: Math.max(...way.map(({ validFrom }) => validFrom)),
    validTo: Math.min(...way.map(({ validTo }) => validTo)),
    authority: leaf.authority,
  };
}

interface Search {
  readonly others: readonly Certificate[];
  readonly anchors: readonly Certificate[];
  /** All of the way is to be valid then; undefined: whenever. */
  readonly at: number | undefined;
  readonly budget: { checks: number };
}

/** @param below issuers between this one and the leaf */
function findWay(from: Certificate, search: Search, below: number): Certificate[] | undefined {
  const { others, anchors, at, budget } = search;
  const isValid = ({ validFrom, validTo }: Certificate): boolean => at === undefined || (validFrom <= at && at <= validTo);
  if (!isValid(from)) return undefined;
  const issued = (issuer: Certificate): boolean => {
    if (!issuer.issues || issuer.mostBelow < below || !isValid(issuer) || !from.x509.checkIssued(issuer.x509)) return false;
    if (budget.checks === 0) return false;
    budget.checks -= 1;
    try {
      return from.x509.verify(issuer.x509.publicKey);
    } catch {
      return false; // a signature of another kind than the key
    }
  };
  const anchor = anchors.find(issued);
  if (anchor) return [from, anchor];
  if (below === MOST_BETWEEN) return undefined;
  for (const between of others) {
    if (between === from || !issued(between)) continue;
    const rest = findWay(between, search, below + 1);
    if (rest) return [from, ...rest];
  }
  return undefined;
}

/** Does this certificate vouch for this token (RFC 8224 §6.2 step 2, 3 and 5)? @param now Unix milliseconds */
export function credentialFault(credential: Credential, { orig, signed, signature }: Passport, now: number): Faulty | undefined {
  const { subject, validFrom, validTo, authority, key } = credential;
  if (now > validTo) return refused(`${subject}: it, or an issuer of it, has expired`);
  if (now < validFrom) return refused(`${subject}: it, or an issuer of it, is not valid yet`);
  const number = orig.tn === undefined ? numberOfUri(orig.uri ?? '') : canonicalNumber(orig.tn);
  if (!coversNumber(authority, number)) return refused(`${subject}: its numbers are others than orig`);
  const isSigned = verify('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }, signature);
  return isSigned ? undefined : faulty('signature', 438, `it is not the signature of ${subject}`);
}

function refused(why: string): Faulty {
  return faulty('certificate', 437, why);
}

/** What is looked at of an Identity header, in this order. */
export type IdentityStep = 'identity' | 'passport' | 'date' | 'numbers' | 'certificate' | 'signature' | 'replay';

/** The first thing that is wrong with the identity of a call. */
export interface IdentityFault {
  readonly step: IdentityStep;
  /** What RFC 8224 §6.2.2 has for it; 503 when nobody had time to look. */
  readonly status: 403 | 428 | 436 | 437 | 438 | 503;
  /** For people. */
  readonly why: string;
}

export type Faulty = { readonly fault: IdentityFault };

export function faulty(step: IdentityStep, status: IdentityFault['status'], why: string): Faulty {
  return { fault: { step, status, why } };
}

/** Reason phrases of RFC 8224 §6.2.2. */
export const IDENTITY_REASONS: Readonly<Record<IdentityFault['status'], string>> = {
  403: 'Stale Date',
  428: 'Use Identity Header',
  436: 'Bad Identity Info',
  437: 'Unsupported Credential',
  438: 'Invalid Identity Header',
  503: 'Service Unavailable',
};

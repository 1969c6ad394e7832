/**
 * What is done about the identity of callers: nothing; look and tell; look and refuse who is not verified; or believe what the trunk has found (for a
 * trunk whose own network verifies).
 */
export type StirPolicy = 'off' | 'report' | 'require' | 'trust';

/** 3GPP TS 24.229 §7.2A.20. */
export type Verstat = 'TN-Validation-Passed' | 'TN-Validation-Failed' | 'No-TN-Validation';

/** How well the signer knows the caller (RFC 8588 §4): A its customer and its number, B its customer, C neither. */
export type Attestation = 'A' | 'B' | 'C';

/** Whether the caller's number is the caller's. See leg/call-facts.ts, which says the same to other processes. */
export interface CallIdentity {
  readonly verstat: Verstat;
  readonly attest?: Attestation;
  /** RFC 8588 §5: where the call came into the signer's network, in its own words. */
  readonly origid?: string;
  /** Who has looked. */
  readonly by: 'gateway' | 'trunk';
  /** What was wrong. */
  readonly reason?: string;
}

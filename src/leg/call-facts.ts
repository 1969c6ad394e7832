import { z } from 'zod';

/** A header field. */
export interface LegHeader {
  readonly name: string;
  readonly value: string;
}

/** Somebody a call has been sent on by. */
export interface Diversion {
  /** Number or name. */
  readonly number: string;
  /** RFC 5806 §4.2 or the cause of RFC 4458: `user-busy`, `no-answer`, `unconditional` … */
  readonly reason?: string;
}

/** What the INVITE of a call says of it, read once. `asserted` and what follows from it is only taken from trunks; all else is claimed by the caller. */
export interface CallFacts {
  /** The trunk, or the user, that it comes by. */
  readonly trunk?: string;
  readonly user?: string;
  /** Number or name of who calls: as asserted, else as claimed; by the trunk's rules. */
  readonly caller: string;
  /** Number or name that was dialled, by the trunk's rules. */
  readonly called: string;
  readonly displayName?: string;
  /** P-Asserted-Identity of a trunk (RFC 3325). */
  readonly asserted?: string;
  /** The caller wants its number withheld from others (RFC 3323). */
  readonly isPrivate?: boolean;
  /** Who was dialled first, where the call has been diverted. */
  readonly originalCalled?: string;
  /** Who sent it on, the last one first. */
  readonly diversions?: readonly Diversion[];
  /** RFC 7433. */
  readonly userToUser?: { readonly data: string; readonly encoding: 'hex' | 'text'; readonly purpose?: string };
  /** `X-…` header fields. */
  readonly headers?: readonly LegHeader[];
  /** Whether the caller's number is the caller's (STIR/SHAKEN); absent where nobody was asked to look. */
  readonly stir?: CallIdentity;
}

/** What has been found of a caller's identity. */
interface CallIdentity {
  /** 3GPP TS 24.229 §7.2A.20. */
  readonly verstat: 'TN-Validation-Passed' | 'TN-Validation-Failed' | 'No-TN-Validation';
  /** RFC 8588 §4. */
  readonly attest?: 'A' | 'B' | 'C';
  /** RFC 8588 §5. */
  readonly origid?: string;
  /** Who has looked. */
  readonly by: 'gateway' | 'trunk';
  /** What was wrong. */
  readonly reason?: string;
}

const text = z.string().max(256);

/** Of both doors between processes. */
export const callFacts = z.strictObject({
  trunk: text.exactOptional(),
  user: text.exactOptional(),
  caller: text,
  called: text,
  displayName: text.exactOptional(),
  asserted: text.exactOptional(),
  isPrivate: z.boolean().exactOptional(),
  originalCalled: text.exactOptional(),
  diversions: z
    .array(z.strictObject({ number: text, reason: text.exactOptional() }))
    .max(16)
    .readonly()
    .exactOptional(),
  userToUser: z
    .strictObject({ data: z.string().max(512), encoding: z.enum(['hex', 'text']), purpose: text.exactOptional() })
    .exactOptional(),
  headers: z
    .array(z.strictObject({ name: z.string().max(64), value: text }))
    .max(32)
    .readonly()
    .exactOptional(),
  stir: z
    .strictObject({
      verstat: z.enum(['TN-Validation-Passed', 'TN-Validation-Failed', 'No-TN-Validation']),
      attest: z.enum(['A', 'B', 'C']).exactOptional(),
      origid: z.string().max(64).exactOptional(),
      by: z.enum(['gateway', 'trunk']),
      reason: z.string().max(512).exactOptional(),
    })
    .exactOptional(),
}) satisfies z.ZodType<CallFacts>;

/** Header fields that a program wants in a request of ours. */
export const sentHeaders = z
  .array(z.strictObject({ name: z.string().max(64), value: z.string().max(1024) }))
  .max(20)
  .readonly();

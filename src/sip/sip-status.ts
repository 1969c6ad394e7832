/** Why a pending call is refused: the words of leg/leg.ts RejectCause, which sip may not import. */
export type RejectionCause =
  | 'busy'
  | 'declined'
  | 'not_found'
  | 'overloaded'
  | 'no_common_codec'
  | 'media_failed'
  | 'unavailable'
  | 'internal_error';

/** Why a call ended: the words of leg/leg.ts EndCause. */
export type HangupCause =
  | 'remote_hangup'
  | 'agent_hangup'
  | 'cancelled'
  | 'rejected'
  | 'media_timeout'
  | 'media_failed'
  | 'signalling_failed'
  | 'owner_lost'
  | 'duration_cap'
  | 'shutdown'
  | 'internal_error';

const REJECTION_STATUS: Readonly<Record<RejectionCause, number>> = {
  busy: 486,
  declined: 603,
  not_found: 404,
  overloaded: 503,
  no_common_codec: 488,
  media_failed: 503, // no port, no transceiver: another gateway may do better, so not a 500
  unavailable: 480,
  internal_error: 500,
};

/** SIP status that refuses a call for this cause. */
export function rejectionStatus(cause: RejectionCause): number {
  return REJECTION_STATUS[cause];
}

/** Why a call of ours was not answered. */
export type DialFailureCause =
  | 'busy'
  | 'no_answer'
  | 'declined'
  | 'not_found'
  | 'cancelled'
  /** Nothing came back at all. */
  | 'unreachable'
  /** Our credentials were not wanted, or there are none. */
  | 'unauthorized'
  /** A redirection that this trunk may not make. */
  | 'redirected'
  | 'no_common_codec'
  /** The far side is overloaded or broken. */
  | 'unavailable'
  | 'rejected';

const DIAL_FAILURES: ReadonlyMap<number, DialFailureCause> = new Map([
  [401, 'unauthorized'],
  [403, 'declined'],
  [404, 'not_found'],
  [407, 'unauthorized'],
  [408, 'no_answer'],
  [410, 'not_found'],
  [480, 'no_answer'],
  [484, 'not_found'],
  [486, 'busy'],
  [487, 'cancelled'],
  [488, 'no_common_codec'],
  [600, 'busy'],
  [603, 'declined'],
  [604, 'not_found'],
  [606, 'no_common_codec'],
]);

/** What a final status to an INVITE of ours means. */
export function dialFailureCause(status: number): DialFailureCause {
  const known = DIAL_FAILURES.get(status);
  if (known) return known;
  if (status < 400) return 'redirected';
  return status >= 500 && status < 600 ? 'unavailable' : 'rejected';
}

// ITU-T Q.850 cause values, for the Reason header of a BYE (RFC 3326).
const END_Q850: Readonly<Record<HangupCause, { readonly q850: number; readonly text: string }>> = {
  remote_hangup: { q850: 16, text: 'Normal call clearing' },
  agent_hangup: { q850: 16, text: 'Normal call clearing' },
  cancelled: { q850: 16, text: 'Normal call clearing' },
  rejected: { q850: 21, text: 'Call rejected' },
  media_timeout: { q850: 102, text: 'Media timeout' },
  media_failed: { q850: 41, text: 'Media failure' },
  signalling_failed: { q850: 111, text: 'Signalling failure' },
  owner_lost: { q850: 41, text: 'Temporary failure' },
  duration_cap: { q850: 31, text: 'Maximum call duration reached' },
  shutdown: { q850: 38, text: 'Gateway shutting down' },
  internal_error: { q850: 41, text: 'Internal error' },
};

/** Q.850 cause and text for the Reason header of the BYE that ends a call for this cause. */
export function hangupReason(cause: HangupCause): { readonly q850: number; readonly text: string } {
  return END_Q850[cause];
}

// RFC 3261 §21 and its extensions, as far as the gateway sends or may be told to send them.
const REASON_PHRASES: ReadonlyMap<number, string> = new Map([
  [100, 'Trying'],
  [180, 'Ringing'],
  [181, 'Call Is Being Forwarded'],
  [182, 'Queued'],
  [183, 'Session Progress'],
  [200, 'OK'],
  [202, 'Accepted'],
  [300, 'Multiple Choices'],
  [301, 'Moved Permanently'],
  [302, 'Moved Temporarily'],
  [305, 'Use Proxy'],
  [380, 'Alternative Service'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [402, 'Payment Required'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [406, 'Not Acceptable'],
  [407, 'Proxy Authentication Required'],
  [408, 'Request Timeout'],
  [410, 'Gone'],
  [413, 'Request Entity Too Large'],
  [414, 'Request-URI Too Long'],
  [415, 'Unsupported Media Type'],
  [416, 'Unsupported URI Scheme'],
  [420, 'Bad Extension'],
  [421, 'Extension Required'],
  [422, 'Session Interval Too Small'],
  [423, 'Interval Too Brief'],
  [469, 'Bad Info Package'],
  [480, 'Temporarily Unavailable'],
  [481, 'Call/Transaction Does Not Exist'],
  [482, 'Loop Detected'],
  [483, 'Too Many Hops'],
  [484, 'Address Incomplete'],
  [485, 'Ambiguous'],
  [486, 'Busy Here'],
  [487, 'Request Terminated'],
  [488, 'Not Acceptable Here'],
  [489, 'Bad Event'],
  [491, 'Request Pending'],
  [493, 'Undecipherable'],
  [500, 'Server Internal Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Server Time-out'],
  [505, 'Version Not Supported'],
  [513, 'Message Too Large'],
  [580, 'Precondition Failure'],
  [600, 'Busy Everywhere'],
  [603, 'Decline'],
  [604, 'Does Not Exist Anywhere'],
  [606, 'Not Acceptable'],
  [608, 'Rejected'],
]);

/** The standard phrase of a status; that of its class (x00) for one without a name. */
export function reasonPhrase(status: number): string {
  return REASON_PHRASES.get(status) ?? REASON_PHRASES.get(Math.floor(status / 100) * 100) ?? 'Unknown';
}

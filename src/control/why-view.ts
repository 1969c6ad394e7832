import { firstMismatch, type RuleTried } from '../base/rule-tried.ts';

/** Why a call became what it became. */
export interface WhyRecord {
  /** Our name of the call, `call_…`. */
  readonly callId: string;
  /** `rtc_…`, once there is one. */
  readonly sessionId?: string | undefined;
  readonly sipCallId: string;
  readonly from: string;
  readonly to: string;
  /** `udp:192.0.2.1:5060` */
  readonly peer: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** Absent while it goes on. */
  readonly end?: { readonly cause: string; readonly sipStatus: number; readonly detail?: string | undefined };
  readonly rules: readonly RuleTried[];
}

/** As programs and people are shown it. */
export function whyView({ callId, sessionId, sipCallId, from, to, peer, at, end, rules }: WhyRecord): unknown {
  const mismatch = firstMismatch(rules);
  return {
    object: 'call.why',
    id: sessionId ?? callId,
    call_id: callId,
    sip_call_id: sipCallId,
    from,
    to,
    peer,
    at: Math.floor(at / 1000),
    outcome: end ? { cause: end.cause, sip_status: end.sipStatus, ...(end.detail === undefined ? {} : { detail: end.detail }) } : null,
    first_mismatch: mismatch ?? null,
    rules,
  };
}

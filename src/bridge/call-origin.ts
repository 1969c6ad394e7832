import type { CallFacts } from '../leg/call-facts.ts';
import type { DialRequest, LegOrigin, LegPolicy } from '../leg/leg.ts';
import type { InboundCall } from '../sip/engine.ts';
import { withoutVerstat } from '../sip/identity/without-verstat.ts';
import type { DialledCall } from './dialled-call.ts';

export interface OriginFacts {
  /** The same call, when it is one of ours. */
  readonly dialled: DialledCall | undefined;
  readonly policy: LegPolicy | undefined;
  /** What the INVITE says of the call. */
  readonly facts: CallFacts | undefined;
  readonly callBack: ((invite: InboundCall) => DialRequest | undefined) | undefined;
}

/** What the owner of a session is told of a call by SIP. */
export function originOf(invite: InboundCall, { dialled, policy, facts, callBack }: OriginFacts): LegOrigin {
  const { from, requestUri: to, sipCallId } = invite;
  const origin = { kind: 'phone', from, to, sipCallId } as const;
  if (dialled) return { ...origin, direction: 'outbound', ...(dialled.joins && { joins: dialled.joins }) };
  const back = callBack?.(invite);
  // Only who is asked about the call has a use for them.
  const asked = policy?.decide.by === 'api' ? invite.headers : undefined;
  // Only a trunk that is trusted with it may say that somebody has verified the caller.
  const headers = asked && facts?.stir?.by !== 'trunk' ? withoutVerstat(asked) : asked;
  return { ...origin, ...(back ? { callBack: back } : {}), ...(headers ? { headers } : {}), ...(facts && { facts }) };
}

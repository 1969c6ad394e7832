import type { RuleTried } from '../base/rule-tried.ts';
import type { WantedPerson } from '../leg/person.ts';
import type { InboundCall } from '../sip/engine.ts';
import { type InviteFacts, readCallFacts } from '../sip/read-call-facts.ts';
import { type Trunk, type TrunkRefusal, trunkRefusalStatus } from '../sip/trunk.ts';
import type { TrunkBook } from '../sip/trunk-book.ts';
import type { CallLease } from '../sip/trunk-meter.ts';
import type { UserBook } from '../sip/user.ts';
import { judgeUserCall, type UserCall } from '../sip/user-call.ts';

/** Whom calls are let in by. Anybody without trunks, and nobody is a user without users. */
export interface ArrivalBooks {
  readonly trunks?: TrunkBook | undefined;
  readonly users?: UserBook | undefined;
}

/** What becomes of a call that the engine has let in, before any route is looked at. */
export type ArrivalVerdict = { readonly tried: readonly RuleTried[] } & (
  | { readonly type: 'refused'; readonly status: number; readonly refusal: TrunkRefusal; readonly detail: string }
  | {
      readonly type: 'taken';
      readonly admitted?: { readonly trunk: Trunk; readonly lease: CallLease };
      /** Whom a user wants to talk to, when it is not the agent. */
      readonly wanted?: WantedPerson;
    }
);

/** May this call come in, and whom does it want? The same for a live call and for one that is only explained. What is taken counts until its lease is released. */
export function judgeArrival(
  invite: Pick<InboundCall, 'source' | 'caller' | 'requestUri' | 'tried'>,
  { trunks, users }: ArrivalBooks,
): ArrivalVerdict {
  const admitted = trunks?.admitInbound(invite.source.address, invite.caller);
  const tried = [...(invite.tried ?? []), ...(admitted?.tried ?? [])];
  if (admitted && 'refusal' in admitted) {
    const { refusal, detail } = admitted;
    return { type: 'refused', status: trunkRefusalStatus(refusal), refusal, detail, tried };
  }
  const user = invite.caller?.type === 'user' ? users?.find(invite.caller.name) : undefined;
  const judged =
    user && users && trunks && judgeUserCall(user, invite.requestUri, { isUser: (each) => users.find(each) !== undefined, trunks });
  if (judged) tried.push(...judged.tried);
  if (judged?.call.type === 'refused') {
    const { refusal, detail } = judged.call;
    return { type: 'refused', status: trunkRefusalStatus(refusal), refusal, detail, tried };
  }
  return { type: 'taken', tried, ...(admitted && { admitted }), ...(judged?.call.type === 'dial' && { wanted: wantedOf(judged.call) }) };
}

function wantedOf({ trunk, destination, orAgent }: Extract<UserCall, { type: 'dial' }>): WantedPerson {
  return { to: { trunk, destination }, agentAway: orAgent ? 'until_alone' : 'for_good' };
}

/** What the INVITE says of who calls whom, as far as its sender may be believed. */
export function factsOf(
  { caller, from, to, requestUri, headers = [] }: Pick<InboundCall, 'caller' | 'from' | 'to' | 'requestUri' | 'headers'>,
  trunk: Trunk | undefined,
  users: UserBook | undefined,
): InviteFacts {
  const user = caller?.type === 'user' ? caller.name : undefined;
  const isRegistered = caller?.type === 'trunk' && caller.registered === true;
  const callerId = user === undefined ? undefined : users?.find(user)?.callerId;
  return readCallFacts({ from, to, requestUri, headers }, { trunk: trunk?.name, user, callerId, numbers: trunk?.numbers, isRegistered });
}

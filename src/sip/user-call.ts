import type { RuleTried } from '../base/rule-tried.ts';
import { parseUri } from './embedded/uri.ts';
import type { TrunkRefusal } from './trunk.ts';
import type { TrunkBook } from './trunk-book.ts';
import { isAllowed } from './trunk-destination.ts';
import { type SipUser, USERS_TRUNK } from './user.ts';

/** Where the call of a user leads. */
export type UserCall =
  | { readonly type: 'agent' }
  /** @property orAgent who gets no answer may talk to the agent */
  | { readonly type: 'dial'; readonly trunk: string; readonly destination: string; readonly orAgent: boolean }
  | { readonly type: 'refused'; readonly refusal: TrunkRefusal; readonly detail: string };

/**
 * What becomes of what a user has dialled: another user, a number by a trunk it may use, or the agent, in this order. Pure but for what it is
 * given to ask. Nobody is told whether somebody else is there whom it may not call.
 * @param requestUri of the INVITE
 */
export function judgeUserCall(
  user: SipUser,
  requestUri: string,
  asked: { readonly isUser: (name: string) => boolean; readonly trunks: Pick<TrunkBook, 'judge'> },
): { readonly call: UserCall; readonly tried: readonly RuleTried[] } {
  const tried: RuleTried[] = [];
  const note = (matched: boolean, key: string, why: string): boolean => {
    tried.push({ rule: `users.${user.name}.${key}`, ...(user.source === undefined ? {} : { at: user.source }), matched, why });
    return matched;
  };
  const dialled = dialledName(requestUri);
  const orAgent = user.calls.some(({ type }) => type === 'agent');
  for (const [index, permission] of user.calls.entries()) {
    if (permission.type === 'users') {
      const found = asked.isUser(dialled) && dialled !== user.name;
      if (note(found, `calls[${index}]`, found ? 'another user was dialled' : 'no other user was dialled')) {
        return { call: { type: 'dial', trunk: USERS_TRUNK, destination: `user:${dialled}`, orAgent }, tried };
      }
    } else if (permission.type === 'trunk') {
      const judged = asked.trunks.judge(permission.trunk, dialled);
      if ('refusal' in judged) note(false, `calls[${index}]`, judged.detail);
      else if (!isAllowed(judged.destination, permission.destinations))
        note(false, `calls[${index}]`, "not among the user's own destinations");
      else {
        note(true, `calls[${index}]`, `among its destinations by trunk ${permission.trunk}`);
        return { call: { type: 'dial', trunk: permission.trunk, destination: judged.destination.key, orAgent }, tried };
      }
    }
  }
  const agent = orAgent && !asked.isUser(dialled);
  if (note(agent, 'calls', agent ? 'the agent may be called' : 'nothing it may call was dialled'))
    return { call: { type: 'agent' }, tried };
  return { call: { type: 'refused', refusal: 'not_permitted', detail: `user ${user.name} may not call this` }, tried };
}

/** User part of a SIP URI, or the number of a tel URI; '' for neither. */
export function dialledName(uri: string): string {
  const parsed = parseUri(uri);
  if (parsed?.type === 'tel') return parsed.number.replaceAll(/[().-]/g, '');
  const [plain = ''] = (parsed?.type === 'sip' ? (parsed.user ?? '') : '').split(/[:;]/, 1);
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}

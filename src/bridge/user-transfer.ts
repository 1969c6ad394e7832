import type { JoinedSession, Successor } from '../leg/leg.ts';
import { CALLER } from '../leg/person.ts';
import type { InboundCall, IncomingRefer } from '../sip/engine.ts';
import type { TrunkBook } from '../sip/trunk-book.ts';
import { USERS_TRUNK, type UserBook, userOfDestination } from '../sip/user.ts';
import { dialledName, judgeUserCall } from '../sip/user-call.ts';
import { DialledCall } from './dialled-call.ts';

/** By this name the agent is called everywhere (README). */
const AGENT = 'agent';

/** A call as far as a transfer by its user has to do with it. */
export interface TransferableCall {
  /** The user at the other end, who has shown a password or is registered. */
  readonly user: string | undefined;
  /** Which leg of which session it is; undefined before it has one. */
  readonly place: JoinedSession | undefined;
  /** Is its dialog the one that Replaces names? */
  isNamedBy(replaces: string): boolean;
}

export interface TransferBooks {
  readonly users?: UserBook | undefined;
  readonly trunks?: TrunkBook | undefined;
}

/**
 * Who takes the place of a user that has a call transferred: whoever it may call, and nobody else; or whoever it talks to in another call.
 * @returns a status of SIP where nobody does
 */
export function successorFor(
  refer: Pick<IncomingRefer, 'target' | 'replaces'>,
  call: TransferableCall,
  { users, trunks }: TransferBooks,
  others: Iterable<TransferableCall>,
): Successor | number {
  const user = call.user === undefined ? undefined : users?.find(call.user);
  if (!user || !users || !trunks) return 403;
  const { replaces, target } = refer;
  if (replaces !== undefined) {
    // Both calls are this user's: knowing the tags of another's is not enough.
    const other = [...others].find((each) => each !== call && each.user === user.name && each.isNamedBy(replaces));
    return other?.place ? { type: 'leg', ...other.place } : 481;
  }
  const { call: judged } = judgeUserCall(user, target, { isUser: (name) => users.find(name) !== undefined, trunks });
  // Whoever misspells a name would talk to the agent himself; he does not hand somebody to it by that.
  if (judged.type === 'agent') return dialledName(target) === AGENT ? { type: 'agent' } : 403;
  if (judged.type === 'refused') return 403;
  return { type: 'dial', to: { trunk: judged.trunk, destination: judged.destination, from: user.callerId ?? user.name } };
}

/** The user at the other end of a call, as far as it has proved to be one. */
export function userOf(invite: InboundCall): string | undefined {
  if (invite instanceof DialledCall) return invite.trunk === USERS_TRUNK ? userOfDestination(invite.destination) : undefined;
  return invite.caller?.type === 'user' ? invite.caller.name : undefined;
}

/** Which leg of the session a call is. */
export function placeOf(invite: InboundCall, sessionId: string | undefined): JoinedSession | undefined {
  if (invite instanceof DialledCall && invite.joins) return invite.joins;
  return sessionId === undefined ? undefined : { sessionId, leg: CALLER };
}

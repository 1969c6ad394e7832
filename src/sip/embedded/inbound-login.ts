import type { Clock } from '../../base/clock.ts';
import type { RuleTried } from '../../base/rule-tried.ts';
import type { InboundCaller, SipSource } from '../engine.ts';
import { identifyCaller } from '../identify-caller.ts';
import type { Trunk, TrunkLogin } from '../trunk.ts';
import type { TrunkBook } from '../trunk-book.ts';
import { DigestDoor, type LoginRefusal } from './digest-door.ts';
import { GuessBrake } from './guess-brake.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { parseUri } from './uri.ts';

export type { LoginRefusal } from './digest-door.ts';

/** Who calls, or why nobody is let in. */
export type Login =
  | { readonly caller: InboundCaller; readonly tried: readonly RuleTried[] }
  | { readonly refused: LoginRefusal; readonly tried: readonly RuleTried[] };

export interface InboundLoginDeps {
  readonly clock: Clock;
  readonly book: TrunkBook;
  readonly brake?: GuessBrake;
  /** The door of users, and whose phone sends from there; absent where there are no users. */
  readonly users?: { readonly door: DigestDoor; readonly any: () => boolean; readonly userAt: (source: SipSource) => string | undefined };
  /** The trunk that was registered with this user part in its Contact. */
  readonly registered?: (user: string) => string | undefined;
}

/** Finds out who sends an INVITE: a trunk by its address, its registration and its password, or a user by its password (RFC 3261 §22.2). */
export class InboundLogin {
  readonly #deps: InboundLoginDeps;
  readonly #brake: GuessBrake;
  /** By what they ask for: a trunk that is configured anew asks anew. */
  readonly #doors = new WeakMap<TrunkLogin, DigestDoor>();

  constructor(deps: InboundLoginDeps) {
    this.#deps = deps;
    this.#brake = deps.brake ?? new GuessBrake();
  }

  identify(request: IncomingRequest): Login {
    const { book, users, registered } = this.#deps;
    const { source, message } = request;
    const target = parseUri(message.uri);
    const user = target?.type === 'sip' ? target.user : undefined;
    const hasUsers = users?.any() ?? false;
    const { presumed, tried } = identifyCaller(
      {
        address: source.address,
        registered: user === undefined ? undefined : registered?.(user),
        phoneOf: hasUsers ? users?.userAt(source) : undefined,
        showsCredentials: hasUsers && (users?.door.isShown(request) ?? false),
      },
      { ...book.rules, hasUsers },
    );
    switch (presumed.type) {
      case 'trunk':
        return this.#asTrunk(presumed, request, tried);
      case 'user':
        return this.#asUser(request, tried);
      default: // who is nobody is refused by the book, with a record
        return { caller: { type: 'stranger' }, tried };
    }
  }

  #asTrunk(
    { trunk, registered }: { readonly trunk: Trunk; readonly registered: boolean },
    request: IncomingRequest,
    tried: readonly RuleTried[],
  ): Login {
    const caller = { type: 'trunk', name: trunk.name, ...(registered ? { registered } : {}) } as const;
    const door = trunk.auth && this.#doorOf(trunk.auth);
    if (!door) return { caller, tried };
    const shown = door.check(request);
    const matched = 'username' in shown;
    const at = trunk.at?.('auth');
    const why = matched ? 'the password is right' : 'it has not shown the password';
    const all = [...tried, { rule: `trunks.${trunk.name}.auth`, ...(at === undefined ? {} : { at }), matched, why }];
    return 'status' in shown ? { refused: shown, tried: all } : { caller, tried: all };
  }

  #asUser(request: IncomingRequest, tried: readonly RuleTried[]): Login {
    const shown = this.#deps.users?.door.check(request);
    if (!shown) return { caller: { type: 'stranger' }, tried };
    if ('status' in shown)
      return { refused: shown, tried: [...tried, { rule: 'users', matched: false, why: 'it has not shown the password of a user' }] };
    return {
      caller: { type: 'user', name: shown.username },
      tried: [...tried, { rule: 'users', matched: true, why: 'the password is right' }],
    };
  }

  #doorOf(auth: TrunkLogin): DigestDoor {
    const known = this.#doors.get(auth);
    if (known) return known;
    const { realm, username, password, algorithms } = auth;
    const passwordOf = (user: string): string | undefined => (user === username ? password : undefined);
    const door = new DigestDoor(this.#deps.clock, this.#brake, { realm, passwordOf, ...(algorithms ? { algorithms } : {}) });
    this.#doors.set(auth, door);
    return door;
  }
}

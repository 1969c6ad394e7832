import { createHmac, randomBytes } from 'node:crypto';

/** What a user may call. */
export type UserPermission =
  | { readonly type: 'agent' }
  | { readonly type: 'users' }
  /** Numbers by a trunk, within this list as well as within the trunk's own. */
  | { readonly type: 'trunk'; readonly trunk: string; readonly destinations: readonly string[] };

/** Somebody with a softphone. */
export interface SipUser {
  readonly name: string;
  /** RFC 7616 §3.4.2, for the realm of the gateway. */
  readonly ha1: { readonly 'SHA-256'?: string; readonly MD5?: string };
  /** The number or name it calls as; its own name when absent. */
  readonly callerId?: string;
  readonly calls: readonly UserPermission[];
  /** Phones at a time; the one not heard of for longest makes room. */
  readonly maxContacts: number;
  /** Where it stands in the configuration. */
  readonly source?: string;
}

/** By this name in place of a trunk's, registered users are dialled. */
export const USERS_TRUNK = 'users';

/** `user:alice` → `alice`. */
export function userOfDestination(destination: string): string | undefined {
  return /^user:(.{1,64})$/.exec(destination)?.[1];
}

/** The users of the configuration. A new list takes the place of the old one in one step. */
export class UserBook {
  #users: ReadonlyMap<string, SipUser>;
  readonly realm: string;
  /** What is offered, in this order. */
  readonly algorithms: readonly ('SHA-256' | 'MD5')[];

  constructor(users: readonly SipUser[], realm = 'ringdown', algorithms: readonly ('SHA-256' | 'MD5')[] = ['SHA-256', 'MD5']) {
    this.#users = byName(users);
    this.realm = realm;
    this.algorithms = algorithms;
  }

  get size(): number {
    return this.#users.size;
  }

  /** By name. */
  get all(): ReadonlyMap<string, SipUser> {
    return this.#users;
  }

  get names(): readonly string[] {
    return [...this.#users.keys()];
  }

  replace(users: readonly SipUser[]): void {
    this.#users = byName(users);
  }

  find(name: string): SipUser | undefined {
    return this.#users.get(name);
  }

  ha1Of(name: string, algorithm: 'SHA-256' | 'MD5'): string | undefined {
    return this.#users.get(name)?.ha1[algorithm];
  }
}

/** Is it the same user with the same password, as far as its digests tell? */
export function hasSamePassword(a: SipUser | undefined, b: SipUser | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    (['SHA-256', 'MD5'] as const).some((each) => a.ha1[each] !== undefined && a.ha1[each] === b.ha1[each])
  );
}

/** So much of a digest tells one password from the next, and leaves a hundred thousand candidates to whoever has the file and a dictionary. */
const MARK_BYTES = 2;

/** What may be kept of a user's password: enough to know later whether it was changed. */
export function passwordMark({ name, ha1 }: SipUser, salt: string = randomBytes(8).toString('hex')): string {
  const digest = createHmac('sha256', salt)
    .update(`${name} ${ha1['SHA-256'] ?? ha1.MD5}`)
    .digest();
  return `${salt}:${digest.subarray(0, MARK_BYTES).toString('hex')}`;
}

/** Has this user the password that was marked? Of a changed one, one in 65,536 is taken for the same. */
export function isMarked(mark: string, user: SipUser): boolean {
  return passwordMark(user, mark.split(':', 1)[0]) === mark;
}

function byName(users: readonly SipUser[]): ReadonlyMap<string, SipUser> {
  return new Map(users.map((user) => [user.name, user]));
}

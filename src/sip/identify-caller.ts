import type { BlockList } from 'node:net';
import { isListed } from '../base/address-list.ts';
import { plainAddress } from '../base/addresses.ts';
import type { RuleTried } from '../base/rule-tried.ts';
import type { Trunk } from './trunk.ts';

/** Who may call: anyone, only trunks, or anyone as long as nothing can be dialled from here. */
export type Callers = 'anyone' | 'trunks' | 'by-trunks';

/** What an INVITE shows of who sends it, before any password. */
export interface CallerFacts {
  /** Source address of the packet. */
  readonly address: string;
  /** The trunk whose Contact, which we made up for our REGISTER, stands in the Request-URI. */
  readonly registered?: string | undefined;
  /** The user whose phone registered from there. */
  readonly phoneOf?: string | undefined;
  /** Does it show credentials of our realm? */
  readonly showsCredentials: boolean;
}

export interface CallerRules {
  readonly trunks: readonly { readonly trunk: Trunk; readonly sources: BlockList }[];
  readonly hasUsers: boolean;
  readonly callers: Callers;
  /** Can anything be dialled by any trunk? */
  readonly dialsOut: boolean;
}

/** Whom to take it for. */
export type Presumed =
  /** @property registered whether it was the Contact of our registration that told it */
  | { readonly type: 'trunk'; readonly trunk: Trunk; readonly registered: boolean }
  /** Somebody who is to show a user's password. */
  | { readonly type: 'user' }
  | { readonly type: 'stranger' }
  | { readonly type: 'nobody' };

/** Whom an INVITE is taken for, and every rule that was looked at on the way. Pure: the same for a live call and for one that is only explained. */
export function identifyCaller(
  facts: CallerFacts,
  rules: CallerRules,
): { readonly presumed: Presumed; readonly tried: readonly RuleTried[] } {
  const tried: RuleTried[] = [];
  const plain = plainAddress(facts.address);
  const registered = rules.trunks.find(({ trunk }) => trunk.name === facts.registered);
  if (registered) {
    tried.push(rule(registered.trunk, 'register', true, 'the Request-URI is the Contact of this registration'));
    return { presumed: { type: 'trunk', trunk: registered.trunk, registered: true }, tried };
  }
  for (const { trunk, sources } of rules.trunks) {
    const matched = isListed(sources, plain);
    const all = [trunk.peer.address, ...trunk.addresses];
    const why = matched ? `${plain} is one of its addresses` : `${plain} is none of ${shortList(all)}`;
    tried.push(rule(trunk, trunk.addresses.length > 0 ? 'addresses' : 'peer', matched, why));
    if (matched) return { presumed: { type: 'trunk', trunk, registered: false }, tried };
  }
  const open = rules.callers === 'anyone' || (rules.callers === 'by-trunks' && !rules.dialsOut && !rules.hasUsers);
  if (rules.hasUsers && (facts.showsCredentials || facts.phoneOf !== undefined || !open)) {
    const why = facts.showsCredentials
      ? 'it shows credentials of our realm'
      : facts.phoneOf === undefined
        ? 'only trunks and users may call'
        : `the phone of user ${facts.phoneOf} sends from there`;
    tried.push({ rule: 'users', matched: true, why });
    return { presumed: { type: 'user' }, tried };
  }
  tried.push({ rule: 'callers', matched: open, why: strangersWhy(rules) });
  return { presumed: { type: open ? 'stranger' : 'nobody' }, tried };
}

function strangersWhy({ callers, dialsOut }: CallerRules): string {
  if (callers === 'anyone') return 'anyone may call';
  if (callers === 'trunks') return 'only trunks may call';
  return dialsOut
    ? 'only trunks may call while calls can be placed'
    : 'anyone may call as long as nothing can be dialled and nobody is paid';
}

function rule(trunk: Trunk, key: string, matched: boolean, why: string): RuleTried {
  const at = trunk.at?.(key);
  return { rule: `trunks.${trunk.name}.${key}`, ...(at === undefined ? {} : { at }), matched, why };
}

/** More addresses than people read. */
const MOST_LISTED = 5;

function shortList(all: readonly string[]): string {
  return all.length <= MOST_LISTED ? all.join(', ') : `${all.slice(0, MOST_LISTED).join(', ')} and ${all.length - MOST_LISTED} more`;
}

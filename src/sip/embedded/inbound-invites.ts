import { randomText } from '../../base/ids.ts';
import type { InboundCall } from '../engine.ts';
import type { Refused } from './admission.ts';
import type { DialogHolder } from './call-services.ts';
import { dialogKey } from './dialog.ts';
import { DialogCall } from './dialog-call.ts';
import { InboundInvite } from './inbound-invite.ts';
import type { Login, LoginRefusal } from './inbound-login.ts';
import { type IncomingRequest, mergeKey } from './incoming-request.ts';
import { bad } from './message.ts';
import type { OutboundServices } from './outbound-services.ts';
import { NO_DIALOG } from './refusals.ts';
import { readReplaces } from './replaces.ts';
import type { Transactions } from './transactions.ts';

export interface InboundInvitesDeps {
  readonly services: OutboundServices;
  readonly transactions: Transactions;
  readonly dialogs: ReadonlyMap<string, DialogHolder>;
}

export interface InboundInvitesOptions {
  /** Who sends an INVITE, or why it may not come in: it has to authenticate first. Everything may when absent. */
  readonly login?: (request: IncomingRequest) => Login;
  /** May an INVITE from this address take the place of a call? Only from the address of its peer when absent. */
  readonly mayReplace?: (address: string, call: DialogCall) => boolean;
}

/** 128 bits: nobody guesses a tag. */
const ID_CHARACTERS = 22;

/** INVITEs outside a dialog: one call each, however it came (RFC 3261 §8.2.2.2, RFC 3891). */
export class InboundInvites {
  onInvite: ((invite: InboundCall) => void) | undefined;
  readonly #deps: InboundInvitesDeps;
  readonly #options: InboundInvitesOptions;
  /** Those that have no final response yet, by the key of their transaction. */
  readonly #pending = new Map<string, InboundInvite>();
  /** Their transactions by what identifies the request however it came. */
  readonly #merges = new Set<string>();
  /** What they are answered with, by the key of their transaction: for a CANCEL that comes after the answer. */
  readonly #localTags = new Map<string, string>();

  constructor(deps: InboundInvitesDeps, options: InboundInvitesOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Makes a call of it, for the application. @returns why not */
  accept(request: IncomingRequest, key: string): Refused | LoginRefusal | undefined {
    const { services } = this.#deps;
    const merge = mergeKey(request);
    if (this.#merges.has(merge)) {
      return { status: 482, reason: 'Loop Detected' };
    }
    const login = this.#options.login?.(request);
    if (login && 'refused' in login) return { ...login.refused, tried: login.tried };
    const replaced = this.#replaced(request);
    if (replaced && 'status' in replaced) return replaced;
    const localTag = randomText(ID_CHARACTERS);
    this.#merges.add(merge);
    this.#localTags.set(key, localTag);
    const transaction = this.#deps.transactions.openInvite(key, request.head.flow, () => {
      this.#merges.delete(merge);
      this.#localTags.delete(key);
    });
    const invite = new InboundInvite(services, {
      request,
      transaction,
      localTag,
      ...(replaced ? { replaces: replaced } : {}),
      ...(login ? { caller: login.caller, tried: login.tried } : {}),
      localAddress: services.localAddressFor(request.source.address),
      onFinal: () => this.#pending.delete(key),
    });
    this.#pending.set(key, invite);
    try {
      if (this.onInvite) this.onInvite(invite);
      else invite.reject({ status: 480 });
    } catch (error) {
      services.log.error({ err: error }, 'the handler of an invite failed');
      invite.reject({ status: 500 });
    }
    invite.trying();
    return undefined;
  }

  /** The tag of what this one was answered with. */
  localTag(key: string): string | undefined {
    return this.#localTags.get(key);
  }

  /** The caller gives this one up. Without effect after a final response. */
  cancel(key: string): void {
    this.#pending.get(key)?.cancel();
  }

  stop(): void {
    this.#pending.clear();
    this.#merges.clear();
    this.#localTags.clear();
  }

  /** The call that an INVITE is to take the place of (RFC 3891 §3), or why it may not. */
  #replaced(request: IncomingRequest): DialogCall | Refused | undefined {
    const values = request.message.headers.all('replaces');
    const [value] = values;
    if (value === undefined) return undefined;
    const replaces = values.length === 1 ? readReplaces(value) : undefined;
    if (!replaces) return bad('Replaces');
    const holder = this.#deps.dialogs.get(dialogKey(replaces.callId, replaces.toTag, replaces.fromTag));
    if (!(holder instanceof DialogCall)) return NO_DIALOG;
    // Knowing both tags is not enough: they may have been overheard, or leaked by a REFER.
    if (!(this.#options.mayReplace?.(request.source.address, holder) ?? holder.peerAddress === request.source.address)) {
      return { status: 403, reason: 'Forbidden' };
    }
    return replaces.earlyOnly ? { status: 486, reason: 'Busy Here' } : holder;
  }
}

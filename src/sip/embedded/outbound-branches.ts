import type { CallServices } from './call-services.ts';
import { Dialog } from './dialog.ts';
import type { Flow } from './flow.ts';
import type { SipResponse } from './message.ts';
import { parseNameAddress } from './name-address.ts';
import { EarlyDialog } from './outbound-early.ts';
import type { OutboundHead, OutboundLine } from './outbound-request.ts';

/** Branches of one call that are kept apart; a forking proxy asks a handful of phones. */
const MAX_BRANCHES = 16;

export interface OutboundBranchesOptions {
  readonly head: OutboundHead;
  readonly localTag: string;
  readonly localAddress: string;
  /** The peer is reached by the way of the INVITE alone. */
  readonly pinned?: boolean;
}

/** The INVITE a response belongs to, and the way that smaller messages take. */
type Sent = OutboundLine & { readonly way: { readonly usual: Flow } };

/** The dialogs that a forked INVITE of ours makes, by the tag of each branch (RFC 3261 §13.2.2). */
export class OutboundBranches {
  readonly #services: CallServices;
  readonly #options: OutboundBranchesOptions;
  readonly #early = new Map<string, EarlyDialog>();
  /** Those that were answered: a repeated 2xx gets its ACK again, and no second BYE. */
  readonly #answered = new Map<string, Dialog>();

  constructor(services: CallServices, options: OutboundBranchesOptions) {
    this.#services = services;
    this.#options = options;
  }

  /** The branch of a provisional response; undefined for one without a tag, or when there are too many. */
  early(sent: Sent, response: SipResponse): EarlyDialog | undefined {
    const tag = tagOf(response);
    if (tag === undefined) return undefined;
    const known = this.#early.get(tag);
    if (known || this.#early.size >= MAX_BRANCHES) return known;
    const early = new EarlyDialog(this.#services, this.#dialog(sent, response), this.#options.localAddress);
    this.#early.set(tag, early);
    return early;
  }

  /** The dialog of a 2xx that has been seen before. */
  answered(response: SipResponse): Dialog | undefined {
    return this.#answered.get(tagOf(response) ?? '');
  }

  /** The dialog that a 2xx makes; undefined when there are too many. */
  answer(sent: Sent, response: SipResponse): Dialog | undefined {
    if (this.#answered.size >= MAX_BRANCHES) return undefined;
    const tag = tagOf(response) ?? '';
    const dialog = this.#early.get(tag)?.dialog ?? this.#dialog(sent, response);
    dialog.refreshTargetBy(response.headers);
    this.#answered.set(tag, dialog);
    return dialog;
  }

  /** The last description that the branch of this response has sent early. */
  earlySdp(response: SipResponse): string | undefined {
    return this.#early.get(tagOf(response) ?? '')?.sdp;
  }

  /** Nobody is waited for any more. */
  closeEarly(): void {
    for (const early of this.#early.values()) early.close();
    this.#early.clear();
  }

  #dialog({ cseq, uri, way }: Sent, { headers }: SipResponse): Dialog {
    const { head, localTag, pinned = false } = this.#options;
    return Dialog.ofResponse({ callId: head.callId, localTag, from: head.from, cseq, uri, flow: way.usual, pinned }, headers);
  }
}

function tagOf({ headers }: SipResponse): string | undefined {
  return parseNameAddress(headers.first('to') ?? '')?.parameters.get('tag');
}

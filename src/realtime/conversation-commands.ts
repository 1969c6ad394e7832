import type { Conversation } from './conversation.ts';
import type { Item, ResponseRequest } from './model.ts';
import type { ModelLink } from './model-link.ts';
import type { ApprovalResponseItem, RecordItem } from './record-item.ts';
import type { CommandFault } from './session-event.ts';
import { Approvals } from './tools/approvals.ts';

export interface CommandHooks {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Can responses be made? `pending`: as soon as the call is answered; `never`: not in this session, or not any more. */
  readonly readiness: () => 'pending' | 'live' | 'never';
  /** A request as the model gets it. */
  readonly restrict: (request: ResponseRequest) => ResponseRequest;
  /** A response of the conversation was asked for. */
  readonly onAsked: () => void;
  /** A program's word on a call that waits for it; false when it does not. */
  readonly onDecided: (callItemId: string, approved: boolean, reason: string | undefined) => boolean;
  /** A program has put an item into the conversation. */
  readonly onItem: (item: Item) => void;
  /** A response of the conversation was cancelled. */
  readonly onCancelled: () => void;
  /** The far end has cut an item off. */
  readonly onTruncated: () => void;
}

/** Responses that are asked for before the call is answered: a program that asks for more does not know what it does. */
const MOST_DEFERRED = 8;

/** From the end of a tool to a program that asks for what follows: a round trip, and a machine that is busy. */
const LATE_MS = 1000;

/** What programs may ask of a conversation: items and responses. Each tells why it was not done; nothing has changed then. */
export class ConversationCommands {
  readonly #conversation: Conversation;
  readonly #link: ModelLink;
  readonly #hooks: CommandHooks;
  readonly #deferred: ResponseRequest[] = [];
  readonly #approvals: Approvals;
  /** The model was asked to go on with what tools have said; until then a program that asks for the same is late. */
  #goesOnUntil = Number.NEGATIVE_INFINITY;

  constructor(conversation: Conversation, link: ModelLink, hooks: CommandHooks) {
    this.#conversation = conversation;
    this.#link = link;
    this.#hooks = hooks;
    this.#approvals = new Approvals({
      call: (itemId) => {
        const item = conversation.items.get(itemId);
        return item?.type === 'mcp_call' ? item : undefined;
      },
      replace: (call) => conversation.items.replace(call),
      add: (item, after) => conversation.add(item, after),
      decide: hooks.onDecided,
    });
  }

  /** A program has to agree to this call. */
  requestApproval(callItemId: string): void {
    this.#approvals.request(callItemId);
  }

  /** @param previousItemId as for `addItem` */
  answerApproval(item: ApprovalResponseItem, previousItemId?: string): CommandFault | undefined {
    return this.#approvals.answer(item, previousItemId);
  }

  /** @param previousItemId `root`: at the beginning; undefined: at the end */
  addItem(item: Item, previousItemId?: string): CommandFault | undefined {
    if (!this.#link.connection.addItem) return { code: 'unsupported', message: 'The model of this session takes no items.' };
    const place = this.#conversation.items.modelPlace(previousItemId);
    const refused = this.#conversation.add(item, previousItemId);
    if (refused === 'duplicate') return { code: 'item_already_exists', message: `An item with id '${item.id}' exists already.` };
    if (refused === 'no_such_item') return noSuchItem(previousItemId ?? '');
    this.#link.connection.addItem(item, place);
    this.#goesOnUntil = Number.NEGATIVE_INFINITY;
    this.#hooks.onItem(item);
    return undefined;
  }

  removeItem(itemId: string): CommandFault | undefined {
    if (!this.#conversation.remove(itemId)) return noSuchItem(itemId);
    this.#link.connection.removeItem?.(itemId);
    return undefined;
  }

  item(itemId: string): RecordItem | undefined {
    return this.#conversation.items.get(itemId);
  }

  /** The far end has played so much of the item. */
  truncateItem(itemId: string, contentIndex: number, audioEndMs: number): CommandFault | undefined {
    const item = this.#conversation.items.get(itemId);
    if (!item) return noSuchItem(itemId);
    if (item.type !== 'message' || item.role !== 'assistant') {
      return { code: 'invalid_value', message: 'Only model output audio messages can be truncated.' };
    }
    const hasAudio = this.#conversation.audioMs(itemId) > 0;
    if (!hasAudio || contentIndex !== this.#conversation.audioPart(itemId)) {
      return { code: 'invalid_value', message: `Content part ${contentIndex} of item '${itemId}' is no audio.` };
    }
    // Clients count in whole milliseconds and may round up.
    const audioMs = Math.ceil(this.#conversation.audioMs(itemId));
    if (audioEndMs > audioMs) {
      return { code: 'invalid_value', message: `Audio content of ${audioMs}ms is already shorter than ${audioEndMs}ms` };
    }
    this.#conversation.truncate(itemId, contentIndex, audioEndMs);
    this.#link.connection.truncate(itemId, audioEndMs);
    this.#hooks.onTruncated();
    return undefined;
  }

  /** @param goesOn the gateway asks, for the tools that it ran */
  respond(request: ResponseRequest, goesOn = false): CommandFault | undefined {
    const readiness = this.#hooks.readiness();
    if (readiness === 'never') return { code: 'invalid_state', message: 'This session makes no responses.' };
    if (readiness === 'pending') return this.#defer(request);
    if (!goesOn && this.#isLate(request)) {
      this.#goesOnUntil = Number.NEGATIVE_INFINITY;
      return undefined;
    }
    if (request.conversation === 'auto' && this.#link.isBusy) {
      const active = this.#link.openId;
      const which = active === undefined ? '' : `: ${active}`;
      return {
        code: 'conversation_already_has_active_response',
        message: `Conversation already has an active response in progress${which}. Wait until the response is finished before creating a new one.`,
      };
    }
    for (const each of request.input ?? []) {
      if (each.type === 'item_reference' && !this.#conversation.items.get(each.id)) return noSuchItem(each.id);
    }
    if (!this.#link.connection.respond) return { code: 'unsupported', message: 'The model of this session answers turns only.' };
    if (this.#link.isFull) return { code: 'rate_limit_exceeded', message: 'Too many responses wait to be made.' };
    if (request.conversation === 'auto') {
      this.#goesOnUntil = goesOn ? this.#hooks.now() + LATE_MS : Number.NEGATIVE_INFINITY;
      this.#hooks.onAsked();
    }
    this.#link.respond(this.#hooks.restrict(request));
    return undefined;
  }

  /** The call is answered: what was asked for meanwhile is made. */
  handleAnswered(onFault: (fault: CommandFault, requestId: string) => void): void {
    for (const request of this.#deferred.splice(0)) {
      const fault = this.respond(request);
      if (fault) onFault(fault, request.requestId);
    }
  }

  /** Clients of the reference ask for what follows a server's tool: it is being made, or was made already. */
  #isLate({ conversation, config, input }: ResponseRequest): boolean {
    return conversation === 'auto' && config === undefined && input === undefined && this.#hooks.now() < this.#goesOnUntil;
  }

  #defer(request: ResponseRequest): CommandFault | undefined {
    if (this.#deferred.length >= MOST_DEFERRED)
      return { code: 'rate_limit_exceeded', message: 'Too many responses wait for the call to be answered.' };
    this.#deferred.push(request);
    return undefined;
  }

  /** Milliseconds of audio that the item has. */
  audioMs(itemId: string): number {
    return this.#conversation.audioMs(itemId);
  }

  /** @param responseId undefined: the one of the conversation that runs */
  cancelResponse(responseId?: string): CommandFault | undefined {
    const id = responseId ?? this.#link.openId;
    if (id === undefined ? !this.#link.isBusy : !this.#link.isOpen(id)) {
      return { code: 'response_cancel_not_active', message: 'Cancellation failed: no active response found.' };
    }
    this.#link.cancel(id);
    if (id !== undefined) this.#conversation.stop(id, 'client_cancelled');
    this.#hooks.onCancelled();
    return undefined;
  }
}

function noSuchItem(itemId: string): CommandFault {
  return { code: 'item_not_found', message: `Item with id '${itemId.slice(0, 64)}' not found.` };
}

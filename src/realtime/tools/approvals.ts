import { randomText } from '../../base/ids.ts';
import type { ApprovalRequestItem, ApprovalResponseItem, HostedCallItem } from '../record-item.ts';
import type { CommandFault } from '../session-event.ts';

/** What approvals need of the conversation, and of who runs the calls. */
export interface ApprovalStage {
  readonly call: (itemId: string) => HostedCallItem | undefined;
  /** The call is as it says now. */
  readonly replace: (call: HostedCallItem) => void;
  readonly add: (item: ApprovalRequestItem | ApprovalResponseItem, after?: string) => 'duplicate' | 'no_such_item' | undefined;
  /** False: nobody waits for it any more. */
  readonly decide: (callItemId: string, approved: boolean, reason: string | undefined) => boolean;
}

/** More than ever wait: a session runs eight calls at a time. */
const MOST_REQUESTS = 64;

/** Calls that wait for a program to agree: the request and the answer are items of the conversation, and the answer is taken once. */
export class Approvals {
  readonly #stage: ApprovalStage;
  /** The call of each request. */
  readonly #calls = new Map<string, string>();

  constructor(stage: ApprovalStage) {
    this.#stage = stage;
  }

  /** This call must not run before somebody agrees. */
  request(callItemId: string): void {
    const call = this.#stage.call(callItemId);
    if (!call) return;
    const { server_label, name, arguments: args } = call;
    const id = `mcpr_${randomText(16)}`;
    this.#calls.set(id, callItemId);
    for (const oldest of this.#calls.keys()) {
      if (this.#calls.size <= MOST_REQUESTS) break;
      this.#calls.delete(oldest);
    }
    this.#stage.replace({ ...call, approval_request_id: id });
    this.#stage.add({ type: 'mcp_approval_request', id, server_label, name, arguments: args });
  }

  /** A program's word. @returns why it was not taken */
  answer(item: ApprovalResponseItem, after?: string): CommandFault | undefined {
    const callItemId = this.#calls.get(item.approval_request_id);
    if (callItemId === undefined) {
      return { code: 'item_not_found', message: `Nothing waits for the approval '${item.approval_request_id.slice(0, 64)}'.` };
    }
    const refused = this.#stage.add(item, after);
    if (refused === 'duplicate') return { code: 'item_already_exists', message: `An item with id '${item.id}' exists already.` };
    if (refused === 'no_such_item') return { code: 'item_not_found', message: `Item with id '${(after ?? '').slice(0, 64)}' not found.` };
    this.#calls.delete(item.approval_request_id);
    if (this.#stage.decide(callItemId, item.approve, item.reason ?? undefined)) return undefined;
    return { code: 'invalid_state', message: 'The call does not wait for an approval any more.' };
  }
}
